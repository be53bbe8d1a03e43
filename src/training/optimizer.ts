import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import type { Addends } from "../model/lookup-addends.ts";
import { sumOf } from "../model/lookup-addends.ts";
import { optionError, optionName } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { float32Tensor, formatShape, sameShape } from "../tensor.ts";
import type { Constraint } from "./constraints.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import { rateOf } from "./optimizer-config.ts";
import { updateRule } from "./optimizers/classes.ts";
import type { Mover, Movers } from "./optimizers/mover.ts";
import { createMovers } from "./optimizers/mover.ts";
import type { OptimizerState } from "./state.ts";

/**
 * Updates the weights it was given and no others, as `apply` in `keras/src/optimizers/base_optimizer.py` does. A weight lives in its
 * layer's record (`holder[name]`): an update replaces it there and disposes the old value.
 */
export interface Optimizer {
  readonly config: OptimizerConfig;
  /** The rate of the coming step. Setting it is refused where the config has a schedule. */
  learningRate: number;
  /** Begins a step: every `apply` until `endStep` belongs to it. */
  beginStep(learningRate?: number): void;
  /** Takes the whole gradient of one weight, whose addends count one by one where there are any. Both stay the caller's. */
  apply(path: string, name: string, gradient: tf.Tensor, addends?: Addends): void;
  /** Ends the step. Until then weights may have moved or not. */
  endStep(): void;
  /** True if the model is judged and saved with moving averages of its weights. */
  readonly keepsAverages: boolean;
  /** Returns the moving average of a weight, which stays the optimizer's; undefined where none is kept. */
  average(path: string, name: string): tf.Tensor | undefined;
  state(): OptimizerState;
  /** Takes what `state` returned. Weights that it does not name keep what they have. @throws {UsageError} where shapes differ. */
  restore(state: OptimizerState): void;
  dispose(): void;
}

export interface OptimizerParts {
  /** Layer path to its record on the engine. */
  readonly weights: ReadonlyMap<string, Record<string, tf.Tensor>>;
  /** The names of the weights that move, by layer path. */
  readonly trainable: ReadonlyMap<string, readonly string[]>;
  /** Layers whose gradients come with addends. */
  readonly lookups?: ReadonlySet<string>;
  /** Constraint that is applied to a weight after each step, by `path/name`. */
  readonly constraints?: ReadonlyMap<string, Constraint>;
  /** Factor on the learning rate by layer path; 1 for a layer that is absent. */
  readonly rateFactors?: ReadonlyMap<string, number>;
}

interface Trained {
  readonly path: string;
  readonly name: string;
  readonly holder: Record<string, tf.Tensor>;
  readonly mover: Mover;
  readonly weightDecay: number | null;
  readonly rateFactor: number;
  readonly constraint: Constraint | undefined;
  /** Gradients of earlier steps that wait for their update. */
  accumulated: tf.Tensor | undefined;
  average: tf.Tensor | undefined;
}

interface Waiting {
  readonly trained: Trained;
  readonly gradient: tf.Tensor;
  /** The values of the addends, else the gradient. */
  readonly parts: tf.Tensor;
}

