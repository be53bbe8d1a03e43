import { describe, expect, test } from "vitest";
import type { JsonObject, Weight, Weights } from "../../../src/checkpoint.ts";
import type { ImageOptions } from "../../../src/data/images.ts";
import { imageReader } from "../../../src/data/images.ts";
import { type TrunkIdentity, trunkKeyOf } from "../../../src/features/cache/trunk-key.ts";
import { viewReader } from "../../../src/features/views/view-reader.ts";
import { programBetween } from "../../../src/model/program.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";

interface Net {
  /** Names of the layers, in order. */
  readonly names?: readonly [string, string, string, string];
  readonly strides?: number;
  readonly trainable?: boolean;
  /** Layers that the frontier is behind. */
  readonly depth?: number;
  readonly kernel?: number;
  readonly merge?: "Add" | "Multiply";
  /** Places of the layers that the sum reads. */
  readonly reads?: readonly [number, number];
}

/** input -> conv -> bn, and a sum of both behind it. */
function net({
  names = ["input", "conv", "relu", "sum"],
  strides = 1,
  trainable = false,
  depth = 3,
  kernel = 1,
  merge = "Add",
  reads = [1, 2],
}: Net = {}) {
  const layer = (name: string, className: string, config: JsonObject, ...reads: string[]): JsonObject => ({
    name,
    class_name: className,
    config: { name, trainable, dtype: "float32", ...config },
    inbound_nodes: reads.length === 0 ? [] : [reads.map((source) => [source, 0, 0, {}])],
  });
  const [input, conv, relu, sum] = names;
  const modelConfig: JsonObject = {
    class_name: "Functional",
    config: {
      name: "net",
      trainable,
      layers: [
        layer(input, "InputLayer", { batch_input_shape: [null, 8, 8, 3] }),
        layer(
          conv,
          "Conv2D",
          { filters: 3, kernel_size: [1, 1], strides: [strides, strides], padding: "valid", use_bias: false },
          input,
        ),
        layer(relu, "ReLU", {}, conv),
        layer(sum, merge, {}, names[reads[0]]!, names[reads[1]]!),
      ],
      input_layers: [[input, 0, 0]],
      output_layers: [[sum, 0, 0]],
    },
  };
  const graph = layerGraph({ modelConfig, kerasVersion: "2.15.0" });
  const program = programBetween(
    graph,
    graph.inputs.map(({ ref }) => ref),
    [{ node: depth, output: 0 }],
  );
  const data = new Float32Array(9).fill(kernel);
  const weights: Weights = new Map<string, readonly Weight[]>([
    [conv, [{ name: "kernel", dtype: "float32", shape: [1, 1, 3, 3], data }]],
    ["elsewhere", [{ name: "kernel", dtype: "float32", shape: [1], data: Float32Array.of(Math.random()) }]],
  ]);
  return { program, weights };
}

const settings: Omit<TrunkIdentity, "program" | "weights"> = {
  input: { preprocess: "caffe", imageSize: [8, 8], decoder: "vips 8" },
  storage: "float32",
  batchSize: 32,
  engine: { name: "wasm", version: "4.22.0" },
};

const keyOf = (own: Net = {}, changes: Partial<TrunkIdentity> = {}) =>
  trunkKeyOf({ ...settings, ...net(own), ...changes });

test("a key is the same for the same trunk: names, flags and weights elsewhere do not count", () => {
  expect(keyOf()).toMatch(/^[0-9a-f]{64}$/);
  expect(keyOf()).toBe(keyOf());
  expect(keyOf({ names: ["in", "base/conv1", "act", "plus"] })).toBe(keyOf());
  expect(keyOf({ trainable: true })).toBe(keyOf());
});

describe("a key is another for", () => {
  test.each<[string, Net]>([
    ["one weight's value", { kernel: 1.0000001 }],
    ["a layer's argument", { strides: 2 }],
    ["a layer's class", { merge: "Multiply" }],
    ["a frontier further in", { depth: 2 }],
    ["other wiring of the same layers", { reads: [2, 1] }],
    ["a tensor read twice", { reads: [2, 2] }],
  ])("%s", (_, own) => {
    expect(keyOf(own)).not.toBe(keyOf());
  });

  test.each<Partial<TrunkIdentity>>([
    { input: { preprocess: "caffe", imageSize: [8, 9], decoder: "vips 8" } },
    { input: { preprocess: "caffe", imageSize: [8, 8], decoder: "vips 9" } },
    { input: { encoding: "utf-8", sampleShape: [1] } },
    { storage: "float16" },
    { batchSize: 16 },
    { engine: { name: "native", version: "4.22.0" } },
    { engine: { name: "wasm", version: "4.23.0" } },
  ])("%o", (changes) => {
    expect(keyOf({}, changes)).not.toBe(keyOf());
  });
});

describe("an image reader tells the key", () => {
  const plain: ImageOptions = { imageSize: [8, 8], preprocess: "none", exif: true, channels: 3 };
  const keyFor = async (changes: Partial<ImageOptions>) =>
    keyOf({}, { input: await imageReader({ ...plain, ...changes }).identity() });

  test.each<Partial<ImageOptions>>([
    { imageSize: [8, 9] },
    { preprocess: "tf" },
    { exif: false },
    { channels: 1 },
  ])("%o", async (changes) => {
    expect(await keyFor(changes)).not.toBe(await keyFor({}));
  });

  test("how it resizes and decodes", async () => {
    const { resizeMethod, decoder } = await imageReader(plain).identity();
    expect(resizeMethod).toContain("bilinear");
    expect(decoder).toMatch(/\d/);
  });

  test("nothing of how views are made: a view has a key of its own", async () => {
    const views = { layers: [{ className: "RandomFlip", config: {} }], seed: 1 };
    expect(await viewReader(plain, views).identity()).toEqual(await imageReader(plain).identity());
  });
});
