import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";

type Compute = (...inputs: tf.Tensor[]) => tf.Tensor;

const images = [2, 5, 5, 3];
const window = { strides: 1, pad: "same", dilations: 1, dataFormat: "NHWC" };
const pool = { filterSize: [2, 2], strides: [2, 2], pad: "same" };

function kernel(name: string, inputs: Readonly<Record<string, tf.Tensor>>, attributes: object): tf.Tensor {
  return tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap);
}

function pairs(...names: readonly string[]): [string, readonly number[][], Compute][] {
  const operations = tf as unknown as Readonly<Record<string, Compute>>;
  return names.flatMap((name) => [
    [
      name,
      [
        [3, 7],
        [3, 7],
      ],
      operations[name]!,
    ] as [string, number[][], Compute],
    [`${name} of a row`, [[3, 7], [7]], operations[name]!] as [string, number[][], Compute],
  ]);
}

function singles(...names: readonly string[]): [string, readonly number[][], Compute][] {
  const operations = tf as unknown as Readonly<Record<string, Compute>>;
  return names.map((name) => [name, [[3, 7]], operations[name]!]);
}

function reductions(...names: readonly ("sum" | "mean" | "max" | "min" | "prod" | "logSumExp")[]) {
  const axes = [undefined, [0], [1], [3], [1, 2], [0, 1, 2]];
  return names.flatMap((name) =>
    axes.map((axis): [string, readonly number[][], Compute] => [
      `${name} over ${axis ?? "everything"}`,
      [images],
      (x) => tf[name](x!, axis),
    ]),
  );
}

function fused(activation: "linear" | "relu" | "relu6" | "sigmoid" | "elu" | "leakyrelu") {
  const settings = { strides: 1, pad: "same", activation, leakyreluAlpha: 0.3 } as const;
  return [
    [
      `a convolution with ${activation}`,
      [images, [3, 3, 3, 4], [4]],
      (x, filter, bias) => tf.fused.conv2d({ x, filter, bias, ...settings } as never),
    ],
    [
      `a depthwise convolution with ${activation}`,
      [images, [3, 3, 3, 1], [3]],
      (x, filter, bias) => tf.fused.depthwiseConv2d({ x, filter, bias, ...settings } as never),
    ],
    [
      `a matrix product with ${activation}`,
      [[4, 6], [6, 5], [5]],
      (a, b, bias) => tf.fused.matMul({ a, b, bias, activation, leakyreluAlpha: 0.3 } as never),
    ],
  ] as [string, readonly number[][], Compute][];
}

