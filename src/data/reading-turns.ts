/** @file The number of files that are read at once, each of which is held in memory meanwhile. */
import { availableParallelism } from "node:os";
import { isBucketAddress } from "../storage/address.ts";
import { bucketConcurrency } from "./bucket-files.ts";

/** Returns how many files are read at once, where the first is one like the others. */
export function readConcurrency(first?: unknown): number {
  if (typeof first === "string" && isBucketAddress(first)) return bucketConcurrency;
  return Math.min(2 * availableParallelism(), 8);
}

/** Returns a function that runs tasks in the order given, at most `count` at a time. */
export function limiter(count: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= count) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      const resume = waiting.shift();
      if (resume) resume();
      else running--;
    }
  };
}
