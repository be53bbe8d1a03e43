import { tf } from "../engine/tf.ts";
import type { Addends } from "../model/lookup-addends.ts";
import { sumOf } from "../model/lookup-addends.ts";

/** Returns the factor on all gradients (`clip_by_global_norm`), a scalar that the caller owns. */
export function globalScale(gradients: readonly tf.Tensor[], limit: number): tf.Tensor {
  return tf.tidy(() => {
    const squares = gradients.map((gradient) => tf.sum(tf.square(gradient)));
    const norm = tf.sqrt(squares.reduce((sum, square) => tf.add(sum, square), tf.scalar(0)));
    return tf.div(limit, tf.maximum(norm, limit));
  });
}

/**
 * Clips a gradient by the norm or the value that is not null. Where it has addends they are clipped one by one. What did
 * not change is returned itself; what is new is the caller's.
 */
export function clipAll(
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
