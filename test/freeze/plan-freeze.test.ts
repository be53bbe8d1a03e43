import { describe, expect, it } from "vitest";
import type { CostQuestion } from "../../src/freeze/cost.ts";
import { partition } from "../../src/freeze/partition.ts";
import type { FinetunePlan } from "../../src/freeze/plan.ts";
import { planFreeze } from "../../src/freeze/plan-freeze.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import { freeze, freezeAllButHead, freezeDepth, freezeUntil } from "../../src/freeze/policy.ts";
import type { FreezeOptions } from "../../src/freeze/resolve.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { elementCount } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";
import { application, conv, dense, layer, norm, picture, pool, strided, tinyGraph } from "./networks.ts";

interface Asked extends FreezeOptions {
  readonly imageSize?: readonly [number, number];
  readonly cost?: Partial<CostQuestion>;
}

/** Only contractions take time here, one multiply-add a second. */
const arithmetic: CostQuestion = {
  trainImages: 1,
  validationImages: 0,
  batchSize: 1,
  optimizerSlots: 2,
  speed: { multiplyAddsPerSecond: 1, bytesPerSecond: Number.POSITIVE_INFINITY },
};

function plan(
  graph: LayerGraph,
  policy: FreezePolicy | readonly FreezePolicy[],
  asked: Asked = {},
): FinetunePlan {
  const resolution = resolveFreeze(graph, policy, asked);
  return planFreeze(graph, resolution, partition(graph, resolution), {
    ...(asked.imageSize && { imageSize: asked.imageSize }),
    cost: { ...arithmetic, ...asked.cost },
  });
}

const resnetFixture = graphFixture("keras-3.15.1-ResNet50.json.gz", "ResNet50");
const resnet = layerGraph(resnetFixture);

/** Multiply-adds of each layer from Keras's own shapes: a kernel's values at every position of the output. */
const multiplyAdds = new Map(
  resnetFixture.layers.map(({ path, outputs, weights }) => {
    const kernel = weights.find(([name]) => name === "kernel");
    const positions = outputs![0]![0].slice(1, -1).reduce<number>((product, size) => product * size!, 1);
    return [path, kernel ? elementCount(kernel[1]) * positions : 0] as const;
  }),
);

function sumWhere(matches: (path: string) => boolean): number {
  return [...multiplyAdds].reduce((sum, [path, count]) => sum + (matches(path) ? count : 0), 0);
}

