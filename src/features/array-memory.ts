/** @file Features of arrays that several runs on the same dataset share: arrays have no cache on disk. */
import type { ArrayDataset, Batch } from "../data/dataset.ts";
import type { Tensor } from "../tensor.ts";

/** Features by what computes them, for each part of a dataset. */
export interface ArrayMemory {
  /** Returns the features of a part that `key` tells, computed at most once. */
  features(part: Batch, key: string, compute: () => Promise<readonly Tensor[]>): Promise<readonly Tensor[]>;
}

const memories = new WeakMap<ArrayDataset, ArrayMemory>();

/** Returns the memory that the runs on a dataset share now; undefined where they share none. */
export function sharedMemory(dataset: ArrayDataset): ArrayMemory | undefined {
  return memories.get(dataset);
}

/** Does something during which the runs on a dataset share their features, and forgets them then. */
export async function sharingFeatures<T>(dataset: ArrayDataset, action: () => Promise<T>): Promise<T> {
  if (memories.has(dataset)) return action();
  memories.set(dataset, createMemory());
  try {
    return await action();
  } finally {
    memories.delete(dataset);
  }
}

function createMemory(): ArrayMemory {
  const known = new Map<Batch, Map<string, Promise<readonly Tensor[]>>>();
  return {
    features: (part, key, compute) => {
      const own = known.get(part) ?? new Map<string, Promise<readonly Tensor[]>>();
      known.set(part, own);
      const found = own.get(key) ?? compute();
      own.set(key, found);
      // What failed or was stopped is computed again.
      found.catch(() => own.delete(key));
      return found;
    },
  };
}
