import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import type { LayerGraph } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import type { RewriteOptions } from "../../../src/topology/rewrites/fold-batch-norm.ts";
import { foldBatchNorm } from "../../../src/topology/rewrites/fold-batch-norm.ts";
import {
  built,
  classNames,
  outputRefs,
  randomInputs,
  randomWeights,
  relativeDifference,
  valuesAt,
} from "./graph-maker.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const everything: RewriteOptions = { foldable: () => true, kept: [] };

/** Runs the graph before and after folding and returns the largest relative difference of their outputs. */
function difference(graph: LayerGraph, folded: ReturnType<typeof foldBatchNorm>, seed = 7): number {
  const weights = randomWeights(graph, seed);
  const inputs = randomInputs(graph, seed + 1);
  const before = valuesAt(graph, weights, inputs, outputRefs(graph));
  const after = valuesAt(folded.graph, folded.weights, inputs, outputRefs(folded.graph));
  tf.dispose(inputs);
  return Math.max(...after.map((value, index) => relativeDifference(value, before[index]!)));
}

function fold(graph: LayerGraph, options = everything, seed = 7): ReturnType<typeof foldBatchNorm> {
  return foldBatchNorm(graph, randomWeights(graph, seed), options);
}

const planes: readonly [shape: readonly (number | null)[], className: string, config: JsonObject][] = [
  [[null, 9, 4], "Conv1D", { filters: 6, kernel_size: 3, padding: "causal" }],
  [[null, 9, 9, 4], "Conv2D", { filters: 6, kernel_size: 3, padding: "same", strides: 2 }],
  [[null, 9, 9, 4], "Conv2D", { filters: 6, kernel_size: 3, groups: 2 }],
  [[null, 9, 9, 4], "Conv2D", { filters: 6, kernel_size: 3, use_bias: false, dilation_rate: 2 }],
  [[null, 5, 5, 5, 2], "Conv3D", { filters: 3, kernel_size: 2 }],
  [[null, 9, 9, 4], "DepthwiseConv2D", { kernel_size: 3, depth_multiplier: 2, padding: "same" }],
  [[null, 9, 4], "DepthwiseConv1D", { kernel_size: 3, depth_multiplier: 3, use_bias: false }],
  [[null, 9, 9, 4], "SeparableConv2D", { filters: 6, kernel_size: 3, depth_multiplier: 2, use_bias: false }],
  [[null, 9, 4], "SeparableConv1D", { filters: 6, kernel_size: 3 }],
  [[null, 5, 4], "Conv1DTranspose", { filters: 6, kernel_size: 3, strides: 2 }],
  [[null, 5, 5, 4], "Conv2DTranspose", { filters: 6, kernel_size: 3, strides: 2, padding: "same" }],
  [[null, 3, 3, 3, 2], "Conv3DTranspose", { filters: 3, kernel_size: 2, use_bias: false }],
  [[null, 9], "Dense", { units: 5 }],
  [[null, 4, 9], "Dense", { units: 5, use_bias: false }],
];

