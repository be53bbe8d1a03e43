import { File } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { type Tensor, toFloat32 } from "../tensor.ts";
import { dtypeMark, storedDtype } from "./element-type.ts";
import { mount, unmount, type VirtualFile } from "./file-system.ts";
import { libraryMessage, loadLibrary } from "./library.ts";
import { systemError } from "./system-error.ts";

/** An HDF5 file being written. Paths start at the root, `/model_weights/conv1`; groups on the way are made as needed. */
export interface Hdf5Writer {
  group(path: string): void;
  /** float16 and bfloat16 are stored as float32, exactly, and bool as uint8, with an attribute that the reader heeds. */
  dataset(path: string, tensor: Tensor): void;
  /** A string attribute of a group. */
  text(path: string, name: string, value: string): void;
  /** An attribute that lists strings, in parts `name0`, `name1`, … where HDF5 could not hold it in one, as Keras does. */
  textList(path: string, name: string, values: readonly string[]): void;
  close(): void;
}

/** Bytes that an attribute may take in an object header (keras/src/legacy/saving/legacy_h5_format.py). */
const attributeLimit = 64512;
type AttributeValue = string | string[] | Float64Array;

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
      // Strings of one length, and for none an empty list of numbers: what numpy made of lists, and Keras 2.2 relies on.
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
