import type { Metadata } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { byteCount, type DType, formatShape, type Tensor, type TensorData } from "../tensor.ts";
import { allocate, dtypeMark, elementDtype, elementTypeName, markedDtype, restore } from "./element-type.ts";
import { damaged, type Source } from "./library.ts";
import { readStrings } from "./string-attribute.ts";

/** A dataset of an open HDF5 file. Its dtype and shape are known before its values are read. */
export interface Hdf5Dataset {
  /** Absolute path in the file. */
  readonly path: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Reads all values into a new array. @throws {KerasFileError} if the values cannot be decoded. */
  read(): Tensor;
}

/** Filters that the library decodes correctly: deflate, shuffle, Fletcher-32 and scale-offset. */
const decodable: ReadonlySet<number> = new Set([1, 2, 3, 6]);
const deflate = 1;
/** The largest ratio by which a deflate stream can shrink its input. */
const deflateLimit = 1032;
/** Bytes that one read from the library holds at most. */
const slabBytes = 64 * 2 ** 20;

/**
 * Opens the dataset at `path` without reading its values.
 * @throws {KerasFileError} if the values cannot be decoded here, lie in another file, or are declared larger than the
 * file can hold.
 */
export function datasetAt(source: Source, path: string): Hdf5Dataset {
  const { library, fileId, label } = source;
  let metadata: Metadata;
  let filters: readonly { readonly id: number; readonly name: string }[];
  let mark: string | undefined;
  try {
    metadata = library.get_dataset_metadata(fileId, path);
    filters = library.get_dataset_filters(fileId, path);
    const marked = library.get_attribute_names(fileId, path).includes(dtypeMark);
    if (marked) mark = readStrings(source, path, dtypeMark)[0];
  } catch (error) {
    throw error instanceof KerasFileError ? error : damaged(source, path, error);
  }
  const refuse = (what: string, code: string): KerasFileError =>
    new KerasFileError(`${label}: ${path}: ${what}`, code);
  const stored = elementDtype(metadata);
  const shape = metadata.shape;
  if (metadata.virtual_sources)
    throw refuse("is a virtual dataset whose values lie in other files. Refused.", "virtual");
  if (stored === null) throw refuse(`expected numbers, got ${elementTypeName(metadata)}.`, "datatype");
  if (!shape) throw refuse("has no value (a null dataspace).", "null");
  const unknown = filters.find((filter) => !decodable.has(filter.id));
  if (unknown) {
    throw refuse(
      `is compressed with ${unknown.name || "filter"} (${unknown.id}): expected gzip, shuffle or fletcher32. Save it without compression.`,
      "filter",
    );
  }
  const bytes = byteCount(stored, shape);
  const limit = filters.some((filter) => filter.id === deflate || filter.id === 6) ? deflateLimit : 1;
  if (!Number.isSafeInteger(bytes) || bytes > source.bytes * limit) {
    throw refuse(
      `declares ${formatShape(shape)} ${stored}, ${bytes.toLocaleString("en-US")} bytes, in a file of ${source.bytes.toLocaleString("en-US")} bytes. Refused.`,
      "size",
    );
  }
  const dtype = markedDtype(stored, mark);
  const read = (): Tensor => {
    const data = readDataset(source, path, stored, shape);
    return { dtype, shape, data: dtype === stored ? data : restore(data, dtype) };
  };
  return { path, dtype, shape, read };
}

/** Reads a dataset in slabs along the first axis to keep the library's memory, which never shrinks, small. */
function readDataset(source: Source, path: string, dtype: DType, shape: readonly number[]): TensorData {
  const { library, fileId } = source;
  const data = allocate(dtype, shape);
  const target = new Uint8Array(data.buffer);
  if (target.length === 0) return data;
  const rows = shape[0] ?? 1;
  const rowBytes = target.length / rows;
  const slabRows = Math.max(1, Math.min(rows, Math.floor(slabBytes / rowBytes)));
  const pointer = library._malloc(slabRows * rowBytes);
  if (pointer === 0) {
    throw new KerasFileError(
      `${source.label}: ${path}: ${target.length.toLocaleString("en-US")} bytes do not fit in memory.`,
      "size",
    );
  }
  try {
    for (let row = 0; row < rows; row += slabRows) {
      const count = Math.min(slabRows, rows - row);
      const whole = count === rows;
      const counts = whole ? null : shape.map((size, axis) => BigInt(axis === 0 ? count : size));
      const offsets = whole ? null : shape.map((_, axis) => BigInt(axis === 0 ? row : 0));
      const strides = whole ? null : shape.map(() => 1n);
      library.get_dataset_data(fileId, path, counts, offsets, strides, BigInt(pointer));
      target.set(library.HEAPU8.subarray(pointer, pointer + count * rowBytes), row * rowBytes);
    }
  } catch (error) {
    throw damaged(source, path, error);
  } finally {
    library._free(pointer);
  }
  return data;
}
