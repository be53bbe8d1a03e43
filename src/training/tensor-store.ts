import { closeSync } from "node:fs";
import { openUnnamed, readAt, writeAt } from "../data/unnamed-file.ts";
import { rowMemoryBytes } from "../freeze/kept-rows.ts";
import { lazyTensor, withTensors, withValues } from "../lazy-tensor.ts";
import { byteCount, elementCount } from "../tensor.ts";

/** Keeps one value that holds float32 tensors as they are at one moment of a run. */
export interface TensorStore {
  /**
   * Returns a copy of lists, maps and records, the tensors in it as they are now. The tensors of the value kept before cannot be read
   * any more, nor those of this one after `close`.
   */
  keep<T>(value: T): T;
  close(): void;
}

/**
 * Returns a store that keeps tensors of more than `memoryBytes` in a file in `folder`, which has no name and so vanishes with the
 * process: they wait there for the end of a run, while training needs the memory. They stay in memory where they are few, there is no
 * folder, or the disk refuses.
 */
export function tensorStore(folder: string | undefined, memoryBytes: number = rowMemoryBytes): TensorStore {
  let file: number | undefined;
  const fileFor = (bytes: number): number | undefined => {
    if (bytes > memoryBytes && folder !== undefined) file ??= openUnnamed(folder, "weights");
    return bytes > memoryBytes ? file : undefined;
  };
  return {
    keep: (value) => {
      const descriptor = fileFor(bytesIn(value));
      if (descriptor === undefined) return withValues(value);
      try {
        return written(value, descriptor);
      } catch {
        return withValues(value);
      }
    },
    close: () => {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

function bytesIn(value: unknown): number {
  let bytes = 0;
  withTensors(value, (tensor) => {
    bytes += byteCount(tensor.dtype, tensor.shape);
    return tensor;
  });
  return bytes;
}

/** Writes the tensors one after the other, and returns the value with tensors that read them there. */
function written<T>(value: T, file: number): T {
  let end = 0;
  return withTensors(value, ({ data, ...facts }) => {
    const offset = end;
    end += data.byteLength;
    writeAt(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    return lazyTensor(facts, () => {
      const values = new Float32Array(elementCount(facts.shape));
      readAt(file, new Uint8Array(values.buffer), offset);
      return values;
    });
  });
}