export function createOptimizer(config: OptimizerConfig, parts: OptimizerParts): Optimizer {
  const { settings } = config;
  const setting = (name: string): number | null => (settings[name] as number | null) || null;
  const accumulate = setting("gradient_accumulation_steps") ?? 1;
  const globalNorm = setting("global_clipnorm");
  const emaMomentum = settings["use_ema"] === true ? (settings["ema_momentum"] as number) : null;
  const overwriteEvery = setting("ema_overwrite_frequency");
  const scheduled = rateOf(config);
  const movers = createMovers(config);
  const all = trainedOf(config, parts, movers);
  const waiting: Waiting[] = [];
  let ownRate: number | null = null;
  let iterations = 0;
  let learningRate = 0;

  /** `iterations` of Keras before the step at hand: the updates that are complete. */
  const updates = (): number => Math.floor(iterations / accumulate);
  const isUpdate = (): boolean => (iterations + 1) % accumulate === 0;

  const move = (trained: Trained, gradient: tf.Tensor, addends: Addends | undefined): void => {
    const { holder, name, mover, weightDecay, rateFactor } = trained;
    const before = holder[name] as tf.Tensor;
    const rate = rateFactor === 1 ? learningRate : learningRate * rateFactor;
    const clipped = clipAll(gradient, addends, setting("clipnorm"), setting("clipvalue"));
    const start = decayed(before, weightDecay, rate);
    if (start !== before) before.dispose();
    holder[name] = tf.keep(mover.move(start, clipped.gradient, rate, updates() + 1, clipped.addends));
    if (clipped.gradient !== gradient) clipped.gradient.dispose();
    if (clipped.addends !== addends) clipped.addends?.values.dispose();
  };
  /** Finishes the update, or the step that only adds to the gradient. */
  const settle = (trained: Trained): void => {
    if (emaMomentum !== null) {
      keepAverage(trained, updates() === 0 ? 0 : emaMomentum);
      if (overwriteEvery !== null && (updates() + 1) % overwriteEvery === 0) overwriteByAverage(trained);
    }
    const { holder, name, constraint } = trained;
    const value = holder[name] as tf.Tensor;
    if (!constraint) return;
    holder[name] = tf.keep(constraint(value));
    value.dispose();
  };
  /** Moves a weight by the mean gradient of the steps that make the update. */
  const update = (trained: Trained, gradient: tf.Tensor, addends: Addends | undefined): void => {
    if (accumulate === 1) {
      move(trained, gradient, addends);
    } else if (!isUpdate()) {
      accumulateGradient(trained, gradient);
    } else {
      const mean = meanGradient(trained, gradient, accumulate);
      move(trained, mean, undefined);
      mean.dispose();
    }
    settle(trained);
  };
  const scaleTogether = (): void => {
    const means = waiting.splice(0).map(({ trained, gradient, parts }) => {
      if (accumulate === 1) return { trained, gradient, parts };
      const mean = meanGradient(trained, gradient, accumulate);
      tf.dispose([gradient, parts]);
      return { trained, gradient: mean, parts: mean.clone() };
    });
    const scale = globalScale(
      means.map(({ parts }) => parts),
      globalNorm ?? 0,
    );
    for (const { trained, gradient, parts } of means) {
      const scaled = tf.mul(gradient, scale);
      move(trained, scaled, undefined);
      settle(trained);
      tf.dispose([scaled, gradient, parts]);
    }
  };

  return {
    config,
    keepsAverages: emaMomentum !== null,
    get learningRate() {
      return ownRate ?? scheduled(iterations);
    },
    set learningRate(rate: number) {
      if (typeof settings["learning_rate"] !== "number") {
        throw new UsageError(
          `${optionName("learningRate")}: expected an optimizer whose rate is a number, got ${config.className} with a schedule, which sets it. Give the optimizer a number to set it.`,
          "learning-rate-scheduled",
          "learningRate",
        );
      }
      if (!(rate >= 0 && rate < Infinity)) {
        throw optionError("learningRate", "a number of 0 or more", rate, { code: "learning-rate" });
      }
      ownRate = rate;
    },
    beginStep: (rate) => {
      learningRate = rate ?? ownRate ?? scheduled(iterations);
    },
    apply: (path, name, gradient, addends) => {
      const trained = all.get(keyOf(path, name));
      if (!trained) throw new Error(`optimizer: ${path}/${name} is not trained`);
      if (globalNorm === null || !isUpdate()) update(trained, gradient, addends);
      else
        waiting.push({ trained, gradient: gradient.clone(), parts: (addends?.values ?? gradient).clone() });
    },
    endStep: () => {
      if (waiting.length > 0) scaleTogether();
      iterations++;
    },
    average: (path, name) => all.get(keyOf(path, name))?.average,
    state: () => ({
      className: config.className,
      iterations,
      learningRate: ownRate,
      slots: [...all.values()].map((trained) => ({
        layer: trained.path,
        weight: trained.name,
        tensors: tensorsOf(trained),
      })),
    }),
    restore: (state) => {
      ({ iterations, learningRate: ownRate } = state);
      for (const { layer, weight, tensors } of state.slots) {
        const trained = all.get(keyOf(layer, weight));
        if (trained) restoreTensors(trained, tensors);
      }
    },
    dispose: () => {
      for (const { mover, accumulated, average } of all.values()) {
        mover.dispose();
        tf.dispose([accumulated, average].filter((tensor) => tensor !== undefined));
      }
      for (const { gradient, parts } of waiting) tf.dispose([gradient, parts]);
      movers.dispose();
      all.clear();
    },
  };
}

function keyOf(path: string, name: string): string {
  return `${path}/${name}`;
}

