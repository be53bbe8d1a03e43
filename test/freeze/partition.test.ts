import { describe, expect, test } from "vitest";
import type { BatchNormMode } from "../../src/checkpoint.ts";
import type { Partition } from "../../src/freeze/partition.ts";
import { partition } from "../../src/freeze/partition.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import { freeze, freezeUntil, unfreeze } from "../../src/freeze/policy.ts";
import type { FreezeOptions } from "../../src/freeze/resolve.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";
import type { TinyLayer } from "./networks.ts";
import { application, conv, dense, imageInput, layer, norm, pool, tinyGraph } from "./networks.ts";

function cut(
  graph: LayerGraph,
  policies: FreezePolicy | readonly FreezePolicy[],
  options: FreezeOptions = {},
): Partition {
  return partition(graph, resolveFreeze(graph, policies, options));
}

/** Lists the layers of the calls on one side, in order of the calls. */
function on(graph: LayerGraph, parts: Partition, side: "static" | "dynamic"): string[] {
  return graph.nodes.filter((node) => parts.sides[node.index] === side).map((node) => node.layer);
}

function frontier(graph: LayerGraph, parts: Partition): string[] {
  return parts.frontier.map((ref) => graph.nodes[ref.node]!.layer);
}

const drop = (name: string, rest: Partial<TinyLayer> = {}): TinyLayer =>
  layer("Dropout", name, { config: { rate: 0.5 }, ...rest });

describe("a chain", () => {
  const graph = tinyGraph([
    imageInput(),
    conv("a"),
    norm("a_bn"),
    layer("ReLU", "relu"),
    conv("b"),
    pool(),
    dense("out"),
  ]);

  test("a chain is static up to its first trained layer, including layers without weights before it", () => {
    const parts = cut(graph, freezeUntil("b"));
    expect(on(graph, parts, "static")).toEqual(["image", "a", "a_bn", "relu"]);
    expect(frontier(graph, parts)).toEqual(["relu"]);
    expect([...parts.trainableWeights]).toEqual([
      ["b", ["kernel", "bias"]],
      ["out", ["kernel", "bias"]],
    ]);
  });

  test("the frontier is the model's input if the first layer trains", () => {
    const parts = cut(graph, []);
    expect(on(graph, parts, "static")).toEqual(["image"]);
    expect(frontier(graph, parts)).toEqual(["image"]);
  });

  test("a frozen layer after a trained one is dynamic and receives no gradients", () => {
    const parts = cut(graph, [freeze("none"), freeze("b")]);
    expect(on(graph, parts, "dynamic")).toEqual(["a", "a_bn", "relu", "b", "pool", "out"]);
    expect([...parts.trainableWeights.keys()]).toEqual(["a", "a_bn", "out"]);
  });

  test("a layer without weights after the frozen layers is static", () => {
    const parts = cut(graph, freezeUntil("out"));
    expect(frontier(graph, parts)).toEqual(["pool"]);
  });
});

describe("branches", () => {
  test("a cut through branches has a frontier of several tensors in call order", () => {
    const resnet = application("ResNet50");
    const parts = cut(resnet, freezeUntil("conv4_block1_3_conv"));
    expect(frontier(resnet, parts)).toEqual(["conv4_block1_2_relu", "conv4_block1_0_conv"]);
    expect(frontier(resnet, cut(resnet, freezeUntil("conv4_block1_2_conv")))).toEqual([
      "conv3_block4_out",
      "conv4_block1_1_relu",
    ]);
  });

  test("a tensor that several calls read is in the frontier once", () => {
    const resnet = application("ResNet50");
    expect(frontier(resnet, cut(resnet, freezeUntil("conv4")))).toEqual(["conv3_block4_out"]);
  });

  test("branches of several inputs are each cut where they reach a trained layer", () => {
    const graph = tinyGraph([
      imageInput("a"),
      conv("left"),
      imageInput("b"),
      conv("right", { calls: [["b"]] }),
      layer("Add", "sum", { calls: [["left", "right"]] }),
      pool(),
      dense("out"),
    ]);
    expect(frontier(graph, cut(graph, [freeze("none"), freeze("left")]))).toEqual(["left", "b"]);
    expect(frontier(graph, cut(graph, freezeUntil("out")))).toEqual(["pool"]);
  });

  test("a static output of the model is in the frontier", () => {
    const graph = tinyGraph([imageInput(), conv("a"), pool(), dense("out")], { outputs: ["pool", "out"] });
    expect(frontier(graph, cut(graph, freezeUntil("out")))).toEqual(["pool"]);
    const early = tinyGraph([imageInput(), conv("a"), pool(), dense("out")], { outputs: ["a", "out"] });
    expect(frontier(early, cut(early, freezeUntil("out")))).toEqual(["a", "pool"]);
  });
});

