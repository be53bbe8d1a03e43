import { closeSync, fstatSync, openSync } from "node:fs";
import { File, type Metadata } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { byteCount, type DType, formatShape, type Tensor, type TensorData } from "../tensor.ts";
import {
  allocate,
  dtypeMark,
  elementDtype,
  elementTypeName,
  isString,
  markedDtype,
  restore,
} from "./element-type.ts";
import { mount, unmount, type VirtualFile, windowFile } from "./file-system.ts";
import { type Library, libraryMessage, loadLibrary } from "./library.ts";
import { systemError } from "./system-error.ts";

/** A group of an open HDF5 file. Names may be paths (`a/b`). */
export interface Hdf5Group {
  /** From the root: `/model_weights/conv1`. */
  readonly path: string;
  /** Names of its groups and datasets; in creation order where the file keeps it, else sorted. */
  keys(): readonly string[];
  /** The group of that name, undefined where there is none. @throws {KerasFileError} for a dataset or a link. */
  group(name: string): Hdf5Group | undefined;
  /** The dataset of that name, undefined where there is none. @throws {KerasFileError} for a group or a link. */
  dataset(name: string): Hdf5Dataset | undefined;
  /** A string attribute, undefined where there is none. */
  text(name: string): string | undefined;
  /** An attribute that lists strings; `[]` for an empty list of any type, undefined where there is none. */
  textList(name: string): readonly string[] | undefined;
}

export interface Hdf5Dataset {
  readonly path: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** All its values, copied. */
  read(): Tensor;
}

export interface Hdf5File {
  readonly root: Hdf5Group;
  /** Nothing of the file can be read after it. */
  close(): void;
}

/**
 * The HDF5 file at `path`, read as it is asked for.
 * @throws {KerasFileError} if it is missing, empty, truncated or no HDF5.
 */
