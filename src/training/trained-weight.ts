import { heldTensor } from "../engine/tensor-values.ts";
import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { formatShape, sameShape } from "../tensor.ts";
import type { Constraint } from "./constraints.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import { updateRule } from "./optimizers/classes.ts";
import type { Mover, Movers } from "./optimizers/mover.ts";

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

/** A weight that is trained, with what its updates keep. */
export interface TrainedWeight {
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

/** Returns the key of a weight among all. */
export function keyOf(path: string, name: string): string {
  return `${path}/${name}`;
}

/** Returns the weights that a config trains, by key. */
export function trainedOf(
  config: OptimizerConfig,
  parts: OptimizerParts,
  movers: Movers,
): Map<string, TrainedWeight> {
  const { weights, trainable, lookups, constraints, rateFactors } = parts;
  const { weight_decay, exclude_from_weight_decay } = config.settings;
  const excluded = ((exclude_from_weight_decay ?? []) as readonly string[]).map((word) => new RegExp(word));
  const all = new Map<string, TrainedWeight>();
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

/** Adds a gradient to what waits for the update. */
export function accumulateGradient(trained: TrainedWeight, gradient: tf.Tensor): void {
  const earlier = trained.accumulated;
  trained.accumulated = tf.keep(earlier ? tf.add(gradient, earlier) : gradient.clone());
  earlier?.dispose();
}

/** Uses up what has been accumulated. */
export function meanGradient(trained: TrainedWeight, gradient: tf.Tensor, steps: number): tf.Tensor {
  const { accumulated } = trained;
  trained.accumulated = undefined;
  const mean = tf.tidy(() => tf.div(accumulated ? tf.add(gradient, accumulated) : gradient, steps));
  accumulated?.dispose();
  return mean;
}

/** Moves the average of a weight towards its value. */
export function keepAverage(trained: TrainedWeight, momentum: number): void {
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

/** Sets a weight to its average. */
export function overwriteByAverage({ holder, name, average }: TrainedWeight): void {
  if (!average) return;
  (holder[name] as tf.Tensor).dispose();
  holder[name] = tf.keep(tf.mul(average, 1));
}

/** Returns a weight after its decay at a rate; itself where it has none. */
export function decayed(variable: tf.Tensor, weightDecay: number | null, learningRate: number): tf.Tensor {
  if (weightDecay === null) return variable;
  return tf.tidy(() => tf.sub(variable, tf.mul(tf.mul(variable, weightDecay), learningRate)));
}

const accumulatorSlot = "gradient_accumulator";
const averageSlot = "average";

/** Returns what the updates of a weight keep, by slot; each is read off the engine when its values are asked for, as it is then. */
export function tensorsOf({ mover, accumulated, average }: TrainedWeight): Readonly<Record<string, Tensor>> {
  return {
    ...mover.slots(),
    ...(accumulated && { [accumulatorSlot]: heldTensor(accumulated) }),
    ...(average && { [averageSlot]: heldTensor(average) }),
  };
}

/** Takes what `tensorsOf` returned. @throws {UsageError} where shapes differ. */
export function restoreTensors(trained: TrainedWeight, tensors: Readonly<Record<string, Tensor>>): void {
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

function uploaded({ data, shape }: Tensor): tf.Tensor {
  return tf.keep(tf.tensor(Float32Array.from(data as Float32Array), [...shape], "float32"));
}
