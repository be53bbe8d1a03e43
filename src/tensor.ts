import { TopologyError } from "./errors.ts";

export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool";

/** Of what a tensor in a model is: numbers, or texts. */
export type ElementType = DType | "string";

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A row-major array without a runtime. float16 and bfloat16 hold their raw bits in a Uint16Array, bool a Uint8Array. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Texts, row-major: what some models take. No weight and no feature is one. */
export interface StringTensor {
  readonly dtype: "string";
  readonly shape: readonly number[];
  readonly data: readonly string[];
}

/** What a model may be given. */
export type InputTensor = Tensor | StringTensor;

/** A shape with unknown dimensions as null; the first is the batch where the value is a layer's input or output. */
export type Shape = readonly (number | null)[];

const bytesPerElement: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
};

/** The number of elements of a fully known shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The bytes that a tensor of this dtype and shape takes. */
export function byteCount(dtype: DType, shape: readonly number[]): number {
  return bytesPerElement[dtype] * elementCount(shape);
}

/** `[7,7,3,64]`, with `null` as `None`, as Keras prints it. */
export function formatShape(shape: Shape): string {
  return `[${shape.map((size) => size ?? "None").join(",")}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** A float32 tensor over `data`, which it does not copy. */
export function float32Tensor(data: Float32Array, shape: readonly number[]): Tensor {
  if (data.length !== elementCount(shape)) {
    throw new TopologyError(
      `tensor: ${formatShape(shape)} holds ${elementCount(shape)} values: expected as many, got ${data.length}.`,
    );
  }
  return { dtype: "float32", shape, data };
}

/** The values as float32, decoding float16 and bfloat16 bits; `data` itself where it is float32 already. */
export function toFloat32(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  if (tensor.dtype === "float16") return Float32Array.from(tensor.data as Uint16Array, float16ToNumber);
  if (tensor.dtype === "bfloat16") return bfloat16ToFloat32(tensor.data as Uint16Array);
  return Float32Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = Uint32Array.from(bits, (value) => value << 16);
  return new Float32Array(words.buffer);
}

/** To the nearest whole number, of two as near to the even one: as NumPy and TensorFlow round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