export async function openHdf5(path: string): Promise<Hdf5File> {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw systemError(path, error);
  }
  try {
    const status = fstatSync(descriptor);
    if (status.isDirectory()) throw systemError(path, { code: "EISDIR" });
    const file = await openVirtual(windowFile(descriptor, 0, status.size), path);
    return {
      root: file.root,
      close: () => {
        file.close();
        closeSync(descriptor);
      },
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * An HDF5 file in memory or within an open file, as {@link openHdf5} gives it.
 * @param label What errors call it.
 */
export async function openVirtual(virtual: VirtualFile, label: string): Promise<Hdf5File> {
  const library = await loadLibrary();
  const bytes = virtual.size();
  if (bytes === 0) throw new KerasFileError(`${label}: the file is empty (0 bytes).`, "empty");
  const path = mount(virtual);
  let file: File;
  try {
    file = new File(path, "r");
  } catch (error) {
    unmount(path);
    throw openError(label, error, virtual);
  }
  return {
    root: groupAt({ library, label, fileId: file.file_id, bytes }, "/"),
    close: () => {
      file.close();
      unmount(path);
    },
  };
}

interface Source {
  readonly library: Library;
  readonly label: string;
  readonly fileId: bigint;
  readonly bytes: number;
}

/** The least that stands before the first object of a file. */
const superblockBytes = 96;

function openError(label: string, error: unknown, virtual: VirtualFile): KerasFileError {
  const cause = libraryMessage(error);
  const truncated = /truncated file: eof = (\d+), sblock->base_addr = (\d+), stored_eof = (\d+)/.exec(cause);
  if (truncated) {
    const [, actual, , expected] = truncated;
    return new KerasFileError(
      `${label}: the file is truncated: ${grouped(actual)} of ${grouped(expected)} bytes. Copy or download it again.`,
      "truncated",
    );
  }
  if (cause.startsWith("file signature not found")) {
    const start = Buffer.alloc(8);
    const read = virtual.read(start, 0);
    const shown = JSON.stringify(start.toString("latin1", 0, read));
    return new KerasFileError(
      `${label}: not an HDF5 file: expected a .h5 or .keras file of Keras, got one that starts with ${shown}.`,
      "not-hdf5",
    );
  }
  const bytes = virtual.size();
  if (bytes < superblockBytes) {
    return new KerasFileError(
      `${label}: the file is truncated after ${bytes} bytes. Copy or download it again.`,
      "truncated",
    );
  }
  return new KerasFileError(`${label}: the HDF5 file cannot be opened: ${cause}.`, "damaged");
}

function grouped(digits: string | undefined): string {
  return Number(digits).toLocaleString("en-US");
}

function child(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

function damaged(source: Source, path: string, error: unknown): KerasFileError {
  return new KerasFileError(`${source.label}: ${path}: cannot be read: ${libraryMessage(error)}.`, "damaged");
}

function groupAt(source: Source, path: string): Hdf5Group {
  const { library, fileId } = source;
  const guard = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (error instanceof KerasFileError) throw error;
      throw damaged(source, path, error);
    }
  };
  const attributeNames = (): readonly string[] => guard(() => library.get_attribute_names(fileId, path));
  return {
    path,
    keys: () => guard(() => library.get_names(fileId, path, false)),
    group: (name) => {
      const kind = linkedKind(source, path, name);
      if (kind === undefined) return undefined;
      if (kind !== "group") throw unexpectedKind(source, child(path, name), "a group", kind);
      return groupAt(source, child(path, name));
    },
    dataset: (name) => {
      const kind = linkedKind(source, path, name);
      if (kind === undefined) return undefined;
      if (kind !== "dataset") throw unexpectedKind(source, child(path, name), "a dataset", kind);
      return datasetAt(source, child(path, name));
    },
    text: (name) => {
      if (!attributeNames().includes(name)) return undefined;
      const values = guard(() => readStrings(source, path, name));
      if (values.length !== 1) {
        throw new KerasFileError(
          `${source.label}: ${path}: attribute ${name}: expected one string, got ${values.length}.`,
          "attribute",
        );
      }
      return values[0]!;
    },
    textList: (name) => {
      const names = attributeNames();
      if (names.includes(name)) return guard(() => readStrings(source, path, name));
      if (!names.includes(`${name}0`)) return undefined;
      const parts: string[] = [];
      for (let part = 0; names.includes(`${name}${part}`); part += 1) {
        for (const value of guard(() => readStrings(source, path, `${name}${part}`))) parts.push(value);
      }
      return parts;
    },
  };
}

function unexpectedKind(source: Source, path: string, expected: string, got: string): KerasFileError {
  return new KerasFileError(`${source.label}: ${path}: expected ${expected}, got a ${got}.`, "structure");
}

/** What `name` under `path` is; a link of any kind on the way is refused, as Keras does. */
function linkedKind(
  source: Source,
  path: string,
  name: string,
): "group" | "dataset" | "datatype" | undefined {
  const { library, fileId } = source;
  let at = path;
  let kind: "group" | "dataset" | "datatype" | undefined;
  for (const part of name.split("/")) {
    at = child(at, part);
    let type: number;
    let target: string | null = null;
    try {
      type = library.get_type(fileId, at);
      if (type >= 0) target = library.get_symbolic_link(fileId, at);
    } catch (error) {
      if (isExternalLink(source, at)) type = library.H5G_UDLINK;
      else throw damaged(source, at, error);
    }
    if (type < 0) return undefined;
    if (type === library.H5G_UDLINK || isExternalLink(source, at)) {
      throw new KerasFileError(
        `${source.label}: ${at}: is an external link. Links to other files are refused.`,
        "link",
      );
    }
    if (target !== null || type === library.H5G_LINK) {
      throw new KerasFileError(
        `${source.label}: ${at}: is a soft link (to ${target ?? "nothing"}). Links are refused.`,
        "link",
      );
    }
    kind = type === library.H5G_GROUP ? "group" : type === library.H5G_DATASET ? "dataset" : "datatype";
  }
  return kind;
}

function isExternalLink(source: Source, path: string): boolean {
  try {
    return source.library.get_external_link(source.fileId, path).filename !== undefined;
  } catch {
    return false;
  }
}

function readStrings(source: Source, path: string, name: string): readonly string[] {
  const { library, fileId, label } = source;
  const metadata = library.get_attribute_metadata(fileId, path, name);
  if (!metadata.shape || metadata.total_size === 0) return [];
  if (!isString(metadata)) {
    throw new KerasFileError(
      `${label}: ${path}: attribute ${name}: expected strings, got ${elementTypeName(metadata)}.`,
      "attribute",
    );
  }
  const bytes = metadata.size * metadata.total_size;
  const pointer = library._malloc(bytes);
  if (pointer === 0)
    throw new KerasFileError(`${label}: ${path}: attribute ${name}: ${bytes} bytes are too many.`, "size");
  try {
    library.get_attribute_data(fileId, path, name, BigInt(pointer));
    const values: string[] = [];
    if (metadata.vlen) {
      const pointers = new Uint32Array(library.HEAPU8.slice(pointer, pointer + bytes).buffer);
      for (const at of pointers) values.push(at === 0 ? "" : library.UTF8ToString(at));
      library.reclaim_vlen_memory(fileId, path, name, BigInt(pointer));
    } else {
      for (let index = 0; index < metadata.total_size; index += 1) {
        const start = pointer + index * metadata.size;
        values.push(fixedString(library.HEAPU8.subarray(start, start + metadata.size), metadata));
      }
    }
    return values;
  } finally {
    library._free(pointer);
  }
}

const spacePadded = 2;

function fixedString(bytes: Uint8Array, metadata: Metadata): string {
  const end = bytes.indexOf(0);
  const text = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
  return metadata.strpad === spacePadded ? text.trimEnd() : text;
}

/** Filters that the library decodes rightly: deflate, shuffle, Fletcher-32, scale-offset. */
const decodable: ReadonlySet<number> = new Set([1, 2, 3, 6]);
const deflate = 1;
/** No deflate stream shrinks its input more than this. */
const deflateLimit = 1032;
const slabBytes = 64 * 2 ** 20;

function datasetAt(source: Source, path: string): Hdf5Dataset {
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
    throw refuse("is a virtual dataset: its values lie in other files. Refused.", "virtual");
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

/** Reads in slabs along the first axis, so that the library's memory, which never shrinks, stays small. */
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
      `${source.label}: ${path}: ${target.length.toLocaleString("en-US")} bytes are too many.`,
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
