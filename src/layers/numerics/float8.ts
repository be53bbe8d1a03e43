/** Products in numbers of 8 bits with a point (`_float8_call` of `keras/src/layers/core/dense.py`). */
import { tf } from "../../engine/tf.ts";
import { stopGradient } from "../activation-functions.ts";
import type { KernelCall } from "../kernel.ts";

interface FloatFormat {
  /** Bits behind the leading one. */
  readonly mantissa: number;
  /** Of the smallest number with a leading one. */
  readonly leastExponent: number;
  readonly largest: number;
}

const e4m3: FloatFormat = { mantissa: 3, leastExponent: -6, largest: 448 };
const e5m2: FloatFormat = { mantissa: 2, leastExponent: -14, largest: 57344 };
/** Its smallest numbers are not told apart: their steps would be none in 32 bits. */
const bfloat16: FloatFormat = { mantissa: 7, leastExponent: -110, largest: 3.3895313892515355e38 };

/** Input and kernel are rounded, and on the way back the gradient of the product. The scales are the file's and stay. */
export function float8Product(
  { inputs, weights }: KernelCall,
  multiply: (x: tf.Tensor, kernel: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const passed = (x: tf.Tensor, scale: tf.Tensor): tf.Tensor =>
    tf.add(x, stopGradient(tf.sub(scaledRound(x, scale, e4m3), x)));
  const product = multiply(
    passed(inputs[0]!, weights["inputs_scale"]!),
    passed(weights["kernel"]!, weights["kernel_scale"]!),
  );
  const scale = weights["outputs_grad_scale"]!;
  const output = tf.customGrad((value) => ({
    value: (value as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => scaledRound(dy, scale, e5m2),
  }));
  return output(product);
}

/** What Keras adds in the place of a bias where it multiplies in float8; the gradient is rounded as the bias is. */
export function float8Bias(bias: tf.Tensor): tf.Tensor {
  const round = tf.customGrad((value) => ({
    value: rounded(value as tf.Tensor, bfloat16),
    gradFunc: (dy: tf.Tensor) => rounded(dy, bfloat16),
  }));
  return round(bias);
}

function scaledRound(x: tf.Tensor, scale: tf.Tensor, format: FloatFormat): tf.Tensor {
  const { largest } = format;
  return tf.mul(rounded(tf.clipByValue(tf.div(x, scale), -largest, largest), format), scale);
}

/** To the nearest number of a format, ties to the even one. */
function rounded(x: tf.Tensor, { mantissa, leastExponent }: FloatFormat): tf.Tensor {
  const size = tf.maximum(tf.abs(x), 2 ** leastExponent);
  const exponent = tf.floor(tf.mul(tf.log(size), 1 / Math.LN2));
  const step = tf.pow(2, tf.sub(exponent, mantissa));
  return tf.mul(tf.round(tf.div(x, step)), step);
}
