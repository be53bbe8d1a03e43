import type { JsonObject } from "../../checkpoint.ts";
import type { DType } from "../../tensor.ts";
import type { WeightSpec } from "../layer-spec.ts";
import { type Quantization, quantizationOf } from "./quantization.ts";
import { ones, zeros } from "./variables.ts";

/**
 * @file Weights of quantized layers in the order of Keras's `variable_serialization_spec` (`keras/src/layers/core`).
 */

/** Layout of a quantized kernel. */
export interface KernelLayout {
  /** Number of rows of the kernel as a matrix. A kernel with more axes is reshaped. */
  readonly rows: number;
  readonly columns: number;
  /** Shape of the scale of 8-bit kernels. */
  readonly scaleShape: readonly number[];
  /** Axis whose values share a scale: the rows of a product's kernel, the columns of an embedding. */
  readonly shared: "rows" | "columns";
  /** Rows and columns that Keras guesses for GPTQ and AWQ, if they differ. */
  readonly guessed?: readonly [rows: number, columns: number];
  /** Name of the zero points of GPTQ and AWQ. */
  readonly zeroName?: string;
}

/**
 * Returns the weights of a layer under its dtype policy. The first of `weights` is the kernel. Quantized weights do not
 * train.
 */
export function quantizedWeights(
  config: JsonObject,
  weights: readonly WeightSpec[],
  layout: KernelLayout,
): WeightSpec[] {
  const quantization = quantizationOf(config);
  const [kernel, ...others] = weights;
  if (!quantization || !kernel) return [...weights];
  if (quantization.mode === "float8") return float8Weights(kernel, others, quantization);
  if (quantization.mode === "int4") return int4Weights(kernel, others, layout, quantization);
  if (quantization.mode === "int8") {
    const frozen: WeightSpec = { ...kernel, trainable: false, dtype: "int8" };
    return [frozen, ...others, fixed(`${kernel.name}_scale`, layout.scaleShape, "float32")];
  }
  return calibratedWeights(kernel, others, layout, quantization);
}

/** Returns the number of bytes for a number of 4-bit values. */
export function packedLength(values: number): number {
  return Math.ceil(values / 2);
}

function int4Weights(
  kernel: WeightSpec,
  others: readonly WeightSpec[],
  { rows, columns, shared }: KernelLayout,
  { blockSize }: Quantization,
): WeightSpec[] {
  const { name } = kernel;
  const packed: WeightSpec = {
    ...kernel,
    shape: [rows, packedLength(columns)],
    trainable: false,
    dtype: "int8",
  };
  const [length, count] = shared === "rows" ? [rows, columns] : [columns, rows];
  if (blockSize === undefined) return [packed, ...others, fixed(`${name}_scale`, [count], "float32")];
  const blocks = Math.ceil(length / blockSize);
  const scaleShape = shared === "rows" ? [blocks, count] : [count, blocks];
  return [
    packed,
    ...others,
    fixed(`${name}_scale`, scaleShape, "float32"),
    fixed(`${name}_zero`, scaleShape, "int8"),
    fixed("g_idx", [length], "float32"),
  ];
}

/**
 * Returns the weights for float8. The kernel keeps its full precision and trains; it and the input are rounded when
 * they are multiplied. The scales do not change.
 */
function float8Weights(
  kernel: WeightSpec,
  others: readonly WeightSpec[],
  { historyLength }: Quantization,
): WeightSpec[] {
  const scales = ["inputs", "kernel", "outputs_grad"].flatMap((name) => [
    fixed(`${name}_scale`, [], "float32"),
    fixed(`${name}_amax_history`, [historyLength], "float32"),
  ]);
  return [kernel, ...others, ...scales];
}

/** Returns the weights for GPTQ and AWQ, whose kernel is transposed. */
function calibratedWeights(
  kernel: WeightSpec,
  others: readonly WeightSpec[],
  { rows, columns, guessed = [rows, columns], zeroName = "kernel_zero" }: KernelLayout,
  { mode, bits, blockSize }: Quantization,
): WeightSpec[] {
  const [length, count] = guessed;
  const scaleShape = [count, blockSize === undefined ? 1 : Math.ceil(length / blockSize)];
  const shape = [bits === 4 ? packedLength(count) : count, length];
  return [
    ...others,
    { ...kernel, shape, trainable: false, dtype: "uint8" },
    fixed("kernel_scale", scaleShape, "float32"),
    fixed(zeroName, scaleShape, "uint8"),
    ...(mode === "awq" ? [fixed("awq_scales", [length], "float32")] : []),
    fixed("g_idx", [length], "float32"),
  ];
}

/** Creates the spec of a weight that does not train. */
export function fixed(name: string, shape: readonly number[], dtype: DType): WeightSpec {
  const initializer = name.endsWith("_scale") || name === "awq_scales" ? ones : zeros;
  return { name, shape, trainable: false, initializer, regularizer: null, dtype };
}
