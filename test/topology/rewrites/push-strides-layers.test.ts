import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import type { LayerGraph, TensorRef } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import { pushStrides } from "../../../src/topology/rewrites/push-strides.ts";
import { built, classNames } from "./graph-maker.ts";
import { before1x1, difference, everywhere, shapeOf, stridesOf } from "./strided-graphs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe("layers into which pushStrides moves a stride", () => {
  const cases: readonly [name: string, size: number | null, className: string, config: JsonObject][] = [
    ["an unpadded convolution", 9, "Conv2D", { filters: 3, kernel_size: 3 }],
    ["an unpadded convolution of any size", null, "Conv2D", { filters: 3, kernel_size: 2 }],
    ["a padded convolution of even size", 8, "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }],
    ["a padded convolution of any size", null, "Conv2D", { filters: 3, kernel_size: 4, padding: "same" }],
    ["a padded 2x2 convolution", 8, "Conv2D", { filters: 3, kernel_size: 2, padding: "same" }],
    [
      "a strided padded convolution",
      10,
      "Conv2D",
      { filters: 3, kernel_size: 5, strides: 2, padding: "same" },
    ],
    ["a convolution of unequal strides", 9, "Conv2D", { filters: 3, kernel_size: [3, 2], strides: [1, 2] }],
    ["a grouped convolution", 8, "Conv2D", { filters: 4, kernel_size: 3, groups: 2, padding: "same" }],
    ["a 1x1 convolution", 8, "Conv2D", { filters: 3, kernel_size: 1, activation: "relu" }],
    ["a depthwise convolution", 8, "DepthwiseConv2D", { kernel_size: 3, padding: "same" }],
    ["a separable convolution", 8, "SeparableConv2D", { filters: 3, kernel_size: 3, padding: "same" }],
    ["an unpadded max pool", 9, "MaxPooling2D", { pool_size: 3, strides: 1 }],
    ["a padded max pool of odd size", 9, "MaxPooling2D", { pool_size: 3, strides: 1, padding: "same" }],
    [
      "a padded average pool of odd size",
      9,
      "AveragePooling2D",
      { pool_size: 3, strides: 1, padding: "same" },
    ],
  ];
  test.each(cases)("a stride moves into %s", (_name, size, className, config) => {
    const graph = before1x1(size, (g, x) => g.call("first", className, config, x));
    const pushed = pushStrides(graph, everywhere).graph;
    const strides = config["strides"] ?? 1;
    expect(stridesOf(pushed, "first")).toEqual(
      Array.isArray(strides)
        ? strides.map((stride) => stride * 2)
        : [2 * Number(strides), 2 * Number(strides)],
    );
    expect(stridesOf(pushed, "last")).toEqual([1, 1]);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test.each([
    ["last", [null, 9, 4]],
    ["first", [null, 4, 9]],
  ] as const)("a stride moves into a causal and a padded Conv1D with channels %s", (order, shape) => {
    const data_format = `channels_${order}`;
    for (const padding of order === "last" ? ["causal", "same"] : ["same"]) {
      const graph = built((g) => {
        const x = g.call(
          "first",
          "Conv1D",
          { filters: 3, kernel_size: 4, padding, data_format },
          g.input(shape),
        );
        return g.call("last", "Conv1D", { filters: 2, kernel_size: 1, strides: 3, data_format }, x);
      });
      const pushed = pushStrides(graph, everywhere).graph;
      expect(stridesOf(pushed, "first")).toEqual([3]);
      expect(difference(graph, pushed)).toBeLessThan(1e-5);
    }
  });

  test("a stride moves across Dense, normalization, activations and a concatenation of channels", () => {
    const graph = before1x1(8, (g, x) => {
      const left = g.call("left", "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }, x);
      const right = g.call("right", "Conv2D", { filters: 2, kernel_size: 5, padding: "same" }, x);
      const slope = g.call("slope", "PReLU", { shared_axes: [1, 2] }, right);
      const both = g.call("both", "Concatenate", {}, g.call("bn", "BatchNormalization", {}, left), slope);
      const dense = g.call("dense", "Dense", { units: 4, activation: "softmax" }, both);
      return g.call("act", "Activation", { activation: "tanh" }, dense);
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "left")).toEqual([2, 2]);
    expect(stridesOf(pushed, "right")).toEqual([2, 2]);
    expect(shapeOf(pushed, "dense")).toEqual([null, 4, 4, 4]);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("a stride moves into a convolution beside a gate of one position, which stays as it is", () => {
    const graph = before1x1(8, (g, x) => {
      const gate = g.call(
        "gate",
        "Conv2D",
        { filters: 3, kernel_size: 1, activation: "sigmoid" },
        g.call("mean", "GlobalAveragePooling2D", { keepdims: true }, x),
      );
      const y = g.call("first", "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }, x);
      return g.call("gated", "Multiply", {}, y, gate);
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "first")).toEqual([2, 2]);
    expect(stridesOf(pushed, "gate")).toBe(1);
    expect(classNames(pushed)).not.toContain("MaxPooling2D");
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("a stride moves into a convolution beside two branches that share one subsampled residual", () => {
    const graph = built((g) => {
      const x = g.input([null, 8, 8, 3]);
      const sums = ["a", "b"].map((name) =>
        g.call(
          `${name}_sum`,
          "Add",
          {},
          g.call(name, "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }, x),
          x,
        ),
      );
      return sums.map((sum, at) =>
        g.call(`last_${at}`, "Conv2D", { filters: 2, kernel_size: 1, strides: 2 }, sum),
      );
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(classNames(pushed).filter((name) => name === "MaxPooling2D")).toHaveLength(1);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("a stride moves into a convolution beside a boolean mask, which is subsampled after the cast to numbers", () => {
    const graph = built((g) => {
      const x = g.input([null, 8, 8, 3]);
      const dark = g.call("dark", "ops.LogicalNot", {}, g.call("relu", "ReLU", {}, x));
      const y = g.call("first", "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }, x);
      const gated = g.call(
        "gated",
        "Multiply",
        {},
        y,
        g.call("numbers", "ops.Cast", { dtype: "float32" }, dark),
      );
      const last = g.call("last", "Conv2D", { filters: 2, kernel_size: 1, strides: 2 }, gated);
      return [last, g.call("again", "ops.Cast", { dtype: "float32" }, dark)];
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(layerAt(pushed, "numbers_subsample").className).toBe("MaxPooling2D");
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("a stride moves across LayerScale, Rescaling and operations with constants", () => {
    const graph = before1x1(8, (g, x) => {
      const y = g.call("first", "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }, x);
      const scaled = g.call("scale", "LayerScale", { projection_dim: 3, init_values: 1 }, y);
      const rescaled = g.call("rescale", "Rescaling", { scale: [1, 2, 3], offset: 1 }, scaled);
      return g.call("op", "ops.Tanh", {}, rescaled);
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "first")).toEqual([2, 2]);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("the greatest common stride of all readers moves and each reader keeps the rest", () => {
    const graph = built((g) => {
      const x = g.call(
        "first",
        "Conv2D",
        { filters: 3, kernel_size: 3, padding: "same" },
        g.input([null, 16, 16, 2]),
      );
      const reader = (name: string, strides: number | number[]): TensorRef =>
        g.call(name, "Conv2D", { filters: 2, kernel_size: 1, strides }, x);
      return [reader("by4", 4), reader("by6", [6, 4])];
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "first")).toEqual([2, 4]);
    expect(stridesOf(pushed, "by4")).toEqual([2, 1]);
    expect(stridesOf(pushed, "by6")).toEqual([3, 1]);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("two strides in a row both move into the layer before them", () => {
    const graph = built((g) => {
      const x = g.call(
        "first",
        "Conv2D",
        { filters: 3, kernel_size: 3, padding: "same" },
        g.input([null, 16, 16, 2]),
      );
      const y = g.call("second", "Conv2D", { filters: 2, kernel_size: 1, strides: 2, activation: "relu" }, x);
      return g.call("third", "MaxPooling2D", { pool_size: 1, strides: 2 }, y);
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "first")).toEqual([4, 4]);
    expect(stridesOf(pushed, "second")).toEqual([1, 1]);
    expect(stridesOf(pushed, "third")).toEqual([1, 1]);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("a stride moves across a normalization over rows along the columns only", () => {
    const graph = before1x1(8, (g, x) => {
      const y = g.call("first", "Conv2D", { filters: 3, kernel_size: 3, padding: "same" }, x);
      return g.call("bn", "BatchNormalization", { axis: 1 }, y);
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "first")).toEqual([1, 2]);
    expect(stridesOf(pushed, "last")).toEqual([2, 1]);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });

  test("a stride moves across the calls of a shared 1x1 convolution of stride 1, whose config stays", () => {
    const graph = built((g) => {
      const conv = { filters: 2, kernel_size: 3, padding: "same" };
      const x = g.input([null, 8, 8, 2]);
      const a = g.call("shared", "Conv2D", { filters: 3, kernel_size: 1 }, g.call("a", "Conv2D", conv, x));
      const b = g.again("shared", g.call("b", "Conv2D", conv, x));
      const thin = g.call("last", "Conv2D", { filters: 2, kernel_size: 1, strides: 2 }, a);
      return [thin, b];
    });
    const pushed = pushStrides(graph, everywhere).graph;
    expect(stridesOf(pushed, "a")).toEqual([2, 2]);
    expect(stridesOf(pushed, "b")).toBe(1);
    expect(stridesOf(pushed, "shared")).toBe(1);
    expect(difference(graph, pushed)).toBeLessThan(1e-5);
  });
});

describe("cases in which pushStrides moves nothing", () => {
  const padded: JsonObject = { filters: 3, kernel_size: 3, padding: "same" };

  const cases: readonly [string, LayerGraph][] = [
    [
      "a dilated convolution, which cannot be strided",
      before1x1(9, (g, x) => g.call("first", "Conv2D", { ...padded, dilation_rate: 2 }, x)),
    ],
    [
      "a padded max pool of even size, whose padding is not zero",
      before1x1(8, (g, x) =>
        g.call("first", "MaxPooling2D", { pool_size: 3, strides: 1, padding: "same" }, x),
      ),
    ],
    [
      "a strided padded convolution of unknown size",
      before1x1(null, (g, x) => g.call("first", "Conv2D", { ...padded, strides: 2 }, x)),
    ],
    [
      "a softmax over positions",
      before1x1(8, (g, x) =>
        g.call("soft", "Softmax", { axis: [1, 2] }, g.call("first", "Conv2D", padded, x)),
      ),
    ],
    [
      "PReLU slopes that differ by position",
      before1x1(8, (g, x) => g.call("slope", "PReLU", {}, g.call("first", "Conv2D", padded, x))),
    ],
    [
      "a layer with an activity regularizer",
      before1x1(8, (g, x) => g.call("first", "Conv2D", { ...padded, activity_regularizer: "l2" }, x)),
    ],
    [
      "elementwise layers only, which saves no multiply-adds",
      before1x1(8, (g, x) => g.call("act", "ReLU", {}, x)),
    ],
    [
      "an output of the model",
      built((g) => {
        const x = g.call("first", "Conv2D", padded, g.input([null, 8, 8, 2]));
        return [x, g.call("last", "Conv2D", { filters: 2, kernel_size: 1, strides: 2 }, x)];
      }),
    ],
    [
      "a tensor with a reader that needs every position",
      built((g) => {
        const x = g.call("first", "Conv2D", padded, g.input([null, 8, 8, 2]));
        const whole = g.call("mean", "GlobalAveragePooling2D", { keepdims: true }, x);
        return g.call(
          "sum",
          "Add",
          {},
          whole,
          g.call("last", "Conv2D", { filters: 3, kernel_size: 1, strides: 2 }, x),
        );
      }),
    ],
    [
      "strides without a common divisor",
      built((g) => {
        const x = g.call("first", "Conv2D", padded, g.input([null, 12, 12, 2]));
        return [2, 3].map((strides) =>
          g.call(`by${strides}`, "Conv2D", { filters: 2, kernel_size: 1, strides }, x),
        );
      }),
    ],
    [
      "a convolution that is called twice",
      built((g) => {
        const x = g.input([null, 8, 8, 2]);
        const y = g.call("first", "Conv2D", padded, x);
        return [g.call("last", "Conv2D", { filters: 2, kernel_size: 1, strides: 2 }, y), g.again("first", x)];
      }),
    ],
    [
      "the input of a strided convolution that is called twice",
      built((g) => {
        const x = g.input([null, 8, 8, 2]);
        const y = g.call(
          "last",
          "Conv2D",
          { filters: 2, kernel_size: 1, strides: 2 },
          g.call("first", "Conv2D", padded, x),
        );
        return [y, g.again("last", g.call("other", "Conv2D", padded, x))];
      }),
    ],
  ];
  test.each(cases)("no stride moves into %s", (_name, graph) => {
    expect(pushStrides(graph, everywhere).graph).toBe(graph);
  });

  test("no stride of one axis moves into a depthwise convolution, whose strides must be equal", () => {
    const graph = built((g) => {
      const x = g.call("first", "DepthwiseConv2D", { kernel_size: 3 }, g.input([null, 9, 9, 2]));
      return g.call("last", "Conv2D", { filters: 2, kernel_size: 1, strides: [1, 2] }, x);
    });
    expect(pushStrides(graph, everywhere).graph).toBe(graph);
  });

  test("no stride of one axis moves out of a strided 1x1 depthwise convolution", () => {
    const graph = built((g) => {
      const x = g.call("first", "Conv2D", { filters: 3, kernel_size: 3 }, g.input([null, 9, 9, 2]));
      const thin = g.call("thin", "Conv2D", { filters: 2, kernel_size: 1, strides: [1, 2] }, x);
      return [thin, g.call("deep", "DepthwiseConv2D", { kernel_size: 1, strides: 2 }, x)];
    });
    expect(pushStrides(graph, everywhere).graph).toBe(graph);
  });

  test("no stride moves across a scale that differs by column", () => {
    const graph = built((g) => {
      const data_format = "channels_first";
      const x = g.call("first", "Conv2D", { ...padded, data_format }, g.input([null, 2, 8, 4]));
      const y = g.call("rescale", "Rescaling", { scale: [1, 2, 3, 4], offset: 0 }, x);
      return g.call("last", "Conv2D", { filters: 2, kernel_size: 1, strides: [1, 2], data_format }, y);
    });
    expect(pushStrides(graph, everywhere).graph).toBe(graph);
  });

  test("no stride moves across an operation with a constant that has spatial dimensions", () => {
    const graph = before1x1(8, (g, x) => g.call("op", "ops.Relu", {}, g.call("first", "Conv2D", padded, x)));
    const constant = { kind: "value", value: [[1], [2], [3], [4], [5], [6], [7], [8]] } as const;
    const multiplied: LayerGraph = {
      ...graph,
      layers: graph.layers.map((layer) =>
        layer.path === "op" ? { ...layer, className: "ops.Multiply" } : layer,
      ),
      nodes: graph.nodes.map((node) =>
        node.layer === "op" ? { ...node, args: [...node.args, constant] } : node,
      ),
    };
    expect(pushStrides(graph, everywhere).graph).not.toBe(graph);
    expect(pushStrides(multiplied, everywhere).graph).toBe(multiplied);
  });

  test("no stride moves into a call that reads a mask", () => {
    const graph = before1x1(8, (g, x) =>
      g.call("bn", "BatchNormalization", {}, g.call("first", "Conv2D", padded, x)),
    );
    const mask = { kind: "tensor", ref: { node: 0, output: 0 } } as const;
    const masked: LayerGraph = {
      ...graph,
      nodes: graph.nodes.map((node) => (node.layer === "bn" ? { ...node, kwargs: { mask } } : node)),
    };
    expect(pushStrides(graph, everywhere).graph).not.toBe(graph);
    expect(pushStrides(masked, everywhere).graph).toBe(masked);
  });

  test("no stride moves in a model with masks", () => {
    const graph = before1x1(8, (g, x) => g.call("first", "Conv2D", padded, x));
    const layers = graph.layers.map((layer) =>
      layer.path === "input_0" ? { ...layer, config: { ...layer.config, mask_zero: true } } : layer,
    );
    const masked: LayerGraph = { ...graph, layers };
    expect(pushStrides(masked, everywhere).graph).toBe(masked);
  });

  test("no stride moves across an active Dropout", () => {
    const graph = before1x1(8, (g, x) =>
      g.call("drop", "Dropout", { rate: 0.5 }, g.call("first", "Conv2D", padded, x)),
    );
    expect(pushStrides(graph, { canPushThrough: (node) => node.layer !== "drop" }).graph).toBe(graph);
    expect(stridesOf(pushStrides(graph, everywhere).graph, "first")).toEqual([2, 2]);
  });
});
