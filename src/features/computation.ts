/** Computes features that are not cached: from files through the whole static part, or from features of an earlier cut. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { SampleView } from "../data/sample-batches.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { tf } from "../engine/tf.ts";
import { uploadPadded } from "../model/uploads.ts";
import type { InputTensor } from "../tensor.ts";
import type { Computation, ComputedSample, FileFeatures } from "./file-features.ts";
import { takeComputed } from "./left-work.ts";
import type { StaticProgram, Trunk } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";
import type { DrawnView } from "./views/view.ts";

/**
 * Computes from files. Every batch is padded to `batchSize`, so that a sample's features do not depend on its neighbors.
 * @throws {DataError} if no file can be used, or with `strict` at the first that cannot.
 */
export function fromFiles(
  part: StaticProgram,
  reader: SampleReader,
  { batchSize, seed }: { readonly batchSize: number; readonly seed: number },
): Computation {
  return async function* (samples, { strict, onBad }) {
    const { known, others } = takeComputed(part, batchSize, samples);
    if (known.length > 0) yield known;
    if (known.length === samples.length) return;
    const trunk = createTrunk(part);
    const batches = sampleBatches(others, reader, {
      batchSize,
      strict,
      usedBefore: known.length,
      onSample: ({ path, reason }) => {
        if (reason !== undefined) onBad({ path, reason });
      },
    });
    try {
      for await (const { input, indices, contentHashes, release } of batches) {
        const asked = pairs(selected(others, indices), contentHashes);
        const views = asked.map(([{ view = 0 }, contentHash]): DrawnView => ({ contentHash, view, seed }));
        const features = await runPadded(trunk, [input], batchSize, views);
        release();
        yield computed(asked, features, batchSize);
        await nextTurn();
      }
    } finally {
      trunk.dispose();
    }
  };
}

/**
 * Computes from the features of an earlier cut, which `extract` gives; `part` leads from its frontier to the later one. Batches are
 * padded as those of files are.
 */
export function fromEarlier(
  part: StaticProgram,
  extract: (samples: readonly SampleView[]) => Promise<FileFeatures>,
  { batchSize }: { readonly batchSize: number },
): Computation {
  return async function* (samples, { onBad }) {
    const earlier = await extract(samples);
    const trunk = createTrunk(part);
    try {
      earlier.bad.forEach(onBad);
      const all = pairs(selected(samples, earlier.indices), earlier.contentHashes);
      for (let from = 0; from < all.length; from += batchSize) {
        const asked = all.slice(from, from + batchSize);
        const rows = asked.map((_, row) => from + row);
        const inputs = await Promise.all(earlier.features.map((source) => source.pick(rows)));
        yield computed(asked, await runPadded(trunk, inputs, batchSize), batchSize);
        await nextTurn();
      }
    } finally {
      trunk.dispose();
      earlier.dispose();
    }
  };
}

function selected<T>(items: readonly T[], indices: readonly number[]): T[] {
  return indices.flatMap((index) => items.slice(index, index + 1));
}

function pairs<One, Other>(ones: readonly One[], others: readonly Other[]): (readonly [One, Other])[] {
  return ones.flatMap((one, index) => others.slice(index, index + 1).map((other) => [one, other] as const));
}

/** Takes each sample's values out of those of a padded batch. */
export function computed<Asked extends SampleView>(
  asked: readonly (readonly [Asked, string])[],
  batch: readonly Float32Array[],
  batchSize: number,
): ComputedSample<Asked>[] {
  return asked.map(([sample, contentHash], row) => ({
    sample,
    contentHash,
    features: batch.map((values) => {
      const size = values.length / batchSize;
      return values.subarray(row * size, (row + 1) * size);
    }),
  }));
}

async function runPadded(
  trunk: Trunk,
  inputs: readonly InputTensor[],
  batchSize: number,
  views?: readonly DrawnView[],
): Promise<Float32Array[]> {
  const feeds = inputs.map((input) => uploadPadded(input, 0, input.shape[0] ?? 0, batchSize));
  const features = await trunk.run(feeds, views);
  const values = await Promise.all(features.map(async (tensor) => Float32Array.from(await tensor.data())));
  tf.dispose([...feeds, ...features]);
  return values;
}
