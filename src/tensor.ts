import { TopologyError } from "./errors.ts";

/** Element type of a numeric tensor, by NumPy's names. */
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

/** Element type of a tensor in a model: numbers or strings. */
export type ElementType = DType | "string";

/** Typed arrays that hold a tensor's values. */
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

/**
 * A row-major array of numbers, independent of any tensor runtime. float16 and bfloat16 values are raw bits in a
 * Uint16Array, booleans are 0 or 1 in a Uint8Array.
 */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/**
 * A row-major array of strings: an input of text models and an output of inverted lookups, never a weight or a feature.
 */
export interface StringTensor {
  readonly dtype: "string";
  readonly shape: readonly number[];
  readonly data: readonly string[];
}

/** A tensor that a model accepts as input. */
export type InputTensor = Tensor | StringTensor;

/** A shape whose unknown dimensions are null. The first dimension of a layer's input or output is the batch. */
export type Shape = readonly (number | null)[];

/** A list of `Length` items. */
export type Tuple<
  Item,
  Length extends number,
  Items extends readonly Item[] = readonly [],
> = number extends Length
  ? readonly Item[]
  : Items["length"] extends Length
    ? Items
    : Tuple<Item, Length, readonly [...Items, Item]>;

/**
 * Returns the size of a shape along an axis. Negative axes count from the end.
 * @throws {TopologyError} if there is no such axis.
 */
export function sizeAt(shape: readonly number[], axis: number): number {
  const size = shape.at(axis);
  if (size !== undefined) return size;
  throw new TopologyError(`axis: expected one of an input of rank ${shape.length}, got ${axis}.`);
}

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

/** Returns the number of elements of a fully known shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Returns the size in bytes of a tensor of this dtype and shape. */
export function byteCount(dtype: DType, shape: readonly number[]): number {
  return bytesPerElement[dtype] * elementCount(shape);
}

/** Formats a shape as `[7,7,3,64]`, with `None` for an unknown dimension, as Keras prints it. */
export function formatShape(shape: Shape): string {
  return `[${shape.map((size) => size ?? "None").join(",")}]`;
}

/** Returns whether two shapes are equal; an unknown dimension equals only another unknown one. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/**
 * Creates a float32 tensor that uses `data` without copying it. @throws {TopologyError} if the shape holds another
 * number of values.
 */
export function float32Tensor(data: Float32Array, shape: readonly number[]): Tensor {
  if (data.length !== elementCount(shape)) {
    throw new TopologyError(
      `tensor: ${formatShape(shape)}: expected ${elementCount(shape)} values, got ${data.length}.`,
    );
  }
  return { dtype: "float32", shape, data };
}

/**
 * Returns the values as float32, decoding float16 and bfloat16 bits. A float32 tensor returns its own `data`, not a
 * copy.
 */
export function toFloat32(tensor: Tensor): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (dtype === "float16") return float16ToFloat32(data as Uint16Array);
  if (dtype === "bfloat16") return bfloat16ToFloat32(data as Uint16Array);
  return Float32Array.from(data as ArrayLike<number | bigint>, Number);
}

/** Values of a row up to which a loop copies it faster than a call does. */
const fewValues = 64;

/** Returns a copy of some rows of `size` values each, one after the other. */
export function gatheredRows(values: Float32Array, size: number, rows: ArrayLike<number>): Float32Array {
  const gathered = new Float32Array(rows.length * size);
  for (let index = 0; index < rows.length; index++) {
    const [from, to] = [(rows[index] ?? 0) * size, index * size];
    if (size > fewValues) gathered.set(values.subarray(from, from + size), to);
    else
      for (let offset = 0; offset < size; offset++)
        gathered[to + offset] = values[from + offset] ?? Number.NaN;
  }
  return gathered;
}

/** The value of every float16, by its bits. */
let float16Values: Float32Array | undefined;

function float16ToFloat32(bits: Uint16Array): Float32Array {
  float16Values ??= Float32Array.from({ length: 2 ** 16 }, (_, one) => float16ToNumber(one));
  const values = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) values[index] = float16Values[bits[index]!]!;
  return values;
}

/** Returns the value of a float16 (IEEE 754 binary16) by its bits. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const words = new Float32Array(1);
const wordBits = new Uint32Array(words.buffer);

/** Returns the nearest float16, ties to even, as bits. A finite value beyond the range becomes the largest of its sign, not infinite. */
export function toFloat16Bits(value: number): number {
  words[0] = value;
  const bits = wordBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude >= 0x477fe000) return sign | 0x7bff;
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(words[0]!) * 2 ** 24);
  // Normal: drop 13 bits of the fraction, rounding to even; a carry runs into the exponent, as it should.
  const rounded = magnitude + 0x0fff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Returns the nearest float16 of each value, as bits. */
export function encodeFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < values.length; index++) bits[index] = toFloat16Bits(values[index]!);
  return bits;
}

function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = Uint32Array.from(bits, (value) => value << 16);
  return new Float32Array(words.buffer);
}

/** Rounds to the nearest integer and halves to the even one, as NumPy and TensorFlow do. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