describe("a shared layer", () => {
  const graph = tinyGraph(
    [
      imageInput(),
      conv("shared", { config: { filters: 3 }, calls: [["image"], ["b"]] }),
      conv("b", { config: { filters: 3 }, calls: [["shared"]] }),
      pool("pool"),
      dense("out"),
    ].map((entry) => (entry.name === "pool" ? { ...entry, calls: [["shared#1"]] } : entry)),
  );

  test("a frozen shared layer is static in a call before and dynamic in a call after a trained layer", () => {
    const parts = cut(graph, [freeze("none"), freeze("shared")]);
    const sides = graph.nodes
      .filter((node) => node.layer === "shared")
      .map((node) => parts.sides[node.index]);
    expect(sides).toEqual(["static", "dynamic"]);
    expect(parts.trainableWeights.has("shared")).toBe(false);
    expect(parts.frontier).toEqual([
      { node: graph.nodes.find((node) => node.layer === "shared")!.index, output: 0 },
    ]);
  });

  test("a shared layer that trains is dynamic in every call", () => {
    const parts = cut(graph, [freeze("none"), freeze("b")]);
    expect(on(graph, parts, "static")).toEqual(["image"]);
  });
});

describe("nested models", () => {
  test("a nested model can be cut inside", () => {
    const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "transfer model"));
    const base = graph.layers.find(({ name }) => name === "conv_dw_5")!;
    const parts = cut(graph, freezeUntil(base.path));
    expect(parts.frontier.length).toBe(1);
    expect(frontier(graph, parts)[0]).toMatch(/\/conv_pad_4$|\/conv_pw_4_relu$/);
    expect([...parts.trainableWeights.keys()][0]).toBe(base.path);
  });

  test("a nested model called twice is dynamic only in the call after a trained layer", () => {
    const graph = layerGraph(graphFixture("keras-2.15.0-nets.json.gz", "nested Sequential called twice"));
    const parts = cut(graph, [freeze("none"), freeze("seq/point")]);
    const points = graph.nodes.filter((node) => node.layer === "seq/point");
    expect(points.map((node) => parts.sides[node.index])).toEqual(["static", "dynamic"]);
  });
});

describe("random layers", () => {
  test("a random layer before a frozen layer is static", () => {
    const graph = tinyGraph([imageInput(), conv("a"), drop("drop"), conv("b"), pool(), dense("out")]);
    expect(on(graph, cut(graph, freezeUntil("out")), "static")).toEqual(["image", "a", "drop", "b", "pool"]);
  });

  test("a random layer before the trained head is dynamic", () => {
    const graph = tinyGraph([imageInput(), conv("a"), pool(), drop("drop"), dense("out")]);
    const parts = cut(graph, freezeUntil("out"));
    expect(on(graph, parts, "dynamic")).toEqual(["drop", "out"]);
    expect(frontier(graph, parts)).toEqual(["pool"]);
  });

  test("a random layer before a trained layer and all layers after it are dynamic", () => {
    const graph = tinyGraph([imageInput(), drop("flip"), conv("a"), conv("b"), pool(), dense("out")]);
    const parts = cut(graph, [freeze("none"), freeze("b")]);
    expect(on(graph, parts, "static")).toEqual(["image"]);
  });

  test("a random layer before the frozen layers of one branch is static even if another branch trains", () => {
    const graph = tinyGraph([
      imageInput(),
      drop("drop"),
      conv("frozen"),
      conv("trained", { calls: [["drop"]] }),
      layer("Add", "sum", { calls: [["frozen", "trained"]] }),
      pool(),
      dense("out"),
    ]);
    const parts = cut(graph, [freeze("none"), freeze("frozen")]);
    expect(on(graph, parts, "static")).toEqual(["image", "drop", "frozen"]);
  });

  test("a random layer before a frozen layer with a trained ancestor is dynamic", () => {
    const graph = tinyGraph([imageInput(), conv("a"), drop("drop"), conv("b"), pool(), dense("out")]);
    expect(on(graph, cut(graph, [freeze("none"), freeze("b")]), "static")).toEqual(["image"]);
  });

  test("an augmentation layer stays active if only a Normalization layer after it is frozen", () => {
    const graph = tinyGraph([
      imageInput(),
      layer("RandomFlip", "flip", { config: { mode: "horizontal" } }),
      layer("Normalization", "normalize", { config: { axis: [3] } }),
      conv("a"),
      pool(),
      dense("out"),
    ]);
    expect(on(graph, cut(graph, freezeUntil("a")), "static")).toEqual(["image"]);
    expect(on(graph, cut(graph, freezeUntil("out")), "dynamic")).toEqual(["out"]);
  });
});

