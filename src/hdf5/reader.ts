import { closeSync, fstatSync, openSync } from "node:fs";
import type { File as LibraryFile } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { datasetAt, type Hdf5Dataset } from "./dataset.ts";
import { mount, unmount, type VirtualFile, windowFile } from "./file-system.ts";
import { damaged, isAbandoned, libraryMessage, loadLibrary, type Source } from "./library.ts";
import { readStrings } from "./string-attribute.ts";
import { systemError } from "./system-error.ts";
import { StarvedRead, withTimeLimit } from "./time-limit.ts";

/** A group of an open HDF5 file. Names of children may be paths (`a/b`). */
export interface Hdf5Group {
  /** Absolute path: `/model_weights/conv1`. */
  readonly path: string;
  /** Lists the names of the groups and datasets in it, in creation order if the file tracks that, else sorted. */
  keys(): readonly string[];
  /** Returns the group of that name, undefined if there is none. @throws {KerasFileError} for a dataset or a link. */
  group(name: string): Hdf5Group | undefined;
  /** Returns the dataset of that name, undefined if there is none. @throws {KerasFileError} for a group or a link. */
  dataset(name: string): Hdf5Dataset | undefined;
  /** Reads a string attribute, undefined if there is none. */
  text(name: string): string | undefined;
  /** Reads an attribute that is a list of strings: `[]` for an empty list of any type, undefined if there is none. */
  textList(name: string): readonly string[] | undefined;
}

/** An open HDF5 file. */
export interface Hdf5File {
  readonly root: Hdf5Group;
  /** Size of the file. */
  readonly bytes: number;
  /**
   * Runs `use`, which reads from the file, and ends it if it takes more of the processor than any honest file of this size does. One
   * call around many reads costs less than one around each.
   * @throws {KerasFileError} if the time is over. @throws {StarvedRead} if the processor was not there to read it.
   */
  limited<T>(use: () => T): T;
  /** Closes the file. Its groups and datasets cannot be read afterwards. */
  close(): void;
}

/**
 * Opens the HDF5 file at `path`. Values are read on demand; the caller closes the file.
 * @throws {KerasFileError} if the file is missing, empty, truncated or not HDF5.
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
      ...file,
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
 * Opens an HDF5 file that lies in memory or inside another open file.
 * @param label Name of the file in error messages.
 * @throws {KerasFileError} if the file is empty, truncated or not HDF5.
 * @throws {StarvedRead} if the processor was not there to open it.
 */
export async function openVirtual(virtual: VirtualFile, label: string): Promise<Hdf5File> {
  const { library, File } = await loadLibrary();
  const bytes = virtual.size();
  if (bytes === 0) throw new KerasFileError(`${label}: the file is empty (0 bytes).`, "empty");
  const path = mount(virtual);
  let file: LibraryFile;
  try {
    file = withTimeLimit(label, bytes, () => new File(path, "r"));
  } catch (error) {
    unmount(path);
    const isTold = error instanceof KerasFileError || error instanceof StarvedRead;
    throw isTold ? error : openError(label, error, virtual);
  }
  return {
    root: groupAt({ library, label, fileId: file.file_id, bytes }, "/"),
    bytes,
    limited: (use) => withTimeLimit(label, bytes, use),
    close: () => {
      if (!isAbandoned(library)) withTimeLimit(label, bytes, () => file.close());
      unmount(path);
    },
  };
}

/** Size in bytes of the superblock, which precedes the first object of every file. */
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
      `${label}: not an HDF5 file: expected an .h5 or .keras file written by Keras, got one that starts with ${shown}.`,
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

/** Formats a number with thousands separators. */
function grouped(digits: string | undefined): string {
  return Number(digits).toLocaleString("en-US");
}

function child(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
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
      const [value, ...others] = values;
      if (value === undefined || others.length > 0) {
        throw new KerasFileError(
          `${source.label}: ${path}: attribute ${name}: expected one string, got ${values.length}.`,
          "attribute",
        );
      }
      return value;
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

/**
 * Returns the kind of the object `name` below `path`, undefined if there is none. Like Keras it refuses links.
 * @throws {KerasFileError} for a soft or external link anywhere on the path.
 */
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