describe("foldBatchNorm", () => {
  test.each(planes)(
    "over %j a BatchNormalization is folded into the %s with %j before it",
    (shape, className, config) => {
      const graph = built((g) =>
        g.call("bn", "BatchNormalization", {}, g.call("conv", className, config, g.input(shape))),
      );
      const folded = fold(graph);
      expect(classNames(folded.graph)).toEqual(["InputLayer", className]);
      expect(difference(graph, folded)).toBeLessThan(1e-5);
    },
  );

  test.each(planes.slice(1, 7))(
    "in channels_first format (%j reversed) a BatchNormalization over axis 1 is folded into the %s with %j",
    (shape, className, config) => {
      const turned = [null, shape.at(-1)!, ...shape.slice(1, -1)];
      const graph = built((g) =>
        g.call(
          "bn",
          "BatchNormalization",
          { axis: 1 },
          g.call("conv", className, { ...config, data_format: "channels_first" }, g.input(turned)),
        ),
      );
      const folded = fold(graph);
      expect(classNames(folded.graph)).toEqual(["InputLayer", className]);
      expect(difference(graph, folded)).toBeLessThan(1e-5);
    },
  );

  test.each([{ scale: false }, { center: false }, { scale: false, center: false, epsilon: 0.1 }])(
    "a BatchNormalization with %j is folded",
    (config) => {
      const graph = built((g) =>
        g.call(
          "bn",
          "BatchNormalization",
          config,
          g.call("conv", "Conv2D", { filters: 3, kernel_size: 3 }, g.input([null, 9, 9, 2])),
        ),
      );
      const folded = fold(graph);
      expect(classNames(folded.graph)).toEqual(["InputLayer", "Conv2D"]);
      expect(difference(graph, folded)).toBeLessThan(1e-5);
    },
  );

  test("a convolution without bias gets one in its config and weights, and the given values stay unchanged", () => {
    const graph = built((g) =>
      g.call(
        "bn",
        "BatchNormalization",
        {},
        g.call("conv", "Conv2D", { filters: 3, kernel_size: 3, use_bias: false }, g.input([null, 9, 9, 2])),
      ),
    );
    const weights = randomWeights(graph, 3);
    const kernel = weights.get("conv")![0]!.data.slice();
    const folded = foldBatchNorm(graph, weights, everything);
    expect(layerAt(folded.graph, "conv").config["use_bias"]).toBe(true);
    expect(folded.weights.get("conv")!.map((weight) => weight.name)).toEqual(["kernel", "bias"]);
    expect(folded.weights.has("bn")).toBe(false);
    expect(weights.get("conv")!.map((weight) => weight.name)).toEqual(["kernel"]);
    expect(weights.get("conv")![0]!.data).toEqual(kernel);
    expect(layerAt(graph, "conv").config["use_bias"]).toBe(false);
  });

  test("LayerScale of ConvNeXt is folded into the Dense before it", () => {
    const graph = built((g) => {
      const dense = g.call("dense", "Dense", { units: 5 }, g.input([null, 3, 3, 4]));
      return g.call("scale", "LayerScale", { projection_dim: 5, init_values: 1e-6 }, dense);
    });
    const folded = fold(graph);
    expect(classNames(folded.graph)).toEqual(["InputLayer", "Dense"]);
    expect(difference(graph, folded)).toBeLessThan(1e-5);
  });

  test("two BatchNormalizations in a row are both folded", () => {
    const graph = built((g) => {
      const conv = g.call("conv", "Conv2D", { filters: 3, kernel_size: 3 }, g.input([null, 9, 9, 2]));
      return g.call("bn2", "BatchNormalization", {}, g.call("bn1", "BatchNormalization", {}, conv));
    });
    const folded = fold(graph);
    expect(classNames(folded.graph)).toEqual(["InputLayer", "Conv2D"]);
    expect(difference(graph, folded)).toBeLessThan(1e-5);
  });

  test("a shared BatchNormalization is folded into each convolution that it follows", () => {
    const graph = built((g) => {
      const x = g.input([null, 9, 9, 2]);
      const a = g.call("a", "Conv2D", { filters: 3, kernel_size: 3 }, x);
      const b = g.call("b", "Conv2D", { filters: 3, kernel_size: 3 }, x);
      return g.call("sum", "Add", {}, g.call("bn", "BatchNormalization", {}, a), g.again("bn", b));
    });
    const folded = fold(graph);
    expect(classNames(folded.graph)).toEqual(["InputLayer", "Conv2D", "Conv2D", "Add"]);
    expect(difference(graph, folded)).toBeLessThan(1e-5);
  });

  test.each([
    ["Conv2D", { filters: 3, kernel_size: 3, activation: "relu" }],
    ["Conv2D", { filters: 3, kernel_size: 1, padding: "same", use_bias: false }],
    ["DepthwiseConv2D", { kernel_size: 3, depth_multiplier: 2 }],
    ["Dense", { units: 3, activation: "tanh" }],
  ] satisfies [string, JsonObject][])(
    "a BatchNormalization at the input is folded into the unpadded %s with %j after it",
    (className, config) => {
      const graph = built((g) =>
        g.call("conv", className, config, g.call("bn", "BatchNormalization", {}, g.input([null, 9, 9, 2]))),
      );
      const folded = fold(graph);
      expect(classNames(folded.graph)).toEqual(["InputLayer", className]);
      expect(difference(graph, folded)).toBeLessThan(1e-5);
    },
  );

  test.each([
    ["padded", "Conv2D", { filters: 2, kernel_size: 3, padding: "same" }],
    ["grouped", "Conv2D", { filters: 2, kernel_size: 3, groups: 2 }],
    ["of two kernels", "SeparableConv2D", { filters: 2, kernel_size: 3 }],
  ] satisfies [string, string, JsonObject][])(
    "a BatchNormalization at the input stays before a layer that is %s",
    (_why, className, config) => {
      const graph = built((g) =>
        g.call("conv", className, config, g.call("bn", "BatchNormalization", {}, g.input([null, 9, 9, 2]))),
      );
      expect(fold(graph).graph).toBe(graph);
    },
  );

  test("a kept tensor refers to the layer into which its producer was folded", () => {
    const graph = built((g) => {
      const conv = g.call("conv", "Conv2D", { filters: 3, kernel_size: 3 }, g.input([null, 9, 9, 2]));
      const bn = g.call("bn", "BatchNormalization", {}, conv);
      return g.call("relu", "ReLU", {}, bn);
    });
    const folded = fold(graph, {
      ...everything,
      kept: [
        { node: 2, output: 0 },
        { node: 0, output: 0 },
      ],
    });
    expect(folded.kept).toEqual([
      { node: 1, output: 0 },
      { node: 0, output: 0 },
    ]);
  });

  describe("cases in which BatchNormalization is not folded", () => {
    const conv: JsonObject = { filters: 4, kernel_size: 3 };
    const chain = (convConfig: JsonObject = conv, normConfig: JsonObject = {}): LayerGraph =>
      built((g) =>
        g.call(
          "bn",
          "BatchNormalization",
          normConfig,
          g.call("conv", "Conv2D", convConfig, g.input([null, 6, 6, 2])),
        ),
      );

    test("BatchNormalization stays if the caller excludes it or its convolution", () => {
      const graph = chain();
      expect(fold(graph, { ...everything, foldable: (path) => path !== "bn" }).graph).toBe(graph);
      expect(fold(graph, { ...everything, foldable: (path) => path !== "conv" }).graph).toBe(graph);
    });

    test("BatchNormalization after an activation stays", () => {
      const graph = chain({ ...conv, activation: "relu" });
      expect(fold(graph).graph).toBe(graph);
    });

    test("BatchNormalization over an axis other than the channels stays, even of equal size", () => {
      const graph = chain(conv, { axis: 1 });
      expect(fold(graph).graph).toBe(graph);
    });

    test("BatchNormalization stays if its convolution's output is kept", () => {
      const graph = chain();
      expect(fold(graph, { ...everything, kept: [{ node: 1, output: 0 }] }).graph).toBe(graph);
    });

    test("BatchNormalization stays if its convolution's output is an output of the model", () => {
      const graph = built((g) => {
        const y = g.call("conv", "Conv2D", conv, g.input([null, 6, 6, 2]));
        return [g.call("bn", "BatchNormalization", {}, y), y];
      });
      expect(fold(graph).graph).toBe(graph);
    });

    test("BatchNormalization stays if its convolution's output has another reader", () => {
      const graph = built((g) => {
        const y = g.call("conv", "Conv2D", conv, g.input([null, 6, 6, 2]));
        return g.call("sum", "Add", {}, g.call("bn", "BatchNormalization", {}, y), y);
      });
      expect(fold(graph).graph).toBe(graph);
    });

    test("BatchNormalization stays if its convolution is called twice", () => {
      const graph = built((g) => {
        const x = g.input([null, 6, 6, 2]);
        const y = g.call("bn", "BatchNormalization", {}, g.call("conv", "Conv2D", conv, x));
        return g.call("sum", "Add", {}, y, g.again("conv", x));
      });
      expect(fold(graph).graph).toBe(graph);
    });

    test("BatchNormalization stays if its convolution has an activity regularizer", () => {
      const graph = chain({ ...conv, activity_regularizer: { class_name: "L2", config: { l2: 0.1 } } });
      expect(fold(graph).graph).toBe(graph);
    });

    test("BatchNormalization stays if the weights were not read", () => {
      const graph = chain();
      const shapes = new Map(
        [...randomWeights(graph, 1)].map(([path, layer]) => [
          path,
          layer.map((weight) => ({ ...weight, data: new Float32Array() })),
        ]),
      );
      expect(foldBatchNorm(graph, shapes, everything).graph).toBe(graph);
    });

    test("BatchNormalization stays if its convolution has more weights than kernel and bias", () => {
      const graph = chain();
      const weights = new Map(randomWeights(graph, 1));
      weights.set("conv", [...weights.get("conv")!, { ...weights.get("conv")![1]!, name: "lora_kernel_a" }]);
      expect(foldBatchNorm(graph, weights, everything).graph).toBe(graph);
    });
  });
});
