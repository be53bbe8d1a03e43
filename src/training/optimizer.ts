import { adamAverages } from "../engine/adam.ts";
import type { InPlaceUpdates } from "../engine/in-place-updates.ts";
import { inPlaceUpdates } from "../engine/in-place-updates.ts";
import { tf } from "../engine/tf.ts";
import type { Addends } from "../model/lookup-addends.ts";
import { sumOf } from "../model/lookup-addends.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import type { Slots, Updated } from "./update-rules.ts";
import { updateRule } from "./update-rules.ts";

/** How one weight is moved, and what that keeps. */
interface Mover {
  /** Takes `variable` over; what is returned is the holder's. The gradient and its addends stay the caller's. */
  move(
    variable: tf.Tensor,
    gradient: tf.Tensor,
    learningRate: number,
    step: number,
    addends?: Addends,
  ): tf.Tensor;
  dispose(): void;
}

interface Trained {
  readonly holder: Record<string, tf.Tensor>;
  readonly name: string;
  readonly mover: Mover;
}

/**
 * Updates the weights it was given and no others. A weight lives in its layer's record (`holder[name]`): an update replaces it
 * there and disposes the old value.
 */
export interface Optimizer {
  readonly config: OptimizerConfig;
  /** Begins an update: every `apply` until the next call belongs to it. */
  beginStep(learningRate?: number): void;
  /** Moves one weight by its whole gradient, whose addends count one by one where there are any. Both stay the caller's. */
  apply(path: string, name: string, gradient: tf.Tensor, addends?: Addends): void;
  /**
   * Whether gradients must all be known before the first `apply`: then call `scaleAll` first, with the values of the addends in the
   * place of a gradient that has them.
   */
  readonly needsAllGradients: boolean;
  scaleAll(gradients: readonly tf.Tensor[]): number;
  dispose(): void;
}

/**
 * An optimizer over `weights` (layer path to its record on the engine), for the named ones of each layer; `lookups` are the layers
 * whose gradients come with addends.
 */
export function createOptimizer(
  config: OptimizerConfig,
  weights: ReadonlyMap<string, Record<string, tf.Tensor>>,
  trainable: ReadonlyMap<string, readonly string[]>,
  lookups: ReadonlySet<string> = new Set(),
): Optimizer {
  const trained = new Map<string, Trained>();
  const { operation } = updateRule(config);
  const inPlace = operation && inPlaceUpdates(operation);
  for (const [path, names] of trainable) {
    for (const name of names) {
      const holder = weights.get(path)!;
      const { shape } = holder[name]!;
      const mover = lookups.has(path) ? ruleMover(config, shape) : moverFor(config, inPlace, shape);
      trained.set(`${path} ${name}`, { holder, name, mover });
    }
  }
  const setting = (name: string): number | null => config.settings[name] as number | null;
  let step = 0;
  let learningRate = setting("learning_rate")!;

  return {
    config,
    needsAllGradients: setting("global_clipnorm") !== null,
    beginStep: (rate) => {
      step++;
      learningRate = rate ?? setting("learning_rate")!;
    },
    apply: (path, name, gradient, addends) => {
      const { holder, name: own, mover } = trained.get(`${path} ${name}`)!;
      const before = holder[own]!;
      const clipped = clipAll(gradient, addends, setting("clipnorm"), setting("clipvalue"));
      const start = decayed(before, setting("weight_decay"), learningRate);
      if (start !== before) before.dispose();
      holder[own] = tf.keep(mover.move(start, clipped.gradient, learningRate, step, clipped.addends));
      if (clipped.gradient !== gradient) clipped.gradient.dispose();
      if (clipped.addends !== addends) clipped.addends?.values.dispose();
    },
    scaleAll: (gradients) => {
      const limit = setting("global_clipnorm");
      if (limit === null) return 1;
      const norm = Math.sqrt(
        gradients.reduce(
          (sum, gradient) => sum + tf.tidy(() => tf.sum(tf.square(gradient)).dataSync()[0]!),
          0,
        ),
      );
      return norm > limit ? limit / norm : 1;
    },
    dispose: () => {
      for (const { mover } of trained.values()) mover.dispose();
      inPlace?.dispose();
      trained.clear();
    },
  };
}

function moverFor(
  config: OptimizerConfig,
  inPlace: InPlaceUpdates | undefined,
  shape: readonly number[],
): Mover {
  if (inPlace) {
    const { apply, dispose } = inPlace.of(shape);
    return { move: apply, dispose };
  }
  const { className, settings } = config;
  const adam = (className === "Adam" || className === "AdamW") && settings["amsgrad"] !== true;
  return adam ? adamMover(config, shape) : ruleMover(config, shape);
}

/** Adam in one pass over the variable, its averages in place. */
function adamMover({ settings }: OptimizerConfig, shape: readonly number[]): Mover {
  const averages = adamAverages(shape);
  const number = (name: string): number => settings[name] as number;
  return {
    move: (variable, gradient, learningRate, step) =>
      averages.apply(variable, gradient, {
        learningRate,
        beta1: number("beta_1"),
        beta2: number("beta_2"),
        epsilon: number("epsilon"),
        step,
      }),
    dispose: () => averages.dispose(),
  };
}

function ruleMover(config: OptimizerConfig, shape: readonly number[]): Mover {
  const rule = updateRule(config);
  let slots: Slots = Object.fromEntries(
    Object.entries(rule.slots).map(([slot, initial]) => [slot, tf.keep(tf.fill([...shape], initial))]),
  );
  const release = (): void => {
    for (const slot of Object.values(slots)) slot.dispose();
  };
  return {
    move: (variable, gradient, learningRate, step, addends) => {
      const update = { variable, gradient, addends, slots, learningRate, step };
      const updated = tf.tidy(
        () => rule.apply(update) as unknown as tf.TensorContainer,
      ) as unknown as Updated;
      release();
      variable.dispose();
      slots = updated.slots;
      for (const slot of Object.values(slots)) tf.keep(slot);
      return updated.variable;
    },
    dispose: release,
  };
}

function decayed(variable: tf.Tensor, weightDecay: number | null, learningRate: number): tf.Tensor {
  if (weightDecay === null) return variable;
  return tf.tidy(() => tf.sub(variable, tf.mul(tf.mul(variable, weightDecay), learningRate)));
}

function clipAll(
  gradient: tf.Tensor,
  addends: Addends | undefined,
  norm: number | null,
  value: number | null,
): { gradient: tf.Tensor; addends: Addends | undefined } {
  if (!addends) return { gradient: clip(gradient, norm, value), addends };
  const values = clip(addends.values, norm, value);
  if (values === addends.values) return { gradient, addends };
  const clipped = { ...addends, values };
  return { gradient: sumOf(clipped, gradient.shape[0]!), addends: clipped };
}

function clip(gradient: tf.Tensor, norm: number | null, value: number | null): tf.Tensor {
  if (value !== null) return tf.clipByValue(gradient, -value, value);
  if (norm === null) return gradient;
  return tf.tidy(() => {
    const length = tf.sqrt(tf.sum(tf.square(gradient)));
    return tf.mul(gradient, tf.div(norm, tf.maximum(length, norm)));
  });
}
