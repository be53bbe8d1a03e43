import type { Metadata } from "h5wasm/node";
import { type DType, elementCount, roundHalfEven, type TensorData } from "../tensor.ts";

const stringClass = 3;
const integerClass = 0;
const floatClass = 1;
const opaqueClass = 5;
const enumClass = 8;

const classNames: Readonly<Record<number, string>> = {
  2: "time",
  3: "string",
  4: "bit field",
  5: "opaque",
  6: "compound",
  7: "reference",
  8: "enumeration",
  9: "variable-length",
  10: "array",
};

/**
 * Returns the dtype of an HDF5 element type, null if its elements are not numbers (strings, compounds, opaque bytes).
 */
export function elementDtype(metadata: Metadata): DType | null {
  const { type, size, signed } = metadata;
  const bits = size * 8;
  if (type === floatClass && (size === 2 || size === 4 || size === 8)) return `float${bits}` as DType;
  if (type === integerClass && (size === 1 || size === 2 || size === 4 || size === 8)) {
    return `${signed ? "int" : "uint"}${bits}` as DType;
  }
  if (type === opaqueClass && size === 2) return "bfloat16";
  if (type === enumClass && size === 1 && isBoolean(metadata)) return "bool";
  return null;
}

/** Names an element type for an error message: `compound of 12 bytes`. */
export function elementTypeName(metadata: Metadata): string {
  return `${classNames[metadata.type] ?? `class ${metadata.type}`} of ${metadata.size} bytes`;
}

/** Returns whether the elements are strings, of fixed or variable length. */
export function isString(metadata: Metadata): boolean {
  return metadata.type === stringClass;
}

/** h5py stores booleans as an enumeration of FALSE and TRUE. */
function isBoolean(metadata: Metadata): boolean {
  const members = metadata.enum_type?.members;
  return members?.["FALSE"] === 0 && members["TRUE"] === 1 && metadata.enum_type?.nmembers === 2;
}

/** Allocates a zeroed typed array for a tensor of this dtype and shape. */
export function allocate(dtype: DType, shape: readonly number[]): TensorData {
  const count = elementCount(shape);
  switch (dtype) {
    case "float32":
      return new Float32Array(count);
    case "float64":
      return new Float64Array(count);
    case "int8":
      return new Int8Array(count);
    case "uint8":
    case "bool":
      return new Uint8Array(count);
    case "int16":
      return new Int16Array(count);
    case "uint16":
    case "float16":
    case "bfloat16":
      return new Uint16Array(count);
    case "int32":
      return new Int32Array(count);
    case "uint32":
      return new Uint32Array(count);
    case "int64":
      return new BigInt64Array(count);
    case "uint64":
      return new BigUint64Array(count);
  }
}

/** Attribute that holds the original dtype of a dataset whose values are stored in a wider one. */
export const dtypeMark = "original_dtype";

/**
 * Returns the dtype in which a dataset is read.
 * @param stored The dtype in the file.
 * @param marked The dataset's {@link dtypeMark}, undefined if it has none.
 */
export function markedDtype(stored: DType, marked: string | undefined): DType {
  if (stored === "float32" && (marked === "float16" || marked === "bfloat16")) return marked;
  if (stored === "uint8" && marked === "bool") return marked;
  return stored;
}

/** Converts stored values back to the representation of the dtype that {@link markedDtype} returned. */
export function restore(data: TensorData, dtype: DType): TensorData {
  if (dtype === "float16") return Uint16Array.from(data as Float32Array, float16Bits);
  if (dtype === "bfloat16") return bfloat16Bits(data as Float32Array);
  return data;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Returns the bits of the nearest float16, ties to even. */
function float16Bits(value: number): number {
  scratch[0] = value;
  const [bits = 0] = scratchBits;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(value) * 2 ** 24);
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Returns the bits of the nearest bfloat16 values, ties to even. */
function bfloat16Bits(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(words, (bits) =>
    (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16,
  );
}

/** Returns h5wasm's code for the type that stores a dtype, null for float16 and bfloat16, which it cannot write. */
export function storedDtype(dtype: DType): string | null {
  switch (dtype) {
    case "float32":
      return "<f";
    case "float64":
      return "<d";
    case "int8":
      return "<b";
    case "uint8":
    case "bool":
      return "<B";
    case "int16":
      return "<h";
    case "uint16":
      return "<H";
    case "int32":
      return "<i";
    case "uint32":
      return "<I";
    case "int64":
      return "<q";
    case "uint64":
      return "<Q";
    case "float16":
    case "bfloat16":
      return null;
  }
}
