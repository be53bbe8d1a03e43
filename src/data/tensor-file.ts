import { closeSync } from "node:fs";
import { allocate } from "../hdf5/element-type.ts";
import { lazyTensor } from "../lazy-tensor.ts";
import type { Tensor } from "../tensor.ts";
import { openUnnamed, readAt, writeAt } from "./unnamed-file.ts";

/** A file without a name that holds the values of tensors: it vanishes with the process. */
export interface TensorFile {
  /**
   * Writes a tensor behind those before it, and returns one that reads its values from there each time that they are asked for.
   * @throws the file system's error.
   */
  add<T extends Tensor>(tensor: T): T;
  /** Begins at the start of the file again. What was added before cannot be read any more. */
  rewind(): void;
}

/** Closes the file once nothing can read it any more. */
const closing = new FinalizationRegistry<number>((file) => closeSync(file));

/** Opens a file in `folder`, which is closed once none of its tensors is left; undefined where it cannot be made. */
export function openTensorFile(folder: string, purpose: string): TensorFile | undefined {
  const descriptor = openUnnamed(folder, purpose);
  if (descriptor === undefined) return undefined;
  const file = { descriptor };
  closing.register(file, descriptor);
  let end = 0;
  return {
    add: ({ data, ...facts }) => {
      const offset = end;
      writeAt(file.descriptor, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
      end += data.byteLength;
      return lazyTensor(facts, () => {
        const values = allocate(facts.dtype, facts.shape);
        readAt(file.descriptor, new Uint8Array(values.buffer), offset);
        return values;
      }) as never;
    },
    rewind: () => {
      end = 0;
    },
  };
}
