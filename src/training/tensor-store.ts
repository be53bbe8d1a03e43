import type { TensorFile } from "../data/tensor-file.ts";
import { openTensorFile } from "../data/tensor-file.ts";
import { rowMemoryBytes } from "../freeze/kept-rows.ts";
import { withTensors, withValues } from "../lazy-tensor.ts";
import { byteCount } from "../tensor.ts";

/** Keeps one value that holds tensors as they are at one moment of a run. */
export interface TensorStore {
  /**
   * Returns a copy of lists, maps and records, the tensors in it as they are now. The tensors of the value kept before cannot be read
   * any more.
   */
  keep<T>(value: T): T;
}

/**
 * Returns a store that keeps tensors of more than `memoryBytes` in a file in `folder`, which has no name and so vanishes with the
 * process: they wait there for the end of a run, while training needs the memory. They stay in memory where they are few, there is no
 * folder, or the disk refuses.
 */
export function tensorStore(folder: string | undefined, memoryBytes: number = rowMemoryBytes): TensorStore {
  let file: TensorFile | undefined;
  return {
    keep: (value) => {
      const isLarge = bytesIn(value) > memoryBytes;
      if (isLarge && folder !== undefined) file ??= openTensorFile(folder, "weights");
      if (!isLarge || !file) return withValues(value);
      const { add, rewind } = file;
      try {
        rewind();
        return withTensors(value, add);
      } catch {
        return withValues(value);
      }
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
