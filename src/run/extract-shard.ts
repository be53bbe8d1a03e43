import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import type { ClassFolders } from "../data/class-folders.ts";
import { imageFolder, textFolder } from "../data/class-folders.ts";
import type { FileDataset } from "../data/dataset.ts";
import { commonFolder, sharedName } from "../data/file-listing.ts";
import type { SampleView } from "../data/sample-batches.ts";
import { DataError, KerasFileError, MachineError, UsageError } from "../errors.ts";
import type { SmallFiles } from "../features/cache/small-files.ts";
import type { FeatureSource } from "../features/feature-source.ts";
import type { Shard, ShardFeatures } from "../features/shard.ts";
import { shardIndexOf } from "../features/shard.ts";
import { optionName, optionSetTo } from "../options.ts";
import { isBucketAddress } from "../storage/address.ts";
import { forEachAtOnce } from "../storage/at-once.ts";

export interface ShardJob {
  readonly source: FeatureSource;
  readonly dataset: FileDataset;
  readonly shard: Shard;
  /** Returns the views of a sample to extract. Without it the sample itself is extracted. */
  readonly viewsOf?: ((sample: FileDataset["samples"][number]) => readonly number[]) | undefined;
  readonly onProgress?: ((done: number, total: number, cached: number) => void) | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Extracts the share of a dataset that belongs to one machine into a cache that all share, and leaves a small manifest,
 * `shard-<I>-of-<N>.json`, beside the features, which says what was done. A sample belongs to the shard that the hash of its path below the data's folder says.
 * @throws {UsageError} where there is nothing to extract or no cache. @throws {DataError} if the folder's listing changed meanwhile.
 * @throws {MachineError} if the cache did not take all features.
 */
export async function extractShard(job: ShardJob): Promise<ShardFeatures> {
  const { source, dataset, shard, viewsOf, onProgress } = job;
  const { fill, folder, files } = source;
  if (fill === null || folder === null || files === null) throw nothingToKeep(source);
  const started = performance.now();
  const root = dataRoot(dataset);
  const names = sharedNames(dataset, root);
  const before = listing(names);
  const isOwn = (index: number): boolean =>
    shard.count === 1 || shardIndexOf(names[index] ?? "", shard.count) === shard.index;
  const own = dataset.samples.filter((_, index) => isOwn(index));
  const asked = own.flatMap((sample): SampleView[] => {
    return viewsOf ? viewsOf(sample).map((view) => ({ path: sample.path, view })) : [{ path: sample.path }];
  });
  const filled = await fill(asked, (done, cached) => onProgress?.(done, asked.length, cached));
  const { samples, extracted, cached, bad } = filled;
  // Where nothing was computed no time has passed in which the folder could change.
  const after = filled.cached === asked.length ? null : await listingOf(dataset);
  if (after && before.sha256 !== after.sha256) throw changedListing(root, before, after);
  if (filled.lost > 0) throw notKept(folder, filled.lost);
  const bytes = samples * source.sampleBytes;
  const seconds = (performance.now() - started) / 1000;
  const result: ShardFeatures = { shard, samples, extracted, cached, bytes, seconds, bad };
  await leaveManifest(job, files, before, result);
  return result;
}

interface Listing {
  readonly files: number;
  /** Hash of all paths below the data's folder, in order. */
  readonly sha256: string;
}

/** Paths that are hashed in one go. */
const pathsAtOnce = 1 << 13;

function listing(paths: readonly string[]): Listing {
  const hash = createHash("sha256");
  const sorted = paths.map((each) => each.replaceAll("\\", "/")).sort();
  for (let from = 0; from < sorted.length; from += pathsAtOnce) {
    hash.update(`${sorted.slice(from, from + pathsAtOnce).join("\0")}\0`);
  }
  return { files: paths.length, sha256: hash.digest("hex") };
}

/** Returns the listing of the dataset's folder as it is now; null for a dataset that is no whole folder. */
async function listingOf(dataset: FileDataset): Promise<Listing | null> {
  if (!isFolder(dataset)) return null;
  const list = dataset.kind === "images" ? imageFolder : textFolder;
  return listing(sharedNames(await list(dataset.directory, { validationFraction: 0 }), dataset.directory));
}

/** Returns the paths of a dataset's samples below its folder, or below `root` where it is no whole folder. */
function sharedNames(dataset: FileDataset, root: string): readonly string[] {
  const folder = isFolder(dataset) ? dataset.directory : null;
  return dataset.samples.map(({ path }) =>
    folder === null ? sharedName(root, resolve(path)) : sharedName(folder, path),
  );
}

function isFolder(dataset: FileDataset): dataset is ClassFolders & FileDataset {
  return "directory" in dataset && typeof dataset.directory === "string";
}

/** Returns the folder that paths are told below: the one that was given, else the deepest that holds all samples. */
function dataRoot(dataset: FileDataset): string {
  if (isFolder(dataset)) return resolve(dataset.directory);
  return commonFolder(dataset.samples.map(({ path }) => dirname(resolve(path))));
}

/** Contents of a shard's manifest. */
interface Manifest {
  readonly shard: Shard;
  readonly trunk: string | null;
  readonly listing: Listing;
  readonly samples: number;
  readonly extracted: number;
  readonly cached: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly bad: number;
}

/** Writes the manifest, and warns of other shards that were extracted from another listing. */
async function leaveManifest(
  { source: { trunkKey, folder }, onWarning }: ShardJob,
  files: SmallFiles,
  listed: Listing,
  { bad, ...figures }: ShardFeatures,
): Promise<void> {
  const { index, count } = figures.shard;
  const nameOf = (other: number): string => `shard-${other}-of-${count}.json`;
  const manifest: Manifest = { ...figures, trunk: trunkKey, listing: listed, bad: bad.length };
  await files.replace(nameOf(index), `${JSON.stringify(manifest, null, 2)}\n`).catch((error: unknown) => {
    throw error instanceof KerasFileError && error.code === "enoent"
      ? removedCache(folder ?? "cache")
      : error;
  });
  const strange: number[] = [];
  await forEachAtOnce(othersOf(figures.shard), manifestsAtOnce, async (other) => {
    const found = parsedManifest(await files.read(nameOf(other)));
    if (found && found.listing.sha256 !== listed.sha256) strange.push(other);
  });
  if (strange.length === 0) return;
  onWarning?.(
    `shard ${index}/${count}: expected the ${listed.files} files that it listed to be those of every shard, got other listings in ${strange
      .sort((one, another) => one - another)
      .map((other) => `${other}/${count}`)
      .join(", ")}. Run these again if they are of an earlier job.`,
  );
}

const manifestsAtOnce = 8;
/** Most other shards whose manifests one looks at: together they see all. */
const mostOthers = 64;

/** Returns the shards whose manifests one of them looks at: those that follow it. */
function othersOf({ index, count }: Shard): readonly number[] {
  return Array.from({ length: Math.min(count - 1, mostOthers) }, (_, step) => (index + 1 + step) % count);
}

function parsedManifest(text: string | null): Manifest | null {
  if (text === null) return null;
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    return null;
  }
}

