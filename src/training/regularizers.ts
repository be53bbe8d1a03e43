import type { Json, JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";

/** What `keras/src/regularizers/regularizers.py` adds to the loss for one weight. */
export type Penalty = Sizes | Likeness;

/** `l1 * sum(|w|) + l2 * sum(w²)`. */
interface Sizes {
  readonly l1: number;
  readonly l2: number;
}

/** `factor` times the mean of how alike each two rows, or columns, point: the size of their cosine. */
interface Likeness {
  readonly factor: number;
  readonly mode: "rows" | "columns";
}

/** @throws {TopologyError} for a regularizer that is not Keras's, or not one of a weight of that rank. */
export function penaltyOf(path: string, regularizer: Json | undefined, rank: number): Penalty | null {
  if (regularizer === null || regularizer === undefined) return null;
  if (typeof regularizer === "string") return namedPenalty(path, regularizer, {}, rank);
  const { class_name: name, config } = regularizer as { class_name: string; config?: JsonObject };
  return namedPenalty(path, name, config ?? {}, rank);
}

function namedPenalty(path: string, name: string, config: JsonObject, rank: number): Penalty {
  const strength = (key: string, otherwise: number): number => Number(config[key] ?? otherwise);
  switch (name.split(">").at(-1)!.toLowerCase()) {
    case "l1":
      return { l1: strength("l1", 0.01), l2: 0 };
    case "l2":
      return { l1: 0, l2: strength("l2", 0.01) };
    case "l1l2":
    case "l1_l2":
      return { l1: strength("l1", 0), l2: strength("l2", 0) };
    case "orthogonalregularizer":
    case "orthogonal_regularizer":
      if (rank !== 2) throw refused(path, `${name}: expected a weight of rank 2, got one of rank ${rank}`);
      return {
        factor: strength("factor", 0.01),
        mode: config["mode"] === "columns" ? "columns" : "rows",
      };
    default:
      throw refused(path, `${name}: expected L1, L2, L1L2 or OrthogonalRegularizer, got another`);
  }
}

function refused(path: string, what: string): TopologyError {
  return new TopologyError(
    `${path}: regularizer ${what}. Freeze the layer or remove its regularizer.`,
    "unsupported-regularizer",
  );
}

/** A scalar; the caller's. */
export function penalty(strength: Penalty, weight: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    if ("mode" in strength) {
      const { cosines, share } = likeness(strength, weight);
      return tf.mul(tf.sum(tf.abs(cosines)), share) as tf.Tensor;
    }
    const { l1, l2 } = strength;
    const absolute = l1 === 0 ? tf.scalar(0) : tf.mul(tf.sum(tf.abs(weight)), l1);
    return l2 === 0 ? absolute : (tf.add(absolute, tf.mul(tf.sum(tf.square(weight)), l2)) as tf.Tensor);
  });
}

/** `gradient` plus the penalty's own; a new tensor. */
export function withPenaltyGradient(strength: Penalty, weight: tf.Tensor, gradient: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    if ("mode" in strength) return tf.add(gradient, likenessGradient(strength, weight)) as tf.Tensor;
    const { l1, l2 } = strength;
    const squared = l2 === 0 ? gradient : tf.add(gradient, tf.mul(weight, 2 * l2));
    return l1 === 0 ? tf.add(squared, 0) : tf.add(squared, tf.mul(tf.sign(weight), l1));
  });
}

/** Rows of length 1, their lengths `[n,1]`, and the cosines of each two `[n,n]`, zeros where a row meets itself. */
function likeness({ factor, mode }: Likeness, weight: tf.Tensor) {
  const vectors = mode === "rows" ? weight : tf.transpose(weight);
  const lengths = tf.sqrt(tf.sum(tf.square(vectors), 1, true));
  const units = tf.div(vectors, tf.maximum(lengths, 1e-12)) as tf.Tensor2D;
  const count = units.shape[0];
  const cosines = tf.mul(tf.matMul(units, units, false, true), tf.sub(1, tf.eye(count))) as tf.Tensor2D;
  return { units, lengths, cosines, share: factor / (count * (count - 1)) };
}

function likenessGradient(strength: Likeness, weight: tf.Tensor): tf.Tensor {
  const { units, lengths, cosines, share } = likeness(strength, weight);
  const ofUnits = tf.mul(tf.matMul(tf.sign(cosines), units), 2 * share);
  const along = tf.mul(units, tf.sum(tf.mul(units, ofUnits), 1, true));
  const ofVectors = tf.div(tf.sub(ofUnits, along), tf.maximum(lengths, 1e-12));
  return strength.mode === "rows" ? ofVectors : tf.transpose(ofVectors);
}
