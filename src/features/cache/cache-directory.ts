import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineHome } from "../../engine/home.ts";
import { optionError } from "../../options.ts";
import { isBucketAddress } from "../../storage/address.ts";

/** Returns `features` in `KERAS_FINETUNE_HOME`, else in the user's cache folder. */
export function defaultCacheDirectory(): string {
  return join(engineHome(), "features");
}

/**
 * Returns the folder on this machine's disk for what a run holds besides its cache, such as rows that are too many for memory: the
 * cache's own, so that its disk is the one that is asked for; the default one where the cache lies in a bucket.
 */
export function localFolderOf(cache: string | false | null | undefined): string {
  if (cache === false) return tmpdir();
  const isLocal = typeof cache === "string" && !isBucketAddress(cache);
  return isLocal ? cache : defaultCacheDirectory();
}

/** Size that a cache may have where nobody says otherwise. */
export const defaultCacheBytes = 10e9;

/**
 * Refuses a limit for a cache in a bucket, from which nothing is evicted.
 * @throws {UsageError} if a limit is given.
 */
export function requireNoLimitInBucket(cache: string | false | null | undefined, maxBytes?: number): void {
  if (typeof cache !== "string" || !isBucketAddress(cache)) return;
  if (maxBytes === undefined || maxBytes === defaultCacheBytes) return;
  throw optionError("cacheMax", `a cache on a disk, since nothing is evicted from ${cache}`, maxBytes, {
    code: "bucket-limit",
    advice: "Leave it out, and let a lifecycle rule of the bucket remove what is old.",
  });
}
