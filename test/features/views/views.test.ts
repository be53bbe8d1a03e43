import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imageReader } from "../../../src/data/images.ts";
import type { SampleView } from "../../../src/data/sample-batches.ts";
import type { SampleReader } from "../../../src/data/sample-reader.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import type { EngineInfo } from "../../../src/engine/engine-info.ts";
import { tf } from "../../../src/engine/tf.ts";
import { extractArrays } from "../../../src/features/array-features.ts";
import type { CutModel } from "../../../src/features/cut.ts";
import { cutModel } from "../../../src/features/cut.ts";
import { openFeatureSource } from "../../../src/features/feature-source.ts";
import { wholeTensor } from "../../../src/features/sample-rows.ts";
import { staticProgram } from "../../../src/features/trunk.ts";
import { streamRows } from "../../../src/features/uncached-rows.ts";
import { augmentationRecipe, recipeLayers } from "../../../src/features/views/recipe.ts";
import type { ImageShape } from "../../../src/features/views/transformations.ts";
import { transformations } from "../../../src/features/views/transformations.ts";
import type { ViewSettings } from "../../../src/features/views/view.ts";
import { viewOfEpoch, viewStream, viewsOfEpochs } from "../../../src/features/views/view.ts";
import { viewReader } from "../../../src/features/views/view-reader.ts";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { drawsFrom } from "../../../src/layers/random-images/draws.ts";
import { randomImageLayers } from "../../../src/layers/random-images/kernels.ts";
import type { Tensor } from "../../../src/tensor.ts";
import { float32Tensor } from "../../../src/tensor.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";

const fixtures = join(import.meta.dirname, "..", "..", "..", "fixtures");
const photos = ["brick", "grass", "gravel"].map((name) =>
  join(fixtures, "demo", "photos", "train", name, `${name}-00.jpg`),
);
const scratch = mkdtempSync(join(tmpdir(), "views-"));
let engine: EngineInfo;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  engine = await ensureEngine();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const image = { imageSize: [32, 32] as const, preprocess: "torch" as const };
const shape: ImageShape = [32, 32, 3];
const layersOf = (recipe: string) => recipeLayers(augmentationRecipe(recipe), shape);

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

async function pixelsOf(reader: SampleReader<Float32Array>, path: string, view?: number): Promise<number[]> {
  const loaded = await reader.load(path, view);
  if ("reason" in loaded) throw new Error(loaded.reason);
  return [...loaded.value];
}

describe("what a view is drawn from", () => {
  const view = { contentHash: "ab".repeat(32), view: 1, seed: 0 };
  const numbers = (changes: Partial<typeof view>, purpose: "image" | "model" = "image") => {
    const stream = viewStream({ ...view, ...changes }, purpose);
    return [stream.nextSeed(), stream.nextSeed()];
  };

  test("is the content, the view and the seed, and nothing else", () => {
    expect(numbers({})).toEqual(numbers({}));
    const others = [{ contentHash: "cd".repeat(32) }, { view: 2 }, { seed: 1 }].map((other) =>
      numbers(other),
    );
    const all = [numbers({}), ...others, numbers({}, "model")];
    expect(new Set(all.map(String)).size).toBe(all.length);
  });

  test("gives every transformation the numbers that this version of views draws", () => {
    const drawn = Object.keys(transformations).flatMap((name) =>
      layersOf(name).flatMap(({ className, config }) => {
        const { nextSeed } = viewStream(view, "image");
        const draws = { ...drawsFrom(nextSeed()), normal: () => tf.scalar(0) };
        const call = {
          shape: { count: 1, height: 32, width: 32, channels: 3 },
          config,
          draws,
          keras: 3 as const,
        };
        const written = (_key: string, part: unknown) => {
          if (part instanceof tf.Tensor) return "normal numbers";
          return typeof part === "number" ? part.toPrecision(12) : part;
        };
        const rounded = (value: unknown) => JSON.stringify(value, written);
        return tf.tidy(() => rounded(randomImageLayers[className]?.draw(call) ?? null));
      }),
    );
    // Another number means that kept views are no longer what would be drawn: raise the version of views.
    expect(digest(drawn)).toMatchInlineSnapshot(`"cf3e415dea5c4556"`);
  });
});

describe("epochs take views in turn", () => {
  test("epoch e trains on view e mod K", () => {
    expect([1, 2, 3, 4, 5].map((epoch) => viewOfEpoch(epoch, 4))).toEqual([1, 2, 3, 0, 1]);
    expect(viewsOfEpochs(1, 10, 4)).toEqual([0, 1, 2, 3]);
    expect(viewsOfEpochs(1, 2, 4)).toEqual([1, 2]);
  });

  test("with 0 views each epoch has one of its own", () => {
    expect([1, 2, 9].map((epoch) => viewOfEpoch(epoch, 0))).toEqual([1, 2, 9]);
  });
});

