/** Features that are not kept: those of any length, and the model's inputs where nothing is computed ahead. */
import type { SampleOutcome, SampleView } from "../data/sample-batches.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { BadFile, SampleReader } from "../data/sample-reader.ts";
import { DataError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { extractArrays } from "./array-features.ts";
import type { FileFeatures } from "./file-features.ts";
import { tensorRows } from "./sample-rows.ts";
import type { StaticProgram } from "./trunk.ts";

interface UncachedOptions {
  readonly reader: SampleReader;
  readonly strict: boolean;
  readonly batchSize: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((done: number, cached: number) => void) | undefined;
}

/** Returns the frontier tensors of files where they are as long as the longest text of all. */
export async function extractOpenRows(
  part: StaticProgram,
  samples: readonly SampleView[],
  { reader, strict, batchSize, signal, onProgress }: UncachedOptions,
): Promise<FileFeatures> {
  const open = reader.open(samples.length);
  const indices: number[] = [];
  const contentHashes: string[] = [];
  const bad: BadFile[] = [];
  for (const [index, { path }] of samples.entries()) {
    signal?.throwIfAborted();
    const outcome = await reader.load(path);
    if ("reason" in outcome) {
      if (strict) throw new DataError(`${path}: ${outcome.reason}`, "bad-files");
      bad.push(outcome);
      continue;
    }
    open.set(indices.length, outcome.value);
    indices.push(index);
    contentHashes.push(outcome.contentHash);
  }
  const tensors = await extractArrays(part, [open.finish(indices.length)], {
    batchSize,
    signal,
    onProgress: (done) => onProgress?.(done + bad.length, 0),
  });
  return { features: tensors.map(tensorRows), indices, contentHashes, bad, cached: 0, dispose: () => {} };
}

/**
 * Returns the model's inputs as rows that are read from their files each time they are picked: what a model without a static part
 * trains on is too large to keep. Every file is read once first, to know which can be used.
 */
export async function streamInputs(
  samples: readonly SampleView[],
  { reader, strict, batchSize, signal, onProgress }: UncachedOptions,
): Promise<FileFeatures> {
  const files = [...new Map(samples.map(({ path }) => [path, { path }])).values()];
  const hashes = new Map<string, string>();
  const bad: BadFile[] = [];
  const onSample = ({ path, reason }: SampleOutcome): void => {
    if (reason !== undefined) bad.push({ path, reason });
  };
  for await (const batch of sampleBatches(files, reader, { batchSize, strict, onSample })) {
    signal?.throwIfAborted();
    batch.indices.forEach((index, row) => {
      hashes.set(files[index]!.path, batch.contentHashes[row]!);
    });
    onProgress?.(Math.round(((hashes.size + bad.length) * samples.length) / files.length), 0);
  }
  const indices = samples.map((_, index) => index).filter((index) => hashes.has(samples[index]!.path));
  const pick = async (rows: ArrayLike<number>): Promise<Tensor> => {
    const open = reader.open(rows.length);
    await Promise.all(
      Array.from(rows, async (row, place) => {
        const { path, view } = samples[indices[row]!]!;
        open.set(place, await loadAgain(reader, path, view, hashes.get(path)!));
      }),
    );
    return open.finish(rows.length) as Tensor;
  };
  const rowShape = reader.sampleShape;
  const byteLength = 4 * elementCount(rowShape) * indices.length;
  return {
    features: [{ rowShape, count: indices.length, byteLength, pick }],
    indices,
    contentHashes: indices.map((index) => hashes.get(samples[index]!.path)!),
    bad,
    cached: 0,
    dispose: () => {},
  };
}

/** @throws {DataError} if the file cannot be read any more, or holds other bytes than it did. */
async function loadAgain(
  reader: SampleReader,
  path: string,
  view: number | undefined,
  contentHash: string,
): Promise<unknown> {
  const loaded = await reader.load(path, view);
  if ("reason" in loaded) throw new DataError(`${path}: ${loaded.reason}`, "bad-files");
  if (loaded.contentHash === contentHash) return loaded.value;
  throw new DataError(
    `${path}: expected the bytes that the run began with, got others. Start the run again.`,
    "data-changed",
  );
}
