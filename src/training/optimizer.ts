import { tf } from "../engine/tf.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import type { Slots } from "./update-rules.ts";
import { updateRule } from "./update-rules.ts";

/** A trained weight: its current value and what the optimizer keeps for it. Both belong to the optimizer. */
interface Trained {
  readonly holder: Record<string, tf.Tensor>;
  readonly name: string;
  slots: Slots;
}

/**
 * Updates the weights it was given and no others. A weight lives in its layer's record (`holder[name]`): an update replaces it
 * there and disposes the old value.
 */
export interface Optimizer {
  readonly config: OptimizerConfig;
  /** Begins an update: every `apply` until the next call belongs to it. */
  beginStep(learningRate?: number): void;
  /** Moves one weight by its whole gradient. The gradient stays the caller's. */
  apply(path: string, name: string, gradient: tf.Tensor): void;
  /** Whether gradients must all be known before the first `apply`: then call `scaleAll` first. */
  readonly needsAllGradients: boolean;
  scaleAll(gradients: readonly tf.Tensor[]): number;
  dispose(): void;
}

/** An optimizer over `weights` (layer path to its record on the engine), for the named ones of each layer. */
export function createOptimizer(
  config: OptimizerConfig,
  weights: ReadonlyMap<string, Record<string, tf.Tensor>>,
  trainable: ReadonlyMap<string, readonly string[]>,
): Optimizer {
  const rule = updateRule(config);
  const trained = new Map<string, Trained>();
  for (const [path, names] of trainable) {
    for (const name of names) {
      const holder = weights.get(path)!;
      const slots = Object.fromEntries(
        Object.entries(rule.slots).map(([slot, initial]) => [
          slot,
          tf.keep(tf.fill(holder[name]!.shape, initial)),
        ]),
      );
      trained.set(`${path} ${name}`, { holder, name, slots });
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
    apply: (path, name, gradient) => {
      const weight = trained.get(`${path} ${name}`)!;
      const before = weight.holder[name]!;
      const updated = tf.tidy(() => {
        const variable = decayed(before, setting("weight_decay"), learningRate);
        const clipped = clip(gradient, setting("clipnorm"), setting("clipvalue"));
        return rule.apply({ variable, gradient: clipped, slots: weight.slots, learningRate, step }) as {
          variable: tf.Tensor;
          slots: Record<string, tf.Tensor>;
        };
      });
      for (const slot of Object.values(weight.slots)) slot.dispose();
      before.dispose();
      weight.slots = updated.slots;
      for (const slot of Object.values(updated.slots)) tf.keep(slot);
      weight.holder[name] = tf.keep(updated.variable);
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
      for (const weight of trained.values()) for (const slot of Object.values(weight.slots)) slot.dispose();
      trained.clear();
    },
  };
}

function decayed(variable: tf.Tensor, weightDecay: number | null, learningRate: number): tf.Tensor {
  if (weightDecay === null) return variable;
  return tf.sub(variable, tf.mul(tf.mul(variable, weightDecay), learningRate));
}

function clip(gradient: tf.Tensor, norm: number | null, value: number | null): tf.Tensor {
  if (value !== null) return tf.clipByValue(gradient, -value, value);
  if (norm === null) return gradient;
  const length = tf.sqrt(tf.sum(tf.square(gradient)));
  return tf.mul(gradient, tf.div(norm, tf.maximum(length, norm)));
}
