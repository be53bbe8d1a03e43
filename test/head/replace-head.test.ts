import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Checkpoint, Json, JsonObject, Weight } from "../../src/checkpoint.ts";
import { TopologyError, UsageError } from "../../src/errors.ts";
import { replaceHead } from "../../src/head/replace-head.ts";
import { formatShape } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { classifierOf, headOf } from "../../src/topology/head-of.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";
import {
  application,
  conv,
  dense,
  freezeFixture,
  imageInput,
  layer,
  network,
  norm,
  pool,
  tinyGraph,
} from "../freeze/networks.ts";

interface HeadFixture {
  readonly kerasVersion: string;
  readonly heads: readonly {
    readonly name: string;
    readonly classes: number;
    readonly appended: boolean;
    readonly before: JsonObject;
    readonly after: JsonObject;
  }[];
}

const files = readdirSync(new URL("../../fixtures/freeze/", import.meta.url))
  .filter((file) => file.endsWith("-heads.json.gz"))
  .map((file) => file.replace(".json.gz", ""));

function checkpointOf(
  modelConfig: JsonObject,
  kerasVersion: string,
  rest: Partial<Checkpoint> = {},
): Checkpoint {
  const specs = weightSpecsOf(layerGraph({ modelConfig, kerasVersion }));
  const weights = [...specs].map(([path, own]) => {
    const filled = own.map(
      ({ name, shape }): Weight => ({ name, shape, dtype: "float32", data: new Float32Array(0) }),
    );
    return [path, filled] as const;
  });
  return { format: "keras", kerasVersion, modelConfig, weights: new Map(weights), notes: {}, ...rest };
}

describe.each(files)("replacing the head of the models in %s", (file) => {
  const { kerasVersion, heads } = freezeFixture<HeadFixture>(file);

  test.each(heads)("$name: the config equals Keras's config of the model with $classes classes", (head) => {
    const replaced = replaceHead(checkpointOf(head.before, kerasVersion), { classes: head.classes });
    if (!head.appended) {
      expect(comparable(replaced.modelConfig)).toEqual(comparable(head.after));
      return;
    }
    const graphs = [replaced.modelConfig, head.after].map((modelConfig) =>
      layerGraph({ modelConfig, kerasVersion }),
    );
    expect(withoutDetails(graphs[0]!)).toEqual(withoutDetails(graphs[1]!));
  });

  test.each(heads)("$name: new weights are in the places of the old ones", (head) => {
    const before = checkpointOf(head.before, kerasVersion);
    const replaced = replaceHead(before, { classes: head.classes });
    const expected = checkpointOf(head.after, kerasVersion).weights;
    expect(shapesOf(replaced)).toEqual(
      [...expected].map(([path, own]) => [
        path,
        own.map(({ name, shape }) => `${name} ${formatShape(shape)}`),
      ]),
    );
    const fresh = new Set(replaced.notes.newLayers);
    for (const [path, weights] of replaced.weights) {
      if (!fresh.has(path)) expect(weights).toBe(before.weights.get(path));
      else
        for (const { name, data } of weights)
          expect([name, data.some(Boolean)]).toEqual([name, name === "kernel"]);
    }
    expect([...fresh].some((path) => replaced.weights.has(path))).toBe(true);
  });
});

/** Removes the ids of shared objects that Keras 2.15 writes, which count within one process. */
function comparable(json: Json): Json {
  if (Array.isArray(json)) return json.map((item: Json) => comparable(item));
  if (typeof json !== "object" || json === null) return json;
  const entries = Object.entries(json).filter(([key]) => key !== "shared_object_id");
  return Object.fromEntries(entries.map(([key, value]) => [key, comparable(value)]));
}

/** Returns the layers and calls of a graph without initializers and arguments whose spelling may differ. */
function withoutDetails(graph: LayerGraph): object {
  const layers = graph.layers.map(({ path, className, config, trainable }) => {
    const kept = Object.entries(config).filter(
      ([key]) => !/_initializer$|_config$|^dtype$|^activity_/.test(key),
    );
    return { path, className, trainable, config: Object.fromEntries(kept) };
  });
  const nodes = graph.nodes.map(({ layer: path, inputs, outputs }) => ({ path, inputs, outputs }));
  return { layers, nodes, outputs: graph.outputs };
}

