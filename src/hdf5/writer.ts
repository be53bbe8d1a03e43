import type { File as LibraryFile } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { type Tensor, toFloat32 } from "../tensor.ts";
import { dtypeMark, storedDtype } from "./element-type.ts";
import { mount, unmount, type VirtualFile } from "./file-system.ts";
import { libraryMessage, loadLibrary } from "./library.ts";
import { systemError } from "./system-error.ts";

/**
 * An HDF5 file that is being written. Paths are absolute (`/model_weights/conv1`); missing parent groups are created.
 */
export interface Hdf5Writer {
  /** Creates a group. */
  group(path: string): void;
  /**
   * Writes a tensor. float16 and bfloat16 are stored exactly as float32 and bool as uint8, each with an attribute from
   * which the reader restores the dtype.
   */
  dataset(path: string, tensor: Tensor): void;
  /** Writes a string attribute of a group. */
  text(path: string, name: string, value: string): void;
  /**
   * Writes an attribute that is a list of strings. Like Keras it splits a list that is too long for one attribute into
   * `name0`, `name1`, ….
   */
  textList(path: string, name: string, values: readonly string[]): void;
  /** Completes the file. It cannot be read before. */
  close(): void;
}

/** Bytes that an attribute may take in an object header (`keras/src/legacy/saving/legacy_h5_format.py`). */
const attributeLimit = 64512;
type AttributeValue = string | string[] | Float64Array;

/**
 * Creates an HDF5 file in `virtual`, which is complete only after `close`.
 * @param label Name of the file in error messages.
 * @throws {KerasFileError} with HDF5's own cause if the file cannot be written; the writer's methods throw it too.
 */
export async function createHdf5(virtual: VirtualFile, label: string): Promise<Hdf5Writer> {
  const { File } = await loadLibrary();
  let failure: unknown;
  const path = mount({
    ...virtual,
    write: (source, position) => {
      try {
        virtual.write(source, position);
      } catch (error) {
        failure ??= error;
        throw error;
      }
    },
  });
  const attempt = <T>(place: string, action: () => T): T => {
    try {
      return action();
    } catch (error) {
      if (failure) throw systemError(label, failure);
      throw new KerasFileError(`${label}: ${place}: cannot be written: ${libraryMessage(error)}.`, "write");
    }
  };
  let file: LibraryFile;
  try {
    file = attempt("/", () => new File(path, "w"));
  } catch (error) {
    unmount(path);
    throw error;
  }
  const made = new Set<string>(["", "/"]);
  const group = (at: string): void => {
    if (made.has(at)) return;
    const parent = at.slice(0, at.lastIndexOf("/"));
    group(parent);
    attempt(at, () => file.create_group(at.slice(1)));
    made.add(at);
  };
  const create = (at: string, name: string, value: AttributeValue, shape: number[], dtype: string): void => {
    const entity = attempt(at, () => file.get(at));
    if (!entity || !("create_attribute" in entity)) throw new Error(`hdf5 writer: ${at} does not exist`);
    attempt(`${at} (${name})`, () => entity.create_attribute(name, value, shape, dtype));
  };
  const attribute = (at: string, name: string, value: string): void => {
    create(at, name, value, [], /^[\0-\x7f]*$/.test(value) ? "A" : "S");
  };
  return {
    group,
    dataset: (at, tensor) => {
      group(at.slice(0, at.lastIndexOf("/")));
      const stored = storedDtype(tensor.dtype);
      attempt(at, () =>
        file.create_dataset({
          name: at.slice(1),
          data: stored === null ? toFloat32(tensor) : tensor.data,
          shape: [...tensor.shape],
          dtype: stored ?? "<f",
        }),
      );
      if (stored === null || tensor.dtype === "bool") attribute(at, dtypeMark, tensor.dtype);
    },
    text: (at, name, value) => attribute(at, name, value),
    textList: (at, name, values) => {
      // NumPy turns a list into strings of one length, and an empty list into float64, on which Keras 2.2 relies.
      const length = 1 + values.reduce((longest, value) => Math.max(longest, Buffer.byteLength(value)), 0);
      const perPart = Math.floor(attributeLimit / length);
      if (values.length === 0) return create(at, name, new Float64Array(0), [0], "<d");
      if (values.length <= perPart) return create(at, name, [...values], [values.length], `A${length}`);
      for (let part = 0; part * perPart < values.length; part += 1) {
        const some = values.slice(part * perPart, (part + 1) * perPart);
        create(at, `${name}${part}`, some, [some.length], `A${length}`);
      }
    },
    close: () => {
      try {
        attempt("/", () => file.close());
      } finally {
        unmount(path);
      }
    },
  };
}