describe("a reader of views", () => {
  test("gives the image itself as view 0, to the bit", async () => {
    const plain = await pixelsOf(imageReader(image), photos[0]!);
    const reader = viewReader(image, { layers: layersOf("strong"), seed: 0 });
    expect(await pixelsOf(reader, photos[0]!, 0)).toEqual(plain);
    expect(await pixelsOf(reader, photos[0]!)).toEqual(plain);
  });

  test("gives the same view again, whatever was read between", async () => {
    const reader = viewReader(image, { layers: layersOf("medium"), seed: 3 });
    const first = await pixelsOf(reader, photos[0]!, 2);
    await pixelsOf(reader, photos[1]!, 2);
    expect(await pixelsOf(reader, photos[0]!, 2)).toEqual(first);
    expect(await pixelsOf(viewReader(image, { layers: layersOf("medium"), seed: 3 }), photos[0]!, 2)).toEqual(
      first,
    );
  });

  test("gives other pixels for another view and another seed", async () => {
    const [first, other] = [
      viewReader(image, { layers: layersOf("light"), seed: 0 }),
      viewReader(image, { layers: layersOf("light"), seed: 1 }),
    ];
    const views = [
      await pixelsOf(first, photos[0]!, 0),
      await pixelsOf(first, photos[0]!, 1),
      await pixelsOf(first, photos[0]!, 2),
      await pixelsOf(other, photos[0]!, 1),
    ];
    expect(new Set(views.map(String)).size).toBe(4);
  });

  test("leaves no tensor behind", async () => {
    const before = tf.memory().numTensors;
    const reader = viewReader(image, { layers: layersOf(Object.keys(transformations).join()), seed: 0 });
    await Promise.all([1, 2, 3].map((view) => pixelsOf(reader, photos[0]!, view)));
    expect(tf.memory().numTensors).toBe(before);
  });

  test("gives an input of whole numbers whole numbers", async () => {
    const whole = { ...image, preprocess: "none" as const, isWhole: true };
    const pixels = await pixelsOf(viewReader(whole, { layers: layersOf("light"), seed: 0 }), photos[0]!, 1);
    expect(pixels.every(Number.isInteger)).toBe(true);
  });

  test("refuses layers that change the size", async () => {
    const crop = recipeLayers(
      augmentationRecipe({ class_name: "RandomCrop", config: { height: 8, width: 8 } }),
      shape,
    );
    await expect(viewReader(image, { layers: crop, seed: 0 }).load(photos[0]!, 1)).rejects.toThrow(
      "Add a Resizing layer",
    );
  });
});

describe("features of views", () => {
  let cut: CutModel;
  let weights: Awaited<ReturnType<typeof readCheckpoint>>["weights"];
  beforeAll(async () => {
    const checkpoint = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"));
    weights = checkpoint.weights;
    const graph = layerGraph(checkpoint);
    const head = graph.layers.at(-1)!.path;
    const frozen = new Set(graph.layers.map(({ path }) => path).filter((path) => path !== head));
    cut = cutModel(graph, { frozen, bnMode: "inference", newLayers: new Set() });
  });

  async function extract(
    samples: readonly SampleView[],
    { cache, views }: { readonly cache: string | false; readonly views?: ViewSettings },
  ): Promise<{ values: Tensor; cached: number }> {
    const reader = views ? viewReader(image, views) : imageReader(image);
    const source = await openFeatureSource(cut, weights, engine, { reader, views, cache });
    try {
      const found = await source.extract(samples);
      const values = await wholeTensor(found.features[0]!);
      found.dispose();
      return { values, cached: found.cached };
    } finally {
      await source.close();
    }
  }

  const views = (recipe: string, seed = 0): ViewSettings => ({ layers: layersOf(recipe), seed });
  const three = photos.flatMap((path) => [0, 1, 2].map((view) => ({ path, view })));

  test("are kept each as a sample of its own, and the image itself as runs without views keep it", async () => {
    const cache = join(scratch, "kept");
    const plain = await extract(
      photos.map((path) => ({ path })),
      { cache },
    );
    expect(plain.cached).toBe(0);
    const first = await extract(three, { cache, views: views("light") });
    expect(first.cached).toBe(photos.length);
    const width = first.values.shape[1]!;
    const row = (tensor: Tensor, index: number) => [
      ...tensor.data.subarray(index * width, (index + 1) * width),
    ];
    expect(row(first.values, 3)).toEqual(row(plain.values, 1));
    expect(row(first.values, 4)).not.toEqual(row(plain.values, 1));
    const second = await extract(three, { cache, views: views("light") });
    expect(second.cached).toBe(three.length);
    expect(second.values).toEqual(first.values);
    expect((await extract(three, { cache, views: views("light", 1) })).cached).toBe(photos.length);
    expect((await extract(three, { cache, views: views("medium") })).cached).toBe(photos.length);
    expect(
      (
        await extract(
          photos.map((path) => ({ path })),
          { cache },
        )
      ).cached,
    ).toBe(photos.length);
  });

  test("do not depend on what is extracted with them", async () => {
    const whole = await extract(three, { cache: false, views: views("light") });
    const alone = await extract([three[5]!], { cache: false, views: views("light") });
    const width = whole.values.shape[1]!;
    expect(alone.values.data).toEqual(whole.values.data.slice(5 * width, 6 * width));
  });
});

