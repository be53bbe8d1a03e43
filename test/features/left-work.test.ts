/** Weights and features that a trial leaves for its run. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { imageReader } from "../../src/data/images.ts";
import type { SampleView } from "../../src/data/sample-batches.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { fromFiles } from "../../src/features/computation.ts";
import type { CutModel } from "../../src/features/cut.ts";
import { cutModels } from "../../src/features/cut.ts";
import type { ComputedSample } from "../../src/features/file-features.ts";
import { disposeLeftWork, leaveComputed } from "../../src/features/left-work.ts";
import type { StaticProgram } from "../../src/features/trunk.ts";
import { createTrunk, staticProgram } from "../../src/features/trunk.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const samples = ["brick", "grass", "gravel"].map((name) => ({
  path: join(fixtures, "demo", "photos", "train", name, `${name}-00.jpg`),
}));
const plain = imageReader({ imageSize: [32, 32], preprocess: "caffe" });
const reads: string[] = [];
const reader: typeof plain = {
  ...plain,
  load: (path) => {
    reads.push(String(path));
    return plain.load(path);
  },
};
let part: StaticProgram;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  const checkpoint = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"));
  const graph = layerGraph(checkpoint);
  const [cut] = cutModels(graph, [resolveFreeze(graph, freezeUntil("conv3"))]) as [CutModel];
  part = staticProgram(cut, checkpoint.weights);
});

async function computedOf(
  asked: readonly SampleView[],
  batchSize = 2,
): Promise<readonly ComputedSample<SampleView>[]> {
  reads.length = 0;
  const compute = fromFiles(part, reader, { batchSize, seed: 0 });
  const all: ComputedSample<SampleView>[] = [];
  for await (const batch of compute(asked, { strict: true, onBad: () => {} })) all.push(...batch);
  return all;
}

test("a sample that a trial has computed is not read again, once, and its features are the same", async () => {
  const expected = await computedOf(samples);
  expect(reads).toHaveLength(3);
  leaveComputed(part, 2, expected.slice(0, 2));
  expect(await computedOf(samples)).toEqual(expected);
  expect(reads).toEqual([samples[2]?.path]);
  leaveComputed(part, 2, expected);
  expect(await computedOf(samples)).toEqual(expected);
  expect(reads).toEqual([]);
  expect(await computedOf(samples)).toEqual(expected);
  expect(reads).toHaveLength(3);
});

test("files that cannot be used are left out also where a trial has computed all others", async () => {
  const expected = await computedOf(samples);
  leaveComputed(part, 2, expected);
  const bad: string[] = [];
  const compute = fromFiles(part, reader, { batchSize: 2, seed: 0 });
  const broken = [{ path: "absent.jpg" }, { path: "gone.jpg" }];
  const all: ComputedSample<SampleView>[] = [];
  for await (const batch of compute([...samples, ...broken], {
    strict: false,
    onBad: ({ path }) => void bad.push(path),
  }))
    all.push(...batch);
  expect(all).toEqual(expected);
  expect(bad).toEqual(["absent.jpg", "gone.jpg"]);
});

test("a view of it is read, and so is what another batch size may compute in other bits", async () => {
  const expected = await computedOf(samples);
  leaveComputed(part, 2, expected);
  await computedOf(samples.map(({ path }) => ({ path, view: 1 })));
  expect(reads).toHaveLength(3);
  leaveComputed(part, 2, expected);
  await computedOf(samples, 3);
  expect(reads).toHaveLength(3);
});

test("weights that a trial leaves are those of the next trunk, or are released", async () => {
  const before = tf.memory().numTensors;
  const trunk = createTrunk(part);
  const held = tf.memory().numTensors;
  expect(held).toBeGreaterThan(before);
  trunk.leaveWeights();
  const next = createTrunk(part);
  expect(tf.memory().numTensors).toBe(held);
  next.leaveWeights();
  disposeLeftWork();
  expect(tf.memory().numTensors).toBe(before);
});
