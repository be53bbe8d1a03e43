/** Features of a later cut, computed from those of an earlier one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imageReader } from "../../src/data/images.ts";
import type { SampleReader } from "../../src/data/sample-reader.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { EngineInfo } from "../../src/engine/engine-info.ts";
import { tf } from "../../src/engine/tf.ts";
import { extractArrays } from "../../src/features/array-features.ts";
import { laterTrunkKeyOf, trunkKeyOf } from "../../src/features/cache/trunk-key.ts";
import type { CutModel } from "../../src/features/cut.ts";
import { cutModels } from "../../src/features/cut.ts";
import type { FeatureSource } from "../../src/features/feature-source.ts";
import { openFeatureSource } from "../../src/features/feature-source.ts";
import { wholeTensor } from "../../src/features/sample-rows.ts";
import { isEarlierCut, splitProgram, staticProgram } from "../../src/features/trunk.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import type { Tensor } from "../../src/tensor.ts";
import { elementCount, float32Tensor } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { randomNumbers, randomWeights } from "../topology/rewrites/graph-maker.ts";
import { randomGraph } from "../topology/rewrites/random-graphs.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const scratch = mkdtempSync(join(tmpdir(), "later-cuts-"));
let engine: EngineInfo;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  engine = await ensureEngine();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const identity = {
  input: { imageSize: [8, 8] },
  storage: "float32",
  batchSize: 4,
  engine: { name: "wasm", version: "1" },
} as const;

function farthest(some: readonly Tensor[], others: readonly Tensor[]): number {
  const differences = some.flatMap(({ data }, index) => {
    const expected = others[index]!.data as Float32Array;
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    return [...(data as Float32Array)].map((value, at) => Math.abs(value - expected[at]!) / largest);
  });
  return Math.max(0, ...differences);
}

test("in random graphs, of any two cuts: the same features, to the bit where the key is a direct extraction's", async () => {
  const seen = { "several earlier tensors": 0, "shared keys": 0, "own keys": 0 };
  const before = tf.memory().numTensors;
  for (let seed = 0; seed < 60; seed++) {
    const random = randomNumbers(seed);
    const drawn = randomGraph(seed, 12);
    const graph = { ...drawn, outputs: drawn.outputs.slice(0, 1) };
    const weights = randomWeights(graph, seed);
    const paths = graph.layers.map((layer) => layer.path).filter((path) => !path.startsWith("fc2"));
    const [few, many] = [random(), random()].sort().map((share) => Math.ceil(share * paths.length));
    const sets = [few, many].map((count) => ({
      frozen: new Set(paths.slice(0, count)),
      bnMode: "inference" as const,
      newLayers: new Set<string>(),
    }));
    const [earlier, later] = cutModels(graph, sets) as [CutModel, CutModel];
    expect(isEarlierCut(earlier, later)).toBe(true);
    const inputs = graph.inputs.map(({ ref }) => {
      const [, ...rest] = graph.nodes[ref.node]!.outputs[ref.output]!.shape!;
      const shape = [6, ...rest.map((size) => size ?? 5)];
      return float32Tensor(
        Float32Array.from({ length: elementCount(shape) }, () => random() * 2 - 1),
        shape,
      );
    });
    const split = splitProgram(earlier, later, weights);
    const [toEarlier, direct] = [staticProgram(earlier, weights), staticProgram(later, weights)];
    const given = await extractArrays(toEarlier, inputs, { batchSize: 4 });
    const expected = await extractArrays(direct, inputs, { batchSize: 4 });
    const made = await extractArrays(split.between, given, { batchSize: 4 });
    expect(farthest(made, expected), `seed ${seed}`).toBeLessThan(1e-5);
    const earlierKey = trunkKeyOf({ ...toEarlier, ...identity });
    const key = laterTrunkKeyOf({ ...identity, ...split, direct, earlierKey });
    const isShared = key === trunkKeyOf({ ...direct, ...identity });
    if (isShared) expect(made, `seed ${seed}`).toEqual(expected);
    seen[isShared ? "shared keys" : "own keys"]++;
    if (given.length > 1) seen["several earlier tensors"]++;
  }
  expect(tf.memory().numTensors).toBe(before);
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(1);
});

test("rounded features are never taken for those of a direct extraction", () => {
  const graph = randomGraph(1, 8);
  const weights = randomWeights(graph, 1);
  const frozen = new Set(graph.layers.slice(0, 4).map(({ path }) => path));
  const [cut] = cutModels(graph, [{ frozen, bnMode: "inference", newLayers: new Set() }]) as [CutModel];
  const half = { ...identity, storage: "float16" } as const;
  const direct = staticProgram(cut, weights);
  const own = trunkKeyOf({ ...direct, ...half });
  const split = splitProgram(cut, cut, weights);
  expect(laterTrunkKeyOf({ ...half, ...split, direct, earlierKey: own })).not.toBe(own);
});

describe("phases of one network", () => {
  const samples = ["brick", "grass", "gravel"].map((name) => ({
    path: join(fixtures, "demo", "photos", "train", name, `${name}-00.jpg`),
  }));
  let cuts: Readonly<Record<"conv2" | "conv3" | "block" | "head", CutModel>>;
  let weights: Awaited<ReturnType<typeof readCheckpoint>>["weights"];
  beforeAll(async () => {
    const checkpoint = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"));
    weights = checkpoint.weights;
    const graph = layerGraph(checkpoint);
    const inBlock = graph.layers.findLast(({ name }) => /_2_conv$/.test(name))!.path;
    const names = ["conv2", "conv3", inBlock, graph.layers.at(-1)!.path];
    const [conv2, conv3, block, head] = cutModels(
      graph,
      names.map((name) => resolveFreeze(graph, freezeUntil(name))),
    );
    cuts = { conv2: conv2!, conv3: conv3!, block: block!, head: head! };
  });

  /** A reader that counts what it reads. */
  function counting(): { reader: SampleReader; reads: () => number } {
    let reads = 0;
    const reader = imageReader({ imageSize: [32, 32], preprocess: "caffe" });
    const load: typeof reader.load = (path, view) => {
      reads++;
      return reader.load(path, view);
    };
    return { reader: { ...reader, load }, reads: () => reads };
  }

  const open = (cut: CutModel, reader: SampleReader, cache: string | false, earlier?: FeatureSource) =>
    openFeatureSource(cut, weights, engine, { reader, cache, earlier });

  async function valuesOf(source: FeatureSource): Promise<Tensor[]> {
    const found = await source.extract(samples);
    const values = await Promise.all(found.features.map(wholeTensor));
    found.dispose();
    return values;
  }

  test("images go through the trunk once, to the earliest cut, a cut inside a residual block among the later ones", async () => {
    expect(cuts.block.partition.frontier.length).toBeGreaterThan(1);
    const { reader, reads } = counting();
    const cache = join(scratch, "phases");
    const first = await open(cuts.conv2, reader, cache);
    await valuesOf(first);
    expect(reads()).toBe(samples.length);
    for (const name of ["conv3", "block", "head"] as const) {
      const direct = await open(cuts[name], counting().reader, false);
      const later = await open(cuts[name], reader, cache, first);
      const [made, expected] = [await valuesOf(later), await valuesOf(direct)];
      expect(farthest(made, expected), name).toBeLessThan(1e-5);
      if (later.trunkKey === direct.trunkKey) expect(made, name).toEqual(expected);
      await later.close();
      const again = await open(cuts[name], reader, cache, first);
      expect((await again.extract(samples)).cached, name).toBe(samples.length);
      await again.close();
    }
    expect(reads()).toBe(samples.length);
    await first.close();
  });

  test("the key of a cut between blocks is a direct extraction's", async () => {
    const { reader } = counting();
    const first = await open(cuts.conv2, reader, join(scratch, "keys"));
    const keys = await Promise.all(
      (["conv3", "head"] as const).map(async (name) => {
        const [later, direct] = [
          await open(cuts[name], reader, join(scratch, "keys"), first),
          await open(cuts[name], reader, join(scratch, "keys")),
        ];
        await Promise.all([later.close(), direct.close()]);
        return [later.trunkKey, direct.trunkKey];
      }),
    );
    for (const [later, direct] of keys) expect(later).toBe(direct);
    await first.close();
  });

  test("where the cut asked for is no later one, it is extracted from the images", async () => {
    const { reader, reads } = counting();
    const head = await open(cuts.head, reader, join(scratch, "reverse"));
    const conv3 = await open(cuts.conv3, reader, join(scratch, "reverse"), head);
    await valuesOf(conv3);
    expect(reads()).toBe(samples.length);
    await Promise.all([head.close(), conv3.close()]);
  });
});
