import { File } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { type Tensor, toFloat32 } from "../tensor.ts";
import { storedDtype } from "./element-type.ts";
import { mount, unmount, type VirtualFile } from "./file-system.ts";
import { libraryMessage, loadLibrary } from "./library.ts";
import { systemError } from "./system-error.ts";

/** An HDF5 file being written. Paths start at the root, `/model_weights/conv1`; groups on the way are made as needed. */
export interface Hdf5Writer {
  group(path: string): void;
  /** float16 and bfloat16 are stored as float32, exactly, with an attribute `dtype` that {@link openHdf5} heeds. */
  dataset(path: string, tensor: Tensor): void;
  /** A string attribute of a group. */
  text(path: string, name: string, value: string): void;
  /** An attribute that lists strings, in parts `name0`, `name1`, … where HDF5 could not hold it in one, as Keras does. */
  textList(path: string, name: string, values: readonly string[]): void;
  close(): void;
}

/** Bytes that an attribute may take in an object header (keras/src/legacy/saving/legacy_h5_format.py). */
const attributeLimit = 64512;
/** Bytes of a variable-length string in an attribute: length, address and index in the global heap. */
const referenceBytes = 16;

/**
 * A new HDF5 file in `virtual`. It is whole only after `close`.
 * @param label What errors call it.
 * @throws {KerasFileError} what HDF5 says of it.
 */
export async function createHdf5(virtual: VirtualFile, label: string): Promise<Hdf5Writer> {
  await loadLibrary();
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
  let file: File;
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
  const attribute = (at: string, name: string, value: string | string[]): void => {
    const ascii = [value].flat().every((text) => /^[\0-\x7f]*$/.test(text));
    const shape = typeof value === "string" ? [] : [value.length];
    const entity = attempt(at, () => file.get(at));
    if (!entity || !("create_attribute" in entity)) throw new Error(`hdf5 writer: ${at} does not exist`);
    attempt(`${at} (${name})`, () => entity.create_attribute(name, value, shape, ascii ? "A" : "S"));
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
      if (stored === null || tensor.dtype === "bool") attribute(at, "dtype", tensor.dtype);
    },
    text: (at, name, value) => attribute(at, name, value),
    textList: (at, name, values) => {
      if (values.length === 0) return;
      const perPart = Math.floor(attributeLimit / referenceBytes);
      if (values.length <= perPart) return attribute(at, name, [...values]);
      for (let part = 0; part * perPart < values.length; part += 1) {
        attribute(at, `${name}${part}`, values.slice(part * perPart, (part + 1) * perPart));
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