describe("a plan", () => {
  it("says what trains, what its statistics do and on which side it runs, layer by layer", () => {
    const graph = tinyGraph([
      picture(),
      conv("a"),
      norm("a_bn"),
      conv("b"),
      norm("b_bn"),
      pool(),
      dense("out"),
    ]);
    const { layers } = plan(graph, freezeUntil("b"), { bnMode: "follow" });
    expect(
      layers.map(({ path, parameters, trainable, bn, side }) => [path, parameters, trainable, bn, side]),
    ).toEqual([
      ["picture", 0, false, null, "static"],
      ["a", 3 * 3 * 3 * 4 + 4, false, null, "static"],
      ["a_bn", 16, false, "inference", "static"],
      ["b", 3 * 3 * 4 * 4 + 4, true, null, "dynamic"],
      ["b_bn", 16, true, "batch", "dynamic"],
      ["pool", 0, false, null, "dynamic"],
      ["out", 4 * 3 + 3, true, null, "dynamic"],
    ]);
  });

  it("counts parameters as Keras does", () => {
    const trained = resnetFixture.layers
      .filter(({ path }) => /^conv[45]|predictions/.test(path))
      .flatMap(({ weights }) =>
        weights.filter(([, , reached]) => reached).map(([, shape]) => elementCount(shape)),
      )
      .reduce((sum, count) => sum + count, 0);
    expect(plan(resnet, freezeUntil("conv4")).parameters).toEqual({
      total: resnetFixture.parameters,
      trainable: trained,
    });
  });

  it.each<[string, FreezePolicy, string, string | null]>([
    ["until conv4", freezeUntil("conv4"), "conv4_block1_1_conv", "conv3_block4_out"],
    ["until head", freezeUntil("head"), "predictions", "avg_pool"],
    ["all but the head", freezeAllButHead(), "predictions", "avg_pool"],
    ["nothing frozen", freezeDepth(0), "conv1_conv", null],
    ["conv3 alone", freeze("conv3"), "conv1_conv", "conv3_block4_3_bn"],
  ])("%s: the first trainable layer and the last frozen one", (_, policy, first, last) => {
    const { firstTrainable, lastFrozen } = plan(resnet, policy);
    expect([firstTrainable, lastFrozen]).toEqual([first, last]);
  });

  it("takes what a mode fixes all over the model for no boundary", () => {
    expect(plan(resnet, freezeUntil("conv4"), { bnMode: "freeze" }).lastFrozen).toBe("conv3_block4_out");
    expect(plan(resnet, freezeDepth(0), { bnMode: "freeze" }).lastFrozen).toBeNull();
  });

  it("lists the tensors of the frontier with their shapes and bytes", () => {
    expect(plan(resnet, freezeUntil("conv4_block1_3_conv")).frontier).toEqual([
      { tensor: "conv4_block1_2_relu", shape: [null, 14, 14, 256], bytes: 4 * 14 * 14 * 256 },
      { tensor: "conv4_block1_0_conv", shape: [null, 14, 14, 1024], bytes: 4 * 14 * 14 * 1024 },
    ]);
  });

  it("closes an open size with the picture's", () => {
    const open = { ...picture(), config: { batch_input_shape: [null, null, null, 3] } };
    const graph = tinyGraph([open, strided("a"), conv("b"), pool(), dense("out")]);
    const frontier = (imageSize?: readonly [number, number]): unknown =>
      plan(graph, freezeUntil("b"), imageSize ? { imageSize } : {}).frontier;
    expect(frontier([40, 60])).toEqual([{ tensor: "a", shape: [null, 20, 30, 4], bytes: 4 * 20 * 30 * 4 }]);
    expect(frontier()).toEqual([{ tensor: "a", shape: [null, 112, 112, 4], bytes: 4 * 112 * 112 * 4 }]);
  });

  it("has the resolution's warnings, and no cost where none is asked for", () => {
    const resolution = resolveFreeze(resnet, freezeUntil("conv1_pad"));
    const bare = planFreeze(resnet, resolution, partition(resnet, resolution));
    expect(bare.warnings).toBe(resolution.warnings);
    expect("cost" in bare).toBe(false);
  });
});

