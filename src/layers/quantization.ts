/** @file Products with quantized kernels (`keras/src/quantizers/quantizers.py`, `keras/src/layers/core/dense.py`). */
import { max } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { quantizationOf, roundsInput } from "../topology/specs/quantization.ts";
import { stopGradient } from "./activation-functions.ts";
import type { KernelCall } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";

/** The product of a layer's input and kernel. */
export interface Product {
  /** The axes of the input that are summed. */
  readonly axes: readonly number[];
  /** The kernel's shape before quantization. */
  readonly kernelShape: readonly number[];
  /** Computes the product, which is linear in both. */
  readonly multiply: (x: tf.Tensor, kernel: tf.Tensor) => tf.Tensor;
  /** Reshapes the scale of the input so that it broadcasts to the output. */
  readonly aligned: (scale: tf.Tensor) => tf.Tensor;
}

/**
 * Computes the product of a layer whose dtype policy says that its kernel is quantized. The gradient ignores the
 * rounding of the input.
 */
export function quantizedProduct(call: KernelCall, product: Product): tf.Tensor {
  const { config, weights } = call;
  const { mode, blockSize } = quantizationOf(config) ?? {};
  const { kernelShape, multiply } = product;
  if (mode === "float8") return float8Product(call, multiply);
  if (mode === "int8") {
    const compute = (x: tf.Tensor): tf.Tensor =>
      tf.div(multiply(x, weightIn(weights, "kernel")), weightIn(weights, "kernel_scale"));
    return roundsInput(config, true)
      ? ofRoundedInput(call, product, compute)
      : compute(firstInput(call.inputs));
  }
  const kernel = tf.reshape(mode === "int4" ? int4Kernel(call) : calibratedKernel(call), [...kernelShape]);
  const compute = (x: tf.Tensor): tf.Tensor => multiply(x, kernel);
  const rounds = mode === "int4" && blockSize === undefined && roundsInput(config, false);
  return rounds ? ofRoundedInput(call, product, compute) : compute(firstInput(call.inputs));
}

/** Rounds an input to 8 bits, scaled by its maximum over some axes. Returns the scale as well. */
export function roundedInput(
  x: tf.Tensor,
  axes: readonly number[],
): { rounded: tf.Tensor; scale: tf.Tensor } {
  const scale = tf.div(127, tf.add(max(tf.abs(x), axes, true), 1e-7));
  return { rounded: tf.clipByValue(tf.round(tf.mul(x, scale)), -127, 127), scale };
}

/** Applies `compute`, which is linear, to the input rounded to 8 bits. The gradient is that of the unrounded input. */
function ofRoundedInput(
  { inputs }: KernelCall,
  { axes, aligned }: Pick<Product, "axes" | "aligned">,
  compute: (x: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const x = firstInput(inputs);
  const smooth = compute(x);
  const { rounded, scale } = roundedInput(x, axes);
  const exact = tf.div(compute(rounded), aligned(scale));
  return tf.add(smooth, stopGradient(tf.sub(exact, smooth)));
}

/** Unpacks values of 4 bits from bytes that hold two each, along the last axis, low half first. */
export function unpacked(bytes: tf.Tensor, length: number, isSigned: boolean): tf.Tensor {
  const high = tf.floor(tf.div(bytes, 16));
  const rest = tf.sub(bytes, tf.mul(high, 16));
  const low = isSigned ? tf.sub(rest, tf.mul(tf.floor(tf.div(rest, 8)), 16)) : rest;
  const lead = bytes.shape.slice(0, -1);
  const pairs = tf.reshape(tf.stack([low, high], -1), [...lead, 2 * sizeAt(bytes.shape, -1)]);
  return tf.slice(pairs, new Array(bytes.rank).fill(0), [...lead, length]);
}

/** Subtracts each value's block zero and multiplies by its block scale. Blocks lie along the first axis. */
export function ofBlocks(values: tf.Tensor, scale: tf.Tensor, zero: tf.Tensor, block: tf.Tensor): tf.Tensor {
  const index = tf.cast(block, "int32") as tf.Tensor1D;
  return tf.mul(tf.sub(values, tf.gather(zero, index)), tf.gather(scale, index));
}

function int4Kernel({ weights }: KernelCall): tf.Tensor {
  const scale = weightIn(weights, "kernel_scale");
  const values = unpacked(weightIn(weights, "kernel"), sizeAt(scale.shape, -1), true);
  const zero = weights["kernel_zero"];
  return zero ? ofBlocks(values, scale, zero, weightIn(weights, "g_idx")) : tf.div(values, scale);
}

/** Returns the dequantized kernel of GPTQ and AWQ, which store a row for each column of the kernel. */
function calibratedKernel({ weights, config }: KernelCall): tf.Tensor {
  const scale = weightIn(weights, "kernel_scale");
  const zero = weights["kernel_zero"] ?? weightIn(weights, "zero_point");
  const stored = tf.transpose(weightIn(weights, "kernel"));
  const isPacked = quantizationOf(config)?.bits === 4;
  const values = isPacked ? unpacked(stored, sizeAt(scale.shape, 0), false) : stored;
  const kernel = ofBlocks(values, tf.transpose(scale), tf.transpose(zero), weightIn(weights, "g_idx"));
  const rows = weights["awq_scales"];
  return rows ? tf.div(kernel, tf.expandDims(rows, -1)) : kernel;
}

interface FloatFormat {
  /** Bits behind the leading one. */
  readonly mantissa: number;
  /** Exponent of the smallest number with a leading one. */
  readonly leastExponent: number;
  readonly largest: number;
}

const e4m3: FloatFormat = { mantissa: 3, leastExponent: -6, largest: 448 };
const e5m2: FloatFormat = { mantissa: 2, leastExponent: -14, largest: 57344 };
/** Numbers below `2 ** leastExponent` are not distinguished: their steps would underflow float32. */
const bfloat16: FloatFormat = { mantissa: 7, leastExponent: -110, largest: 3.3895313892515355e38 };

/**
 * Computes a product in float8 (`_float8_call` of `keras/src/layers/core/dense.py`): input and kernel are rounded, and
 * so is the product's gradient. The scales are those of the file and do not change.
 */
export function float8Product(
  { inputs, weights }: KernelCall,
  multiply: (x: tf.Tensor, kernel: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const passed = (x: tf.Tensor, scale: tf.Tensor): tf.Tensor =>
    tf.add(x, stopGradient(tf.sub(scaledRound(x, scale, e4m3), x)));
  const product = multiply(
    passed(firstInput(inputs), weightIn(weights, "inputs_scale")),
    passed(weightIn(weights, "kernel"), weightIn(weights, "kernel_scale")),
  );
  const scale = weightIn(weights, "outputs_grad_scale");
  const output = tf.customGrad((value) => ({
    value: (value as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => scaledRound(dy, scale, e5m2),
  }));
  return output(product);
}

/** Rounds a bias as Keras does for products in float8. The gradient is rounded in the same way. */
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

/** Rounds to the nearest number of a format, ties to even. */
function rounded(x: tf.Tensor, { mantissa, leastExponent }: FloatFormat): tf.Tensor {
  const size = tf.maximum(tf.abs(x), 2 ** leastExponent);
  const exponent = tf.floor(tf.mul(tf.log(size), 1 / Math.LN2));
  const step = tf.pow(2, tf.sub(exponent, mantissa));
  return tf.mul(tf.round(tf.div(x, step)), step);
}