function trainedOf(config: OptimizerConfig, parts: OptimizerParts, movers: Movers): Map<string, Trained> {
  const { weights, trainable, lookups, constraints, rateFactors } = parts;
  const { weight_decay, exclude_from_weight_decay } = config.settings;
  const excluded = ((exclude_from_weight_decay ?? []) as readonly string[]).map((word) => new RegExp(word));
  const all = new Map<string, Trained>();
  for (const [path, names] of trainable) {
    const holder = weights.get(path);
    for (const name of names) {
      const value = holder?.[name];
      if (!holder || !value) throw new Error(`optimizer: no weight ${path}/${name}`);
      const key = keyOf(path, name);
      const rule = updateRule(config, { path: key, shape: value.shape });
      const ownDecay = rule.weightDecay === undefined ? (weight_decay as number | null) : rule.weightDecay;
      all.set(key, {
        path,
        name,
        holder,
        mover: movers.of(rule, value, lookups?.has(path) ?? false),
        weightDecay: excluded.some((word) => word.test(key)) ? null : ownDecay,
        rateFactor: rateFactors?.get(path) ?? 1,
        constraint: constraints?.get(key),
        accumulated: undefined,
        average: undefined,
      });
    }
  }
  return all;
}

function accumulateGradient(trained: Trained, gradient: tf.Tensor): void {
  const earlier = trained.accumulated;
  trained.accumulated = tf.keep(earlier ? tf.add(gradient, earlier) : gradient.clone());
  earlier?.dispose();
}

/** Uses up what has been accumulated. */
function meanGradient(trained: Trained, gradient: tf.Tensor, steps: number): tf.Tensor {
  const { accumulated } = trained;
  trained.accumulated = undefined;
  const mean = tf.tidy(() => tf.div(accumulated ? tf.add(gradient, accumulated) : gradient, steps));
  accumulated?.dispose();
  return mean;
}

function keepAverage(trained: Trained, momentum: number): void {
  const value = trained.holder[trained.name] as tf.Tensor;
  const earlier = trained.average;
  trained.average = tf.keep(
    tf.tidy(() => {
      if (!earlier || momentum === 0) return tf.mul(value, 1);
      return tf.add(tf.mul(earlier, momentum), tf.mul(value, Math.fround(1 - Math.fround(momentum))));
    }),
  );
  earlier?.dispose();
}

function overwriteByAverage({ holder, name, average }: Trained): void {
  if (!average) return;
  (holder[name] as tf.Tensor).dispose();
  holder[name] = tf.keep(tf.mul(average, 1));
}

/** Returns the factor on all gradients (`clip_by_global_norm`). */
function globalScale(gradients: readonly tf.Tensor[], limit: number): number {
  const squares = gradients.map((gradient) => tf.tidy(() => tf.sum(tf.square(gradient)).dataSync()[0] ?? 0));
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  return norm > limit ? limit / norm : 1;
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
  return { gradient: sumOf(clipped, gradient.shape[0] ?? 0), addends: clipped };
}

function clip(gradient: tf.Tensor, norm: number | null, value: number | null): tf.Tensor {
  if (value !== null) return tf.clipByValue(gradient, -value, value);
  if (norm === null) return gradient;
  return tf.tidy(() => {
    const length = tf.sqrt(tf.sum(tf.square(gradient)));
    return tf.mul(gradient, tf.div(norm, tf.maximum(length, norm)));
  });
}

const accumulatorSlot = "gradient_accumulator";
const averageSlot = "average";

function tensorsOf({ mover, accumulated, average }: Trained): Readonly<Record<string, Tensor>> {
  return {
    ...mover.slots(),
    ...(accumulated && { [accumulatorSlot]: downloaded(accumulated) }),
    ...(average && { [averageSlot]: downloaded(average) }),
  };
}

function restoreTensors(trained: Trained, tensors: Readonly<Record<string, Tensor>>): void {
  const { [accumulatorSlot]: accumulated, [averageSlot]: average, ...slots } = tensors;
  const { path, name, mover } = trained;
  const shape = (trained.holder[name] as tf.Tensor).shape;
  for (const [slot, tensor] of Object.entries({
    ...mover.shapes,
    ...(accumulated && { [accumulatorSlot]: shape }),
  })) {
    const given = slot === accumulatorSlot ? accumulated : slots[slot];
    if (given && sameShape(given.shape, tensor)) continue;
    throw new UsageError(
      `${path}/${name}: optimizer slot ${slot}: expected ${formatShape(tensor)}, got ${given ? formatShape(given.shape) : "none"}.`,
      "optimizer-state",
    );
  }
  mover.restore(slots);
  tf.dispose([trained.accumulated, trained.average].filter((tensor) => tensor !== undefined));
  trained.accumulated = accumulated && uploaded(accumulated);
  trained.average = average && uploaded(average);
}

function downloaded(tensor: tf.Tensor): Tensor {
  return float32Tensor(Float32Array.from(tensor.dataSync()), tensor.shape);
}

function uploaded({ data, shape }: Tensor): tf.Tensor {
  return tf.keep(tf.tensor(Float32Array.from(data as Float32Array), [...shape], "float32"));
}