function nothingToKeep({ trunkKey }: FeatureSource): UsageError {
  return trunkKey === null
    ? new UsageError(
        `extract: expected a frozen part that computes something from each sample, got none. Freeze more: ${optionName("freeze")}.`,
        "nothing-to-extract",
        "freeze",
      )
    : new UsageError(
        `${optionSetTo("cache", false)}: expected a folder that the features are extracted into, got none. Remove it, or name a folder.`,
        "extract-without-cache",
        "cache",
      );
}

function changedListing(root: string, before: Listing, after: Listing): DataError {
  return new DataError(
    `${root}: files: expected the ${before.files} that the extraction began with, got another listing of ${after.files}. What was extracted is kept; run the shards again once the folder is complete.`,
    "data-changed",
  );
}

function removedCache(folder: string): MachineError {
  return new MachineError(
    `${folder}: expected the folder of the features, got none: it was removed while they were extracted. Run the shard again.`,
    "cache-gone",
  );
}

function notKept(cache: string, lost: number): MachineError {
  const advice = isBucketAddress(cache)
    ? "Mend what the warning says"
    : `Free space, or raise ${optionName("cacheMax")}`;
  return new MachineError(
    `${cache}: expected room for all features, got none for ${lost} of them. ${advice}, and run the shard again: what is there is not computed twice.`,
    "cache-full",
  );
}
