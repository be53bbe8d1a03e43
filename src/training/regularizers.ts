import type { Weights } from "../checkpoint.ts";
import { takeScalars } from "../engine/scalars.ts";
import { tf } from "../engine/tf.ts";
import type { LayerWeights } from "../model/uploads.ts";
import { disposeWeights, uploadWeights } from "../model/uploads.ts";
import type { OrthogonalPenalty, Penalty } from "../topology/regularizer.ts";

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

/** Returns the penalties of these weights as they are now, each a scalar, which the caller owns. */
export function weightPenaltiesNow(
  regularized: readonly { readonly path: string; readonly name: string; readonly penalty: Penalty | null }[],
  weights: LayerWeights,
): tf.Tensor[] {
  return regularized.flatMap(({ path, name, penalty: strength }) =>
    strength ? [penalty(strength, weights.get(path)![name]!)] : [],
  );
}

/** Returns the sum of the penalties of weights that are not on the engine. */
export async function storedPenaltyTotal(
  regularized: readonly { readonly path: string; readonly name: string; readonly penalty: Penalty }[],
  weights: Weights,
): Promise<number> {
  const uploaded = uploadWeights(
    weights,
    regularized.map(({ path }) => path),
  );
  const amounts = await takeScalars(weightPenaltiesNow(regularized, uploaded));
  disposeWeights(uploaded);
  return sumOf(amounts);
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
function likeness({ factor, mode }: OrthogonalPenalty, weight: tf.Tensor) {
  const vectors = mode === "rows" ? weight : tf.transpose(weight);
  const lengths = tf.sqrt(tf.sum(tf.square(vectors), 1, true));
  const units = tf.div(vectors, tf.maximum(lengths, 1e-12)) as tf.Tensor2D;
  const count = units.shape[0];
  const cosines = tf.mul(tf.matMul(units, units, false, true), tf.sub(1, tf.eye(count))) as tf.Tensor2D;
  return { units, lengths, cosines, share: factor / (count * (count - 1)) };
}

function likenessGradient(strength: OrthogonalPenalty, weight: tf.Tensor): tf.Tensor {
  const { units, lengths, cosines, share } = likeness(strength, weight);
  const ofUnits = tf.mul(tf.matMul(tf.sign(cosines), units), 2 * share);
  const along = tf.mul(units, tf.sum(tf.mul(units, ofUnits), 1, true));
  const ofVectors = tf.div(tf.sub(ofUnits, along), tf.maximum(lengths, 1e-12));
  return strength.mode === "rows" ? ofVectors : tf.transpose(ofVectors);
}

/** Returns the sum of numbers, in double precision. */
export function sumOf(amounts: readonly number[]): number {
  return amounts.reduce((sum, amount) => sum + amount, 0);
}
