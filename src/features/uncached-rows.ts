/** Features that are not kept: those of any length, and those that no work stands behind. */
import type { SampleOutcome, SampleView } from "../data/sample-batches.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { BadFile, SampleReader } from "../data/sample-reader.ts";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { uploadPadded } from "../model/uploads.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor } from "../tensor.ts";
import { extractArrays } from "./array-features.ts";
import type { FeatureTensor } from "./cache/record.ts";
import type { FileFeatures } from "./file-features.ts";
import { tensorRows } from "./sample-rows.ts";
import type { StaticProgram } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";

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
 * Returns the frontier tensors of files, or of views of them, as rows that are made anew each time they are picked: where no work
 * stands behind them, pixels are too large to keep. Every file is read once first, to know which can be used.
 */
export async function streamRows(
  part: StaticProgram,
  tensors: readonly FeatureTensor[],
  samples: readonly SampleView[],
  { reader, strict, batchSize, seed, signal, onProgress }: UncachedOptions & { readonly seed: number },
): Promise<FileFeatures> {
  const files = [...new Map(samples.map(({ path }) => [path, { path }])).values()];
  const hashes = new Map<string, string>();
  const bad: BadFile[] = [];
  const onSample = ({ path, reason }: SampleOutcome): void => {
    if (reason !== undefined) bad.push({ path, reason });
  };
  for await (const batch of sampleBatches(files, reader, { batchSize, strict, onSample })) {
    signal?.throwIfAborted();
    for (const [row, contentHash] of batch.contentHashes.entries()) {
      const file = files[batch.indices[row] ?? -1];
      if (file) hashes.set(file.path, contentHash);
    }
    onProgress?.(Math.round(((hashes.size + bad.length) * samples.length) / files.length), 0);
  }
  const usable = samples.flatMap(({ path, view = 0 }, index) => {
    const contentHash = hashes.get(path);
    return contentHash === undefined ? [] : [{ index, path, view, contentHash, seed }];
  });
  const trunk = createTrunk(part);
  const make = async (rows: readonly number[]): Promise<readonly Tensor[]> => {
    const chosen = rows.flatMap((row) => usable.slice(row, row + 1));
    const open = reader.open(chosen.length);
    await Promise.all(
      chosen.map(async ({ path, view, contentHash }, place) => {
        open.set(place, await loadAgain(reader, path, view, contentHash));
      }),
    );
    const feed = uploadPadded(open.finish(chosen.length), 0, chosen.length, chosen.length);
    const made = await trunk.run([feed], chosen);
    const values = await Promise.all(made.map(async (tensor) => Float32Array.from(await tensor.data())));
    tf.dispose([feed, ...made]);
    return values.map((data, tensor) =>
      float32Tensor(data, [chosen.length, ...(tensors[tensor]?.shape ?? [])]),
    );
  };
  const pick = sharedPicks(make);
  return {
    features: tensors.map(({ shape }, tensor) => ({
      rowShape: shape,
      count: usable.length,
      byteLength: 4 * elementCount(shape) * usable.length,
      pick: (rows) => pick(Array.from(rows), tensor),
    })),
    indices: usable.map(({ index }) => index),
    contentHashes: usable.map(({ contentHash }) => contentHash),
    bad,
    cached: 0,
    dispose: () => trunk.dispose(),
  };
}

/** Rows that are picked of one tensor after the other are made once. */
function sharedPicks(
  make: (rows: readonly number[]) => Promise<readonly Tensor[]>,
): (rows: readonly number[], tensor: number) => Promise<Tensor> {
  let last: { readonly key: string; readonly made: Promise<readonly Tensor[]> } | undefined;
  return async (rows, tensor) => {
    const key = rows.join();
    if (last?.key !== key) last = { key, made: make(rows) };
    const made = (await last.made)[tensor];
    if (!made) throw new Error(`features: expected tensor ${tensor} of the frontier, got none`);
    return made;
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