const cases: readonly [name: string, shapes: readonly number[][], compute: Compute][] = [
  [
    "a matrix product",
    [
      [4, 6],
      [6, 5],
    ],
    (a, b) => tf.matMul(a!, b!),
  ],
  [
    "a product with one row",
    [
      [1, 9],
      [9, 13],
    ],
    (a, b) => tf.matMul(a!, b!),
  ],
  [
    "a product of transposed matrices",
    [
      [6, 4],
      [5, 6],
    ],
    (a, b) => tf.matMul(a!, b!, true, true),
  ],
  [
    "a batch of products",
    [
      [3, 40, 60],
      [3, 60, 50],
    ],
    (a, b) => tf.matMul(a!, b!),
  ],
  [
    "a convolution",
    [images, [3, 3, 3, 4]],
    (x, f) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 1, "same"),
  ],
  [
    "a pointwise one",
    [images, [1, 1, 3, 4]],
    (x, f) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 1, "same"),
  ],
  [
    "a depthwise convolution",
    [images, [3, 3, 3, 2]],
    (x, f) => tf.depthwiseConv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, "same"),
  ],
  [
    "a transposed convolution",
    [
      [2, 5, 5, 4],
      [3, 3, 3, 4],
    ],
    (x, f) => tf.conv2dTranspose(x as tf.Tensor4D, f as tf.Tensor4D, [2, 10, 10, 3], 2, "same"),
  ],
  ["maximum pooling", [images], (x) => tf.maxPool(x as tf.Tensor4D, 2, 2, "same")],
  ["maximum pooling of overlapping windows", [images], (x) => tf.maxPool(x as tf.Tensor4D, 3, 1, "same")],
  ["average pooling", [images], (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, "same")],
  [
    "the gradient of average pooling",
    [[2, 3, 3, 3]],
    (dy) => kernel("AvgPoolGrad", { dy: dy!, input: tf.zeros(images) }, pool),
  ],
  [
    "a filter's gradient",
    [images, [2, 5, 5, 4]],
    (x, dy) => kernel("Conv2DBackpropFilter", { x: x!, dy: dy! }, { ...window, filterShape: [3, 3, 3, 4] }),
  ],
  [
    "an image's gradient",
    [
      [2, 5, 5, 4],
      [3, 3, 3, 4],
    ],
    (dy, filter) =>
      kernel("Conv2DBackpropInput", { dy: dy!, filter: filter! }, { ...window, inputShape: images }),
  ],
  [
    "a depthwise filter's gradient",
    [images, images],
    (x, dy) =>
      kernel(
        "DepthwiseConv2dNativeBackpropFilter",
        { x: x!, dy: dy! },
        { ...window, filterShape: [3, 3, 3, 1] },
      ),
  ],
  ["a bias's gradient", [images], (dy) => kernel("BiasAddGrad", { dy: dy! }, {})],
  ["resizing", [images], (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [7, 8], false, true)],
  ["a cumulative sum", [[3, 7]], (x) => tf.cumsum(x!, 1)],
  ["clipping", [[3, 7]], (x) => tf.clipByValue(x!, -1, 1)],
  ["prelu", [[3, 7], [7]], (x, alpha) => tf.prelu(x!, alpha!)],
  ...singles(
    "relu",
    "relu6",
    "elu",
    "selu",
    "leakyRelu",
    "sigmoid",
    "tanh",
    "softmax",
    "logSoftmax",
    "softplus",
  ),
  ...singles(
    "exp",
    "log",
    "sqrt",
    "square",
    "abs",
    "neg",
    "sign",
    "floor",
    "round",
    "erf",
    "sin",
    "reciprocal",
  ),
  ...pairs("add", "sub", "mul", "div", "maximum", "minimum", "pow", "squaredDifference"),
  ...reductions("sum", "mean", "max", "min", "prod", "logSumExp"),
  ...(["linear", "relu", "relu6", "sigmoid", "elu", "leakyrelu"] as const).flatMap(fused),
];

/** Returns how many of the results are NaN, with NaN in the middle of one input. */
function countNaN(shapes: readonly number[][], compute: Compute, position: number): number {
  return tf.tidy(() => {
    const inputs = shapes.map((shape, index) => {
      const values = tf.randomUniform(shape, 0.5, 2, "float32", index + 1).dataSync();
      if (index === position) values[values.length >> 1] = Number.NaN;
      return tf.tensor(values, shape);
    });
    return compute(...inputs)
      .dataSync()
      .filter(Number.isNaN).length;
  });
}

describe("NaN in an input", () => {
  beforeAll(async () => {
    await ensureEngine();
  });

  const skipsNaN = (name: string): boolean =>
    name.startsWith("maximum pooling") && process.env["KERAS_FINETUNE_ENGINE"] === "native";

  it.each(cases.filter(([name]) => !skipsNaN(name)))("comes out of %s", (_name, shapes, compute) => {
    const counts = shapes.map((_, position) => countNaN(shapes, compute, position));
    expect(counts.every((count) => count > 0)).toBe(true);
    expect(countNaN(shapes, compute, -1)).toBe(0);
  });

  it("leaves the other results as they are", () => {
    const clipped = tf.tidy(() => tf.clipByValue(tf.tensor1d([-3, Number.NaN, 0.5, 3]), -1, 1).dataSync());
    expect([...clipped]).toEqual([-1, Number.NaN, 0.5, 1]);
    const x = tf.tensor4d([1, 2, Number.NaN, 4, 5, 6, 7, 8], [1, 2, 4, 1]);
    expect([...tf.tidy(() => tf.avgPool(x, 2, 2, "valid").dataSync())]).toEqual([3.5, Number.NaN]);
    x.dispose();
  });
});

it("a cast to bool takes every number but 0 for true", () => {
  const truths = tf.tidy(() => tf.cast(tf.tensor1d([0, 0.5, -2, 1, 256]), "bool").dataSync());
  expect([...truths]).toEqual([0, 1, 1, 1, 1]);
});
