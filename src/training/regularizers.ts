import type { Json, JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";

/** `l1 * sum(|w|) + l2 * sum(w²)` of one weight (`keras/src/regularizers/regularizers.py`). */
export interface Penalty {
  readonly l1: number;
  readonly l2: number;
}

/** @throws {TopologyError} for a regularizer other than L1, L2 and L1L2. */
export function penaltyOf(path: string, regularizer: Json | undefined): Penalty | null {
  if (regularizer === null || regularizer === undefined) return null;
  if (typeof regularizer === "string") return namedPenalty(path, regularizer, {});
  const { class_name: name, config } = regularizer as { class_name: string; config?: JsonObject };
  return namedPenalty(path, name, config ?? {});
}

function namedPenalty(path: string, name: string, config: JsonObject): Penalty {
  const strength = (key: string, otherwise: number): number => Number(config[key] ?? otherwise);
  switch (name.split(">").at(-1)!.toLowerCase()) {
    case "l1":
      return { l1: strength("l1", 0.01), l2: 0 };
    case "l2":
      return { l1: 0, l2: strength("l2", 0.01) };
    case "l1l2":
    case "l1_l2":
      return { l1: strength("l1", 0), l2: strength("l2", 0) };
    default:
      throw new TopologyError(
        `${path}: regularizer ${name}: expected L1, L2 or L1L2, got another. Freeze the layer or remove its regularizer.`,
        "unsupported-regularizer",
      );
  }
}

/** A scalar; the caller's. */
export function penalty({ l1, l2 }: Penalty, weight: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const absolute = l1 === 0 ? tf.scalar(0) : tf.mul(tf.sum(tf.abs(weight)), l1);
    return l2 === 0 ? absolute : (tf.add(absolute, tf.mul(tf.sum(tf.square(weight)), l2)) as tf.Tensor);
  });
}

/** `gradient` plus the penalty's own; a new tensor. */
export function withPenaltyGradient({ l1, l2 }: Penalty, weight: tf.Tensor, gradient: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const squared = l2 === 0 ? gradient : tf.add(gradient, tf.mul(weight, 2 * l2));
    return l1 === 0 ? tf.add(squared, 0) : tf.add(squared, tf.mul(tf.sign(weight), l1));
  });
}
