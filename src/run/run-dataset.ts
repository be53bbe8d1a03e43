/** The dataset of a run that is given as one. */
import { tmpdir } from "node:os";
import { knownDataset } from "../data/batches.ts";
import type { Dataset, StoredDataset } from "../data/dataset.ts";
import { spoolBatches } from "../data/spooled-batches.ts";
import { defaultCacheDirectory } from "../features/cache/feature-cache.ts";

/**
 * Returns a dataset whose samples can be counted and read in any order: one of batches is read once, its inputs into files beside the
 * cached features.
 */
export async function inMemoryOrSpooled(
  dataset: Dataset,
  cache: string | false | null,
): Promise<StoredDataset> {
  const known = knownDataset(dataset);
  return known.kind === "batches" ? spoolBatches(known, spoolFolder(cache)) : known;
}

/** Returns the folder of a run's files that have no name. */
export function spoolFolder(cache: string | false | null): string {
  return cache === false ? tmpdir() : (cache ?? defaultCacheDirectory());
}