describe("its cost", () => {
  const whole = sumWhere(() => true);
  /** Backward costs two forwards, but the first trained layer needs no gradient of its input. */
  const trainedFrom = (tail: (path: string) => boolean, firsts: readonly string[]): number =>
    3 * sumWhere(tail) - sumWhere((path) => firsts.includes(path));

  it.each<[string, RegExp, readonly string[], number]>([
    ["conv2", /^conv[2345]|predictions/, ["conv2_block1_1_conv", "conv2_block1_0_conv"], 1.03],
    ["conv3", /^conv[345]|predictions/, ["conv3_block1_1_conv", "conv3_block1_0_conv"], 1.26],
    ["conv4", /^conv[45]|predictions/, ["conv4_block1_1_conv", "conv4_block1_0_conv"], 1.82],
    ["conv5", /^conv5|predictions/, ["conv5_block1_1_conv", "conv5_block1_0_conv"], 5.27],
  ])("until %s is the share of the arithmetic that is left", (stage, tail, firsts, published) => {
    const { cost } = plan(resnet, freezeUntil(stage));
    const inTail = (path: string): boolean => tail.test(path);
    expect(cost!.multiplyAdds).toEqual({ static: whole - sumWhere(inTail), dynamic: sumWhere(inTail) });
    const ratio = trainedFrom(inTail, firsts) / trainedFrom(() => true, ["conv1_conv"]);
    expect(cost!.epochRatio).toBeCloseTo(ratio, 10);
    expect(cost!.epochSeconds).toBeCloseTo(trainedFrom(inTail, firsts), 0);
    expect(cost!.extractionSeconds).toBe(whole - sumWhere(inTail));
    expect(Math.abs(1 / cost!.epochRatio / published - 1)).toBeLessThan(0.06);
  });

  it("counts a frozen layer in the middle twice: no gradient of its weights", () => {
    const graph = tinyGraph([picture(), conv("a"), conv("b"), pool(), dense("out")]);
    const all = plan(graph, []).cost!.epochSeconds;
    const middle = plan(graph, [freeze("none"), freeze("b")]).cost!.epochSeconds;
    expect(all - middle).toBe(3 * 3 * 4 * 4 * 16 * 16);
  });

  it("grows with pictures, trained and evaluated", () => {
    const graph = tinyGraph([picture(), conv("a"), conv("b"), pool(), dense("out")]);
    const of = (trainImages: number, validationImages: number): number =>
      plan(graph, freezeUntil("b"), { cost: { trainImages, validationImages } }).cost!.epochSeconds;
    expect(of(10, 0)).toBe(10 * of(1, 0));
    expect(of(10, 5) - of(10, 0)).toBe(5 * plan(graph, freezeUntil("b")).cost!.multiplyAdds.dynamic);
  });

  it("keeps the frontier of every picture, in the asked number of bytes", () => {
    const images = { trainImages: 100, validationImages: 20 };
    const cost = (rest: Partial<CostQuestion> = {}) =>
      plan(resnet, freezeUntil("conv4"), { cost: { ...images, ...rest } }).cost!;
    expect(cost().cacheBytes).toBe(120 * 4 * 28 * 28 * 512);
    expect(cost({ bytesPerValue: 2 }).cacheBytes).toBe(120 * 2 * 28 * 28 * 512);
    expect(cost().headCut).toEqual({ tensor: "avg_pool", cacheBytes: 120 * 4 * 2048 });
    const uncached = cost({ cached: false });
    expect([uncached.cacheBytes, uncached.extractionSeconds]).toEqual([0, 0]);
    expect(uncached.epochSeconds).toBeCloseTo(cost().epochSeconds + cost().extractionSeconds, -3);
  });

  it("keeps nothing where the tail reads the picture", () => {
    const graph = application("VGG16");
    const planned = plan(graph, []);
    expect(planned.frontier[0]!.tensor).toBe(graph.inputs[0]!.name);
    expect(planned.cost).toMatchObject({ cacheBytes: 0, extractionSeconds: 0, epochRatio: 1 });
  });

  it("says where reading the cache takes longer than computing it again", () => {
    const speed = { multiplyAddsPerSecond: 1e11, bytesPerSecond: 1e10 };
    const pays = (stage: string, cacheBytesPerSecond: number): boolean | undefined =>
      plan(resnet, freezeUntil(stage), { cost: { speed: { ...speed, cacheBytesPerSecond } } }).cost!
        .cachePays;
    expect([pays("conv3", 1e8), pays("conv5", 1e8), pays("conv3", 1e9)]).toEqual([false, true, true]);
  });

  it("adds decoding once where features are kept, at every epoch where the picture is read", () => {
    const speed = { ...arithmetic.speed, secondsPerImage: 1e12 };
    const cached = plan(resnet, freezeUntil("conv4"), { cost: { speed } }).cost!;
    expect(Math.floor(cached.extractionSeconds / 1e12)).toBe(1);
    expect(cached.epochSeconds).toBeLessThan(1e12);
    expect(plan(application("VGG16"), [], { cost: { speed } }).cost!.epochSeconds).toBeGreaterThan(1e12);
  });
});