describe("random layers that a model begins with", () => {
  let cut: CutModel;
  let weights: Awaited<ReturnType<typeof readCheckpoint>>["weights"];
  let inputs: Tensor;
  beforeAll(async () => {
    const checkpoint = await readCheckpoint(join(fixtures, "models", "k3-preprocessing.keras"));
    weights = checkpoint.weights;
    const graph = layerGraph(checkpoint);
    const last = graph.layers.findLast(({ path }) => weights.get(path)?.length)!.path;
    const frozen = new Set(graph.layers.map(({ path }) => path).filter((path) => path !== last));
    cut = cutModel(graph, { frozen, bnMode: "inference", newLayers: new Set() });
    const [, ...sample] = graph.nodes[graph.inputs[0]!.ref.node]!.outputs[0]!.shape!;
    const size = sample.reduce<number>((product, side) => product * (side ?? 16), 1);
    const data = Float32Array.from({ length: 5 * size }, (_, index) => (index * 37) % 255);
    inputs = float32Tensor(data, [5, ...sample.map((side) => side ?? 16)]);
  });

  const extract = (rows: Tensor, drawn?: { view: number; seed: number }) =>
    extractArrays(staticProgram(cut, weights), [rows], { batchSize: 4, drawn });
  const rowsOf = ({ data, shape: [count = 0, ...rest] }: Tensor, row: number): Tensor => {
    const size = data.length / count;
    return float32Tensor((data as Float32Array).slice(row * size, (row + 1) * size), [1, ...rest]);
  };

  test("draw the views, and view 0 is what they give in inference, to the bit", async () => {
    const before = tf.memory().numTensors;
    const [plain] = await extract(inputs);
    expect(await extract(inputs, { view: 0, seed: 0 })).toEqual([plain]);
    const [first] = await extract(inputs, { view: 1, seed: 0 });
    expect(first).not.toEqual(plain);
    expect(await extract(inputs, { view: 1, seed: 0 })).toEqual([first]);
    expect(await extract(inputs, { view: 2, seed: 0 })).not.toEqual([first]);
    expect(await extract(inputs, { view: 1, seed: 7 })).not.toEqual([first]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test("draw for each sample by itself", async () => {
    const [whole] = await extract(inputs, { view: 1, seed: 0 });
    const [alone] = await extract(rowsOf(inputs, 3), { view: 1, seed: 0 });
    expect(alone).toEqual(rowsOf(whole!, 3));
  });
});

describe("where nothing is frozen", () => {
  test("nothing is kept on disk, and rows that are made anew are those that are held", async () => {
    const checkpoint = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"));
    const cut = cutModel(layerGraph(checkpoint), {
      frozen: new Set(),
      bnMode: "inference",
      newLayers: new Set(),
    });
    const views: ViewSettings = { layers: layersOf("light"), seed: 0 };
    const reader = viewReader(image, views);
    const cache = join(scratch, "nothing");
    const samples = photos.flatMap((path) => [0, 1].map((view) => ({ path, view })));
    samples.splice(2, 0, { path: join(fixtures, "README.md"), view: 0 });
    const source = await openFeatureSource(cut, checkpoint.weights, engine, { reader, views, cache });
    const held = await source.extract(samples);
    const streamed = await streamRows(
      staticProgram(cut, checkpoint.weights),
      [{ name: "input", shape }],
      samples,
      {
        ...{ reader, strict: false, batchSize: 8, seed: 0, signal: undefined, onProgress: undefined },
      },
    );
    expect(streamed.indices).toEqual(held.indices);
    expect(streamed.indices).not.toContain(2);
    expect(streamed.bad).toEqual(held.bad);
    expect(streamed.contentHashes).toEqual(held.contentHashes);
    for (const rows of [
      [0, 1, 2],
      [5, 3],
      [0, 1, 2, 3, 4, 5],
    ]) {
      expect(await streamed.features[0]!.pick(rows)).toEqual(await held.features[0]!.pick(rows));
    }
    await source.close();
    expect(() => readdirSync(cache)).toThrow("ENOENT");
    held.dispose();
    streamed.dispose();
  });
});