function shapesOf(checkpoint: Checkpoint): [string, string[]][] {
  return [...checkpoint.weights].map(([path, own]) => [
    path,
    own.map(({ name, shape }) => `${name} ${formatShape(shape)}`),
  ]);
}

const tiny = network([imageInput(), conv("a"), norm("a_bn"), pool(), dense("out", 10)]);
const tinyCheckpoint = (rest: Partial<Checkpoint> = {}): Checkpoint =>
  checkpointOf(tiny.modelConfig, tiny.kerasVersion, rest);

describe("a replaced head", () => {
  test("equal seeds give equal weights and different seeds different ones", () => {
    const kernel = (seed?: number): ArrayLike<number | bigint> => {
      const options = seed === undefined ? { classes: 4 } : { classes: 4, seed };
      return replaceHead(tinyCheckpoint(), options).weights.get("out")![0]!.data;
    };
    expect(kernel()).toEqual(kernel(0));
    expect(kernel(5)).toEqual(kernel(5));
    expect(kernel(5)).not.toEqual(kernel(0));
  });

  test("labels and optimizer variables are dropped and other notes kept", () => {
    const replaced = replaceHead(
      tinyCheckpoint({
        notes: {
          labels: ["a", "b"],
          preprocess: "caffe",
          imageSize: [16, 16],
          bnMode: "freeze",
          newLayers: ["old"],
        },
        optimizerWeights: [],
        trainingConfig: { loss: "mse" },
      }),
      { classes: 3 },
    );
    expect(replaced.notes).toEqual({
      preprocess: "caffe",
      imageSize: [16, 16],
      bnMode: "freeze",
      newLayers: ["out"],
    });
    expect("optimizerWeights" in replaced).toBe(false);
    expect(replaced.trainingConfig).toEqual({ loss: "mse" });
  });

  test("unchanged entries stay the same objects, including keys that are symbols", () => {
    const mark = Symbol("spelling");
    const config = tiny.modelConfig["config"] as JsonObject & { layers: readonly JsonObject[] };
    const marked = config.layers.map((entry) => ({
      ...entry,
      config: { ...(entry["config"] as JsonObject), [mark]: 1 },
    }));
    const modelConfig = { ...tiny.modelConfig, [mark]: 2, config: { ...config, layers: marked, [mark]: 3 } };
    const replaced = replaceHead(checkpointOf(modelConfig as JsonObject, "2.15.0"), {
      classes: 3,
    }).modelConfig;
    const layers = (
      replaced["config"] as unknown as { layers: Record<string | symbol, Record<symbol, number>>[] }
    ).layers;
    expect(layers.slice(0, -1)).toEqual(marked.slice(0, -1));
    layers.slice(0, -1).forEach((entry, index) => {
      expect(entry).toBe(marked[index]);
    });
    expect(layers.at(-1)!["config"]![mark]).toBe(1);
    expect((replaced as unknown as Record<symbol, number>)[mark]).toBe(2);
    expect((replaced["config"] as unknown as Record<symbol, number>)[mark]).toBe(3);
  });

  test("the given checkpoint is not modified", () => {
    const checkpoint = tinyCheckpoint();
    const before = JSON.stringify(checkpoint.modelConfig);
    replaceHead(checkpoint, { classes: 3 });
    expect(JSON.stringify(checkpoint.modelConfig)).toBe(before);
    expect(checkpoint.weights.get("out")![0]!.shape).toEqual([4, 10]);
  });

  test("the new head has the requested activation", () => {
    const sigmoid = replaceHead(tinyCheckpoint(), { classes: 2, activation: "sigmoid" });
    expect(classifierOf(layerGraph(sigmoid))).toMatchObject({ units: 1, activation: "sigmoid", classes: 2 });
    const several = replaceHead(tinyCheckpoint(), { classes: 3, activation: "sigmoid" });
    expect(classifierOf(layerGraph(several))).toMatchObject({ units: 3, activation: "sigmoid" });
    const linear = replaceHead(tinyCheckpoint(), { classes: 3, activation: "linear" });
    expect(classifierOf(layerGraph(linear))).toMatchObject({ units: 3, activation: "linear" });
  });

  test("an Activation layer after the head becomes the softmax", () => {
    const { modelConfig } = network([
      imageInput(),
      pool(),
      dense("out", 10, { config: { activation: "linear" } }),
      layer("Activation", "end", { config: { activation: "sigmoid" } }),
    ]);
    const graph = layerGraph(replaceHead(checkpointOf(modelConfig, "2.15.0"), { classes: 4 }));
    expect(graph.layers.slice(-2).map(({ config }) => config["activation"])).toEqual(["linear", "softmax"]);
  });

  test("appended layers get names that the model does not have yet", () => {
    const { modelConfig } = network([imageInput(), conv("predictions"), norm("global_average_pooling2d")]);
    const replaced = replaceHead(checkpointOf(modelConfig, "2.15.0"), { classes: 4 });
    expect(replaced.notes.newLayers).toEqual(["global_average_pooling2d_1", "predictions_1"]);
  });

  test("a head can be appended to an output in channels_first format", () => {
    const { modelConfig } = network([
      { ...imageInput(), config: { batch_input_shape: [null, 3, 16, 16] } },
      conv("a", { config: { data_format: "channels_first", filters: 6, activation: "relu" } }),
    ]);
    const replaced = replaceHead(checkpointOf(modelConfig, "2.15.0"), { classes: 4 });
    expect(replaced.weights.get("predictions")![0]!.shape).toEqual([6, 4]);
    expect(layerGraph(replaced).layers.at(-2)!.config["data_format"]).toBe("channels_first");
  });
});

