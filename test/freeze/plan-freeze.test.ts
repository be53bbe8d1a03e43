import { describe, expect, test } from "vitest";
import type { CostConditions } from "../../src/freeze/cost.ts";
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
import { application, conv, dense, imageInput, layer, norm, pool, strided, tinyGraph } from "./networks.ts";

interface Asked extends FreezeOptions {
  readonly imageSize?: readonly [number, number];
  readonly cost?: Partial<CostConditions>;
}

/** An engine on which only contractions take time, one multiply-add per second. */
const arithmetic: CostConditions = {
  trainSamples: 1,
  validationSamples: 0,
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

/** Multiply-adds of each layer from the shapes in Keras: the kernel's values at every position of the output. */
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
  test("a plan lists for each layer its parameters, whether it trains, its statistics and its side", () => {
    const graph = tinyGraph([
      imageInput(),
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
      ["image", 0, false, null, "static"],
      ["a", 3 * 3 * 3 * 4 + 4, false, null, "static"],
      ["a_bn", 16, false, "inference", "static"],
      ["b", 3 * 3 * 4 * 4 + 4, true, null, "dynamic"],
      ["b_bn", 16, true, "batch", "dynamic"],
      ["pool", 0, false, null, "dynamic"],
      ["out", 4 * 3 + 3, true, null, "dynamic"],
    ]);
  });

  test("a plan counts parameters as Keras does", () => {
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

  test.each<[string, FreezePolicy, string, string | null]>([
    ["until conv4", freezeUntil("conv4"), "conv4_block1_1_conv", "conv3_block4_out"],
    ["until head", freezeUntil("head"), "predictions", "avg_pool"],
    ["all but the head", freezeAllButHead(), "predictions", "avg_pool"],
    ["nothing frozen", freezeDepth(0), "conv1_conv", null],
    ["conv3 alone", freeze("conv3"), "conv1_conv", "conv3_block4_3_bn"],
  ])("a plan for %s names the first trainable layer and the last frozen one", (_, policy, first, last) => {
    const { firstTrainable, lastFrozen } = plan(resnet, policy);
    expect([firstTrainable, lastFrozen]).toEqual([first, last]);
  });

  test("layers that only the BatchNormalization mode freezes are not the last frozen layer", () => {
    expect(plan(resnet, freezeUntil("conv4"), { bnMode: "freeze" }).lastFrozen).toBe("conv3_block4_out");
    expect(plan(resnet, freezeDepth(0), { bnMode: "freeze" }).lastFrozen).toBeNull();
  });

  test("a plan lists the tensors of the frontier with their shapes and sizes", () => {
    expect(plan(resnet, freezeUntil("conv4_block1_3_conv")).frontier).toEqual([
      { tensor: "conv4_block1_2_relu", shape: [null, 14, 14, 256], bytes: 4 * 14 * 14 * 256 },
      { tensor: "conv4_block1_0_conv", shape: [null, 14, 14, 1024], bytes: 4 * 14 * 14 * 1024 },
    ]);
  });

  test("an open input size is resolved by the image size, 224 x 224 by default", () => {
    const open = { ...imageInput(), config: { batch_input_shape: [null, null, null, 3] } };
    const graph = tinyGraph([open, strided("a"), conv("b"), pool(), dense("out")]);
    const frontier = (imageSize?: readonly [number, number]): unknown =>
      plan(graph, freezeUntil("b"), imageSize ? { imageSize } : {}).frontier;
    expect(frontier([40, 60])).toEqual([{ tensor: "a", shape: [null, 20, 30, 4], bytes: 4 * 20 * 30 * 4 }]);
    expect(frontier()).toEqual([{ tensor: "a", shape: [null, 112, 112, 4], bytes: 4 * 112 * 112 * 4 }]);
  });

  test("a plan has the resolution's warnings, and a cost only if conditions are given", () => {
    const resolution = resolveFreeze(resnet, freezeUntil("conv1_pad"));
    const bare = planFreeze(resnet, resolution, partition(resnet, resolution));
    expect(bare.warnings).toBe(resolution.warnings);
    expect("cost" in bare).toBe(false);
  });
});

describe("the cost of a plan", () => {
  const whole = sumWhere(() => true);
  /** Backward costs two forward passes, except that the first trained layer needs no gradient of its input. */
  const trainedFrom = (tail: (path: string) => boolean, firsts: readonly string[]): number =>
    3 * sumWhere(tail) - sumWhere((path) => firsts.includes(path));

  test.each<[string, RegExp, readonly string[], number]>([
    ["conv2", /^conv[2345]|predictions/, ["conv2_block1_1_conv", "conv2_block1_0_conv"], 1.03],
    ["conv3", /^conv[345]|predictions/, ["conv3_block1_1_conv", "conv3_block1_0_conv"], 1.26],
    ["conv4", /^conv[45]|predictions/, ["conv4_block1_1_conv", "conv4_block1_0_conv"], 1.82],
    ["conv5", /^conv5|predictions/, ["conv5_block1_1_conv", "conv5_block1_0_conv"], 5.27],
  ])(
    "the epoch ratio until %s is the remaining share of the arithmetic",
    (stage, tail, firsts, published) => {
      const { cost } = plan(resnet, freezeUntil(stage));
      const inTail = (path: string): boolean => tail.test(path);
      expect(cost!.multiplyAdds).toEqual({ static: whole - sumWhere(inTail), dynamic: sumWhere(inTail) });
      const ratio = trainedFrom(inTail, firsts) / trainedFrom(() => true, ["conv1_conv"]);
      expect(cost!.epochRatio).toBeCloseTo(ratio, 10);
      expect(cost!.epochSeconds).toBeCloseTo(trainedFrom(inTail, firsts), 0);
      expect(cost!.extractionSeconds).toBe(whole - sumWhere(inTail));
      expect(Math.abs(1 / cost!.epochRatio / published - 1)).toBeLessThan(0.06);
    },
  );

  test("a frozen layer after a trained one costs two passes, because its weights need no gradient", () => {
    const graph = tinyGraph([imageInput(), conv("a"), conv("b"), pool(), dense("out")]);
    const all = plan(graph, []).cost!.epochSeconds;
    const middle = plan(graph, [freeze("none"), freeze("b")]).cost!.epochSeconds;
    expect(all - middle).toBe(3 * 3 * 4 * 4 * 16 * 16);
  });

  test("the cost grows with the number of training and validation samples", () => {
    const graph = tinyGraph([imageInput(), conv("a"), conv("b"), pool(), dense("out")]);
    const of = (trainSamples: number, validationSamples: number): number =>
      plan(graph, freezeUntil("b"), { cost: { trainSamples, validationSamples } }).cost!.epochSeconds;
    expect(of(10, 0)).toBe(10 * of(1, 0));
    expect(of(10, 5) - of(10, 0)).toBe(5 * plan(graph, freezeUntil("b")).cost!.multiplyAdds.dynamic);
  });

  test("the cache holds the frontier of every sample in the given number of bytes", () => {
    const samples = { trainSamples: 100, validationSamples: 20 };
    const cost = (rest: Partial<CostConditions> = {}) =>
      plan(resnet, freezeUntil("conv4"), { cost: { ...samples, ...rest } }).cost!;
    expect(cost().cacheBytes).toBe(120 * 4 * 28 * 28 * 512);
    expect(cost({ bytesPerValue: 2 }).cacheBytes).toBe(120 * 2 * 28 * 28 * 512);
    expect(cost().headCut).toEqual({ tensor: "avg_pool", cacheBytes: 120 * 4 * 2048 });
    const uncached = cost({ cached: false });
    expect([uncached.cacheBytes, uncached.extractionSeconds]).toEqual([0, 0]);
    expect(uncached.epochSeconds).toBeCloseTo(cost().epochSeconds + cost().extractionSeconds, -3);
  });

  test("nothing is cached if the dynamic part reads the image itself", () => {
    const graph = application("VGG16");
    const planned = plan(graph, []);
    expect(planned.frontier[0]!.tensor).toBe(graph.inputs[0]!.name);
    expect(planned.cost).toMatchObject({ cacheBytes: 0, extractionSeconds: 0, epochRatio: 1 });
  });

  test("the cache does not pay if reading it takes longer than computing it again", () => {
    const speed = { multiplyAddsPerSecond: 1e11, bytesPerSecond: 1e10 };
    const pays = (stage: string, cacheBytesPerSecond: number): boolean | undefined =>
      plan(resnet, freezeUntil(stage), { cost: { speed: { ...speed, cacheBytesPerSecond } } }).cost!
        .cachePays;
    expect([pays("conv3", 1e8), pays("conv5", 1e8), pays("conv3", 1e9)]).toEqual([false, true, true]);
  });

  test("decoding counts once if features are cached, and in every epoch if images are read", () => {
    const speed = { ...arithmetic.speed, secondsPerSample: 1e12 };
    const cached = plan(resnet, freezeUntil("conv4"), { cost: { speed } }).cost!;
    expect(Math.floor(cached.extractionSeconds / 1e12)).toBe(1);
    expect(cached.epochSeconds).toBeLessThan(1e12);
    const pixels = (trainSamples: number) =>
      plan(application("VGG16"), [], { cost: { speed, trainSamples } }).cost!;
    const [few, many] = [pixels(1), pixels(1000)];
    expect([few.extractionSeconds, few.epochSeconds < 1e12]).toEqual([1e12, true]);
    expect([many.extractionSeconds, many.epochSeconds > 1e15]).toEqual([1e15, true]);
  });

  test("what the cache holds already is not computed again", () => {
    const conditions = { trainSamples: 80, validationSamples: 20 };
    const of = (cachedSamples: number) =>
      plan(resnet, freezeUntil("conv4"), { cost: { ...conditions, cachedSamples } }).cost!;
    expect(of(75).extractionSeconds).toBe(of(0).extractionSeconds / 4);
    expect(of(100)).toMatchObject({ extractionSeconds: 0, keptSamples: 100, cachedSamples: 100 });
  });

  test("rows that are too many for memory lie beside the cache; pixels never do", () => {
    const cost = { trainSamples: 100 };
    expect(plan(resnet, freezeUntil("conv4"), { cost }).cost!.rowBytes).toBe(100 * 4 * 28 * 28 * 512);
    expect(plan(resnet, freezeAllButHead(), { cost }).cost!.rowBytes).toBe(0);
    expect(plan(resnet, [], { cost: { trainSamples: 10_000 } }).cost!.rowBytes).toBe(0);
  });

  test("measured seconds take the place of predicted ones, and scale full training, which was not measured", () => {
    const conditions = { trainSamples: 64, validationSamples: 32, batchSize: 32, extractionBatch: 16 };
    const measured = {
      static: { perBatch: 16, perSample: 2 },
      step: { perBatch: 10, perSample: 4 },
      forward: { perBatch: 1, perSample: 1 },
    };
    const { cost } = plan(resnet, freezeUntil("conv4"), { cost: { ...conditions, measured } });
    expect(cost!.extractionSeconds).toBe(96 * 3);
    expect(cost!.epochSeconds).toBe(2 * 10 + 64 * 4 + 1 + 32);
    const { epochRatio } = plan(resnet, freezeUntil("conv4"), { cost: conditions }).cost!;
    expect(cost!.epochRatio / epochRatio).toBeGreaterThan(0.2);
    expect(cost!.epochRatio / epochRatio).toBeLessThan(5);
  });

  test("features of a cut after another one cost what lies between them", () => {
    const graph = tinyGraph([imageInput(), conv("a"), conv("b"), conv("c"), pool(), dense("out")]);
    const resolution = resolveFreeze(graph, freezeUntil("b"), {});
    const after = partition(graph, resolution);
    const of = (rest: Partial<CostConditions>): number =>
      plan(graph, freezeUntil("c"), { cost: rest }).cost!.extractionSeconds;
    expect(of({ after })).toBe(of({}) - plan(graph, freezeUntil("b")).cost!.extractionSeconds);
  });
});

describe("the peak memory of a training step", () => {
  const graph = tinyGraph([
    imageInput(),
    conv("a"),
    norm("bn"),
    layer("ReLU", "relu"),
    conv("b"),
    pool(),
    dense("out"),
  ]);
  const bytes = (
    policy: FreezePolicy | readonly FreezePolicy[],
    rest: Partial<CostConditions> = {},
  ): number => plan(graph, policy, { cost: rest }).cost!.stepBytes;

  test("step memory is kept tensors, the largest call, and weights with their optimizer state", () => {
    const map = 16 * 16 * 4;
    const weights = { b: 3 * 3 * 4 * 4 + 4, out: 4 * 3 + 3 };
    // b keeps its input, which enters; out keeps its input and its softmax; b itself is the largest call.
    const activations = map + 4 + 3 + 2 * map;
    expect(bytes(freezeUntil("b"), { batchSize: 8, optimizerSlots: 2 })).toBe(
      4 * (8 * activations + 3 * (weights.b + weights.out) + weights.b),
    );
  });

  test("step memory grows with the batch and the optimizer state and shrinks with a later cut", () => {
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

  test("step memory equals full training if everything trains, even after a layer without weights", () => {
    const augmented = tinyGraph([imageInput(), layer("RandomFlip", "flip"), conv("a"), pool(), dense("out")]);
    const cost = plan(augmented, []).cost!;
    expect(cost.stepBytes).toBe(cost.wholeStepBytes);
  });

  test("process memory is the larger of the extraction and the step with the best epoch, where that is small, and the rows", () => {
    const policy = freezeUntil("b");
    const { parameters } = plan(graph, policy);
    const process = (rest: Partial<CostConditions>): number =>
      plan(graph, policy, { cost: { residentBytes: 1000, ...rest } }).cost!.processBytes!;
    const rows = 4 * 16 * 16 * 4;
    const step = bytes(policy, { batchSize: 64 });
    expect(process({ batchSize: 64 })).toBe(1000 + rows + step + 4 * 3 * parameters.trainable);
    expect(process({ batchSize: 64, copiesOnTop: 2, workingBytes: 7 }) - process({ batchSize: 64 })).toBe(
      7 + 4 * 2 * parameters.trainable,
    );
    const asGraph = process({ batchSize: 64, graphBytes: 9, stepsAsGraph: true });
    expect(asGraph - process({ batchSize: 64, graphBytes: 9 })).toBe(9 + 4 * parameters.trainable);
    const [small, large] = [512, 1024].map((extractionBatch) => process({ extractionBatch }));
    expect(large! - small!).toBe(1.5 * 4 * 512 * 2 * 16 * 16 * 4);
    const extracting = (trainSamples: number): number =>
      process({ extractionBatch: 1024, graphBytes: 9, graphBatches: 4, trainSamples, validationSamples: 0 }) -
      process({ extractionBatch: 1024, trainSamples, validationSamples: 0 });
    expect([3 * 1024, 3 * 1024 + 1].map(extracting)).toEqual([0, 9]);
    expect(plan(graph, policy).cost!.processBytes).toBeUndefined();
  });

  test("calls without a trained ancestor keep no tensors", () => {
    const dropped = tinyGraph([
      imageInput(),
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
  test("layers of nested models are planned by their paths", () => {
    const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "transfer model"));
    const planned = plan(graph, freezeAllButHead());
    expect(planned.layers.map(({ path }) => path)).toEqual(graph.layers.map(({ path }) => path));
    expect(planned.frontier).toHaveLength(1);
    expect(planned.layers.find(({ stage }) => stage === "conv2")!.path).toContain("/");
  });
});

describe("time of elementwise work", () => {
  test("elementwise work counts in addition to the arithmetic", () => {
    const slow = { multiplyAddsPerSecond: Number.POSITIVE_INFINITY, bytesPerSecond: 1 };
    const mobile = application("MobileNetV2");
    const { cost } = plan(mobile, freezeUntil("conv4"), { cost: { speed: slow } });
    expect(cost!.extractionSeconds).toBeGreaterThan(0);
    expect(cost!.epochRatio).toBeGreaterThan(0);
    expect(cost!.epochRatio).toBeLessThan(1);
  });
});
