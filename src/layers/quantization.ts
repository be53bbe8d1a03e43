/** Products with kernels of 8-bit whole numbers (`keras/src/quantizers/quantizers.py`, `keras/src/layers/core/dense.py`). */
import { max } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { roundsInput } from "../topology/specs/quantization.ts";
import { stopGradient } from "./activation-functions.ts";
import type { KernelCall } from "./kernel.ts";

/**
 * What `compute`, linear in `x`, makes of an input that is rounded to 8 bits too, as Keras does, by its largest value over `axes`.
 * `aligned` lays the scale of the input along the output. The gradient is that of the product with the kernel in full.
 */
export function quantizedProduct(
  x: tf.Tensor,
  axes: readonly number[],
  { config, weights }: KernelCall,
  compute: (x: tf.Tensor) => tf.Tensor,
  aligned: (scale: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const kernelScale = weights["kernel_scale"]!;
  const smooth = tf.div(compute(x), kernelScale);
  if (!roundsInput(config)) return smooth;
  const scale = tf.div(127, tf.add(max(tf.abs(x), axes, true), 1e-7));
  const rounded = tf.clipByValue(tf.round(tf.mul(x, scale)), -127, 127);
  const exact = tf.div(compute(rounded), tf.mul(aligned(scale), kernelScale));
  return tf.add(smooth, stopGradient(tf.sub(exact, smooth)));
}