describe("models whose head cannot be replaced", () => {
  const refusal = (modelConfig: JsonObject, classes = 3): { code: string; message: string } => {
    try {
      replaceHead(checkpointOf(modelConfig, "2.15.0"), { classes });
    } catch (error) {
      if (error instanceof TopologyError || error instanceof UsageError)
        return { code: error.code, message: error.message };
      throw error;
    }
    throw new Error("nothing was refused");
  };

  test("a model with several outputs is refused", () => {
    const { modelConfig } = network(
      [imageInput(), pool(), dense("left"), dense("right", 2, { calls: [["pool"]] })],
      {
        outputs: ["left", "right"],
      },
    );
    const { code, message } = refusal(modelConfig);
    expect(code).toBe("several-outputs");
    expect(message).toBe(
      "net: new head: expected one output, got 2 (left, right). Keep the head, or save a model with one output.",
    );
  });

  test("a model whose head is shared is refused", () => {
    const { modelConfig } = network([
      imageInput(),
      pool(),
      dense("twice", 3, { calls: [["pool"], ["twice"]] }),
      layer("Activation", "end", { config: { activation: "linear" }, calls: [["twice#1"]] }),
    ]);
    const { code, message } = refusal(modelConfig);
    expect(code).toBe("shared-head");
    expect(message).toMatch(/^twice: new head: expected a layer that is called once, got a shared one\./);
  });

  test("fewer than two classes are refused", () => {
    expect(refusal(tiny.modelConfig, 1)).toEqual({
      code: "classes",
      message: "new head: expected at least two classes, got 1.",
    });
  });
});

describe("finding the head", () => {
  test.each<[string, string, string, string[]]>([
    ["ResNet50", "3.15.1", "predictions", []],
    ["ResNet50", "2.2.4", "fc1000", []],
    ["VGG16", "3.15.1", "predictions", []],
    ["DenseNet121", "3.15.1", "predictions", []],
    ["EfficientNetB0", "3.15.1", "predictions", []],
  ])("the head of %s of Keras %s is %s", (name, version, path, tail) => {
    const graph = application(name, version);
    expect(headOf(graph)).toEqual({ path, tail, shared: false });
    expect(classifierOf(graph)?.classes).toBe(1000);
  });

  test("the heads of MobileNet and MobileNetV3 are convolutions with a tail", () => {
    const head = headOf(application("MobileNet"))!;
    expect([head.path, head.tail.length]).toEqual(["conv_preds", 2]);
    expect(headOf(application("MobileNetV3Small"))!.path).toBe("logits");
  });

  test("feature extractors, embeddings and maps are not classifiers", () => {
    const relu = tinyGraph([imageInput(), pool(), dense("embedding", 8, { config: { activation: "relu" } })]);
    const maps = tinyGraph([imageInput(), conv("map", { config: { activation: "softmax" } })]);
    const pooled = tinyGraph([imageInput(), conv("last", { config: { activation: "relu" } }), pool()]);
    const normed = tinyGraph([imageInput(), conv("last"), norm("bn"), pool()]);
    expect([relu, maps, pooled, normed].map(classifierOf)).toEqual([null, null, null, null]);
  });
});