describe("random layers that draw nothing", () => {
  test.each<[string, TinyLayer]>([
    ["Dropout of 0", layer("Dropout", "quiet", { config: { rate: 0 } })],
    ["GaussianNoise of 0", layer("GaussianNoise", "quiet", { config: { stddev: 0 } })],
  ])("%s is static like a layer that is not random", (_, quiet) => {
    const graph = tinyGraph([imageInput(), conv("a"), pool(), quiet, dense("out")]);
    expect(frontier(graph, cut(graph, freezeUntil("out")))).toEqual(["quiet"]);
  });
});

describe("masks", () => {
  const series = layer("InputLayer", "series", { config: { batch_input_shape: [null, 6, 3] } });

  /** Creates a graph in which every ReLU becomes a Masking layer, which has the same shapes. */
  function masked(layers: readonly TinyLayer[]): LayerGraph {
    const graph = tinyGraph(layers);
    const renamed = graph.layers.map((entry) =>
      entry.className === "ReLU" ? { ...entry, className: "Masking" } : entry,
    );
    return { ...graph, layers: renamed };
  }
  const masking = layer("ReLU", "masking");

  test("a layer whose mask a dynamic layer needs is dynamic", () => {
    const graph = masked([series, masking, dense("frozen", 4), dense("trained", 4)]);
    const parts = cut(graph, freezeUntil("trained"));
    expect(on(graph, parts, "static")).toEqual(["series"]);
    expect(frontier(graph, parts)).toEqual(["series"]);
  });

  test("a mask may end in the static part", () => {
    const ending = layer("GlobalAveragePooling1D", "mean");
    const graph = masked([series, masking, dense("frozen", 4), ending, dense("trained", 4)]);
    expect(frontier(graph, cut(graph, freezeUntil("trained")))).toEqual(["mean"]);
  });

  test("making one mask dynamic can make other masking layers dynamic", () => {
    const graph = masked([
      series,
      masking,
      layer("ReLU", "other", { calls: [["series"]] }),
      layer("Add", "sum", { calls: [["masking", "other"]] }),
      dense("trained", 3, { calls: [["masking"]] }),
      layer("GlobalAveragePooling1D", "trained_mean"),
      layer("GlobalAveragePooling1D", "mean", { calls: [["sum"]] }),
      layer("Add", "end", { calls: [["mean", "trained_mean"]] }),
    ]);
    expect(on(graph, cut(graph, []), "static")).toEqual(["series"]);
  });
});

