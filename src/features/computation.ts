/** Computes features that are not cached: from files through the whole static part, or from features of an earlier cut. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { SampleView } from "../data/sample-batches.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { tf } from "../engine/tf.ts";
import { uploadPadded } from "../model/uploads.ts";
import type { InputTensor } from "../tensor.ts";
import type { Computation, FileFeatures } from "./file-features.ts";
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
    const trunk = createTrunk(part);
    const batches = sampleBatches(samples, reader, {
      batchSize,
      strict,
      onSample: ({ path, reason }) => {
        if (reason !== undefined) onBad({ path, reason });
      },
    });
    try {
      for await (const { input, indices, contentHashes } of batches) {
        const views = contentHashes.map((contentHash, row): DrawnView => {
          return { contentHash, view: samples[indices[row]!]!.view ?? 0, seed };
        });
        const features = await runPadded(trunk, [input], batchSize, views);
        yield { positions: indices, contentHashes, features };
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
      const { indices, contentHashes } = earlier;
      for (let from = 0; from < indices.length; from += batchSize) {
        const rows = indices.slice(from, from + batchSize).map((_, row) => from + row);
        const inputs = await Promise.all(earlier.features.map((source) => source.pick(rows)));
        yield {
          positions: indices.slice(from, from + batchSize),
          contentHashes: contentHashes.slice(from, from + batchSize),
          features: await runPadded(trunk, inputs, batchSize),
        };
        await nextTurn();
      }
    } finally {
      trunk.dispose();
      earlier.dispose();
    }
  };
}

async function runPadded(
  trunk: Trunk,
  inputs: readonly InputTensor[],
  batchSize: number,
  views?: readonly DrawnView[],
): Promise<Float32Array[]> {
  const feeds = inputs.map((input) => uploadPadded(input, 0, input.shape[0]!, batchSize));
  const features = trunk.run(feeds, views);
  const values = await Promise.all(features.map(async (tensor) => Float32Array.from(await tensor.data())));
  tf.dispose([...feeds, ...features]);
  return values;
}