describe("the memory of a step", () => {
  const graph = tinyGraph([
    picture(),
    conv("a"),
    norm("bn"),
    layer("ReLU", "relu"),
    conv("b"),
    pool(),
    dense("out"),
  ]);
  const bytes = (policy: FreezePolicy | readonly FreezePolicy[], rest: Partial<CostQuestion> = {}): number =>
    plan(graph, policy, { cost: rest }).cost!.stepBytes;

  it("is what is kept, what is in flight, and weights with their state", () => {
    const map = 16 * 16 * 4;
    const weights = { b: 3 * 3 * 4 * 4 + 4, out: 4 * 3 + 3 };
    // b keeps its input, which enters; out keeps its input and its softmax; b itself is the largest call.
    const activations = map + 4 + 3 + 2 * map;
    expect(bytes(freezeUntil("b"), { batchSize: 8, optimizerSlots: 2 })).toBe(
      4 * (8 * activations + 3 * (weights.b + weights.out) + weights.b),
    );
  });

  it("grows with the batch and with the optimizer's state, and falls with the cut", () => {
    const batch = bytes(freezeUntil("b"), { batchSize: 2 }) - bytes(freezeUntil("b"), { batchSize: 1 });
    expect(bytes(freezeUntil("b"), { batchSize: 3 }) - bytes(freezeUntil("b"), { batchSize: 2 })).toBe(batch);
    const trained = plan(graph, freezeUntil("b")).parameters.trainable;
    const slots =
      bytes(freezeUntil("b"), { optimizerSlots: 1 }) - bytes(freezeUntil("b"), { optimizerSlots: 0 });
    expect(slots).toBe(4 * trained);
    expect(bytes(freezeUntil("out"))).toBeLessThan(bytes(freezeUntil("b")));
    expect(bytes(freezeUntil("b"))).toBeLessThan(bytes([]));
    expect(plan(graph, freezeUntil("b")).cost!.wholeStepBytes).toBe(bytes([]));
  });

  it("is that of full training where everything trains, though a weightless layer comes first", () => {
    const augmented = tinyGraph([picture(), layer("RandomFlip", "flip"), conv("a"), pool(), dense("out")]);
    const cost = plan(augmented, []).cost!;
    expect(cost.stepBytes).toBe(cost.wholeStepBytes);
  });

  it("makes the process larger, with the best weights twice, where it is larger than the static part", () => {
    const policy = freezeUntil("b");
    const { parameters } = plan(graph, policy);
    const process = (rest: Partial<CostQuestion>): number =>
      plan(graph, policy, { cost: { residentBytes: 1000, ...rest } }).cost!.processBytes!;
    expect(process({ batchSize: 64 })).toBe(
      1000 + bytes(policy, { batchSize: 64 }) + 8 * parameters.trainable,
    );
    const [small, large] = [512, 1024].map((extractionBatch) => process({ extractionBatch }));
    expect(large! - small!).toBe(4 * 512 * 2 * 16 * 16 * 4);
    expect(plan(graph, policy).cost!.processBytes).toBeUndefined();
  });

  it("keeps nothing for a part that no trained layer comes before", () => {
    const dropped = tinyGraph([
      picture(),
      conv("a"),
      layer("Dropout", "drop", { config: { rate: 0.5 } }),
      layer("ReLU", "relu"),
      pool(),
      dense("out"),
    ]);
    const cost = plan(dropped, freezeUntil("out")).cost!;
    const map = 16 * 16 * 4;
    expect(cost.stepBytes).toBe(4 * (map + (4 + 3) + 2 * map + 3 * 15 + 15));
  });
});

describe("a network of nested models", () => {
  it("is planned by path", () => {
    const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "transfer model"));
    const planned = plan(graph, freezeAllButHead());
    expect(planned.layers.map(({ path }) => path)).toEqual(graph.layers.map(({ path }) => path));
    expect(planned.frontier).toHaveLength(1);
    expect(planned.layers.find(({ stage }) => stage === "conv2")!.path).toContain("/");
  });
});

describe("time of elementwise work", () => {
  it("counts beside the arithmetic", () => {
    const slow = { multiplyAddsPerSecond: Number.POSITIVE_INFINITY, bytesPerSecond: 1 };
    const mobile = application("MobileNetV2");
    const { cost } = plan(mobile, freezeUntil("conv4"), { cost: { speed: slow } });
    expect(cost!.extractionSeconds).toBeGreaterThan(0);
    expect(cost!.epochRatio).toBeGreaterThan(0);
    expect(cost!.epochRatio).toBeLessThan(1);
  });
});