describe("BatchNormalization modes", () => {
  const layers = [
    imageInput(),
    conv("a"),
    norm("a_bn"),
    conv("b"),
    norm("b_bn"),
    pool(),
    dense("hidden", 4),
    norm("new_bn", { config: { axis: [1] } }),
    dense("out"),
  ];
  const graph = tinyGraph(layers);
  const options = (bnMode: BatchNormMode): FreezeOptions => ({
    bnMode,
    newLayers: ["hidden", "new_bn", "out"],
  });
  const norms = (parts: Partition): Record<string, readonly string[]> =>
    Object.fromEntries([...parts.trainableWeights].filter(([path]) => path.endsWith("_bn")));
  const affine = ["gamma", "beta"];

  test.each<[BatchNormMode, Record<string, readonly string[]>, readonly string[], readonly string[]]>([
    ["inference", { b_bn: affine, new_bn: affine }, ["new_bn"], ["a_bn"]],
    ["follow", { b_bn: affine, new_bn: affine }, ["b_bn", "new_bn"], ["a_bn"]],
    ["freeze", { new_bn: affine }, ["new_bn"], ["a_bn"]],
    ["train", { a_bn: affine, b_bn: affine, new_bn: affine }, ["a_bn", "b_bn", "new_bn"], ["a"]],
  ])(
    "%s mode determines which layers train gamma and beta, which use batch statistics, and the cut",
    (mode, trained, batch, front) => {
      const parts = cut(graph, freezeUntil("b"), options(mode));
      expect(norms(parts)).toEqual(trained);
      expect([...parts.batchStatistics]).toEqual(batch);
      expect(frontier(graph, parts)).toEqual(front);
    },
  );

  test("a new BatchNormalization layer that a policy freezes uses stored statistics", () => {
    const parts = cut(graph, [freezeUntil("b"), freeze("new_bn")], options("inference"));
    expect([...parts.batchStatistics]).toEqual([]);
    expect(norms(parts)).toEqual({ b_bn: affine });
  });

  test("BatchNormalization without scale or center trains one weight, without both none", () => {
    const partial = tinyGraph([
      imageInput(),
      norm("no_scale", { config: { axis: [3], scale: false } }),
      norm("no_center", { config: { axis: [3], center: false } }),
      norm("neither", { config: { axis: [3], scale: false, center: false } }),
      pool(),
      dense("out"),
    ]);
    expect(Object.fromEntries(cut(partial, []).trainableWeights)).toEqual({
      no_scale: ["beta"],
      no_center: ["gamma"],
      out: ["kernel", "bias"],
    });
  });

  test("BatchNormalization without trainable weights uses batch statistics in follow mode and is then dynamic", () => {
    const plain = tinyGraph([
      imageInput(),
      norm("plain", { config: { axis: [3], scale: false, center: false } }),
      pool(),
      dense("out"),
    ]);
    expect(on(plain, cut(plain, [], { bnMode: "follow" }), "static")).toEqual(["image"]);
    expect(on(plain, cut(plain, []), "static")).toEqual(["image", "plain", "pool"]);
    expect(on(plain, cut(plain, freeze("plain"), { bnMode: "follow" }), "static")).toEqual([
      "image",
      "plain",
      "pool",
    ]);
  });

  describe("with a training argument in the graph", () => {
    const held = (kerasVersion: string, training: boolean | null): LayerGraph =>
      tinyGraph([imageInput(), conv("a"), norm("bn", { kwargs: { training } }), pool(), dense("out")], {
        kerasVersion,
      });
    const batch = (of: LayerGraph, bnMode: BatchNormMode): string[] => [
      ...cut(of, [], { bnMode }).batchStatistics,
    ];

    test("follow mode honors training=False in files of Keras 2 only", () => {
      expect(batch(held("2.15.0", false), "follow")).toEqual([]);
      expect(batch(held("2.15.0", true), "follow")).toEqual(["bn"]);
      expect(batch(held("2.15.0", null), "follow")).toEqual(["bn"]);
      const keras3 = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "transfer model"));
      const keras3Norms = keras3.layers.filter(({ className }) => className === "BatchNormalization");
      expect(keras3.nodes.some(({ kwargs }) => JSON.stringify(kwargs["training"])?.includes("false"))).toBe(
        true,
      );
      expect(batch(keras3, "follow")).toEqual(keras3Norms.map(({ path }) => path));
    });

    test("every other mode overrides the training argument", () => {
      expect(batch(held("2.15.0", true), "inference")).toEqual([]);
      expect(batch(held("2.15.0", true), "freeze")).toEqual([]);
      expect(batch(held("2.15.0", false), "train")).toEqual(["bn"]);
    });

    test("gamma and beta train even with training=False", () => {
      expect(cut(held("2.15.0", false), [], { bnMode: "follow" }).trainableWeights.get("bn")).toEqual(affine);
    });
  });
});

describe("random graphs", () => {
  test.each(Array.from({ length: 60 }, (_, seed) => seed))(
    "a random graph is cut as the rule evaluated over all ancestors says (seed %i)",
    (seed) => {
      const random = numbersFrom(seed + 1);
      const layers = randomLayers(random);
      const graph = tinyGraph(layers);
      const weighted = layers.filter(({ className }) => /Conv2D|BatchNormalization/.test(className));
      const frozen = weighted.filter(() => random() < 0.6).map(({ name }) => name);
      const policies = frozen.length > 0 ? [freeze("none"), freeze(...frozen), unfreeze("out")] : [];
      const parts = cut(graph, policies);
      const ancestors = ancestorsByNode(graph);
      const nodes = graph.nodes.map((node, index) => ({
        index,
        name: node.layer,
        trains:
          (weighted.some(({ name }) => name === node.layer) && !frozen.includes(node.layer)) ||
          node.layer === "out",
        random: node.layer.startsWith("drop"),
      }));
      const frozenOnly = (index: number): boolean =>
        frozen.includes(nodes[index]!.name) && [...ancestors[index]!].every((above) => !nodes[above]!.trains);
      const silenced = (index: number): boolean =>
        nodes.some((below) => ancestors[below.index]!.has(index) && frozenOnly(below.index));
      const blocks = (index: number): boolean =>
        nodes[index]!.trains || (nodes[index]!.random && !silenced(index));
      const expected = nodes.map(({ index }) =>
        [index, ...ancestors[index]!].some(blocks) ? "dynamic" : "static",
      );
      expect(parts.sides).toEqual(expected);
      const crossing = nodes.filter(
        ({ index }) =>
          expected[index] === "static" &&
          graph.nodes.some(
            (node) => expected[node.index] === "dynamic" && node.inputs.some((ref) => ref.node === index),
          ),
      );
      expect(parts.frontier.map((ref) => ref.node)).toEqual(crossing.map(({ index }) => index));
    },
  );
});

function ancestorsByNode(graph: LayerGraph): ReadonlySet<number>[] {
  const sets: Set<number>[] = [];
  for (const node of graph.nodes) {
    sets.push(new Set(node.inputs.flatMap((ref) => [ref.node, ...sets[ref.node]!])));
  }
  return sets;
}

/** Creates convolutions, norms, Dropout and sums over one or two inputs, each reading any layer before it. */
function randomLayers(random: () => number): TinyLayer[] {
  const layers: TinyLayer[] = random() < 0.5 ? [imageInput("x")] : [imageInput("x"), imageInput("y")];
  const pick = (): string => layers[Math.floor(random() * layers.length)]!.name;
  const same = { filters: 3, kernel_size: [1, 1] };
  const count = 4 + Math.floor(random() * 12);
  for (let index = 0; index < count; index++) {
    const kind = random();
    if (kind < 0.4) layers.push(conv(`conv${index}`, { config: same, calls: [[pick()]] }));
    else if (kind < 0.6) layers.push(norm(`norm${index}`, { calls: [[pick()]] }));
    else if (kind < 0.75) layers.push(drop(`drop${index}`, { calls: [[pick()]] }));
    else layers.push(layer("Add", `sum${index}`, { calls: [[pick(), pick()]] }));
  }
  const read = new Set(layers.flatMap(({ calls }) => calls?.flat() ?? []));
  const loose = layers.filter(({ name }) => !read.has(name)).map(({ name }) => name);
  const ends = loose.length > 1 ? loose : [loose[0] ?? layers.at(-1)!.name, layers[0]!.name];
  return [...layers, layer("Add", "total", { calls: [ends] }), pool(), dense("out")];
}

function numbersFrom(seed: number): () => number {
  let state = seed * 2654435761;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
