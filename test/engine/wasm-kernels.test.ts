import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  useEngine("wasm");
  await ensureEngine();
});

interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A kernel's result on the given backend, for inputs given as plain values. */
async function run(
  backend: "cpu" | "wasm",
  kernel: string,
  inputs: Readonly<Record<string, Values>>,
  attributes: object,
): Promise<Values> {
  await tf.setBackend(backend);
  const output = tf.tidy(() => {
    const tensors = Object.entries(inputs).map(([name, { shape, data }]) => [
      name,
      tf.tensor(data, [...shape]),
    ]);
    return tf
      .engine()
      .runKernel(kernel, Object.fromEntries(tensors), attributes as tf.NamedAttrMap) as tf.Tensor;
  });
  const result = { shape: output.shape, data: output.dataSync() as Float32Array };
  output.dispose();
  await tf.setBackend("wasm");
  return result;
}

let seed = 1;

function random(shape: readonly number[]): Values {
  const size = shape.reduce((all, extent) => all * extent, 1);
  const next = (): number => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647 - 0.5;
  };
  return { shape, data: Float32Array.from({ length: size }, next) };
}

function difference(got: Values, expected: Values): number {
  expect(got.shape).toEqual(expected.shape);
  const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    expected.data.reduce((most, value, index) => Math.max(most, Math.abs(value - got.data[index]!)), 0) /
    largest
  );
}

function inner(a: Values, b: Values): number {
  return a.data.reduce((sum, value, index) => sum + value * b.data[index]!, 0);
}

interface Case {
  readonly size: readonly [number, number];
  readonly taps: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pad: "same" | "valid" | number;
}

function cases(dilated: boolean): Case[] {
  const sizes = [
    [7, 9],
    [11, 6],
    [14, 5],
  ] as const;
  const taps = [
    [1, 1],
    [3, 3],
    [2, 3],
    [5, 2],
  ] as const;
  const steps = dilated
    ? ([
        [1, 2],
        [2, 2],
        [3, 1],
      ] as const)
    : ([
        [1, 1],
        [2, 2],
        [3, 2],
        [1, 3],
      ] as const);
  return sizes
    .flatMap((size) =>
      taps.flatMap((tap) =>
        steps.flatMap((step) =>
          (["same", "valid"] as const).map((pad) => ({
            size,
            taps: tap,
            strides: dilated ? ([1, 1] as const) : step,
            dilations: dilated ? step : ([1, 1] as const),
            pad,
          })),
        ),
      ),
    )
    .filter(
      ({ size, taps: tap, dilations, pad }) =>
        pad === "same" || size.every((extent, axis) => (tap[axis]! - 1) * dilations[axis]! < extent),
    );
}

const title = ({ size, taps, strides, dilations, pad }: Case): string =>
  `${size.join("x")} by ${taps.join("x")}, strides ${strides}, dilations ${dilations}, ${pad}`;

const kernels = [
  { name: "Conv2D", multiplier: undefined, filter: (taps: readonly number[]) => [...taps, 3, 4] },
  { name: "DepthwiseConv2dNative", multiplier: 1, filter: (taps: readonly number[]) => [...taps, 3, 1] },
  { name: "DepthwiseConv2dNative", multiplier: 2, filter: (taps: readonly number[]) => [...taps, 3, 2] },
] as const;

describe.each(kernels)("$name (multiplier $multiplier) on WebAssembly", ({ name, filter: filterShape }) => {
  const attributesOf = ({ strides, dilations, pad }: Case): object => ({
    strides,
    dilations,
    pad,
    dataFormat: "NHWC",
  });

  it.each(cases(false).map((each) => [title(each), each] as const))(
    "equals tfjs's JavaScript backend: %s",
    async (_, each) => {
      const [x, filter] = [random([2, ...each.size, 3]), random(filterShape(each.taps))];
      const attributes = attributesOf(each);
      const expected = await run("cpu", name, { x, filter }, attributes);
      expect(difference(await run("wasm", name, { x, filter }, attributes), expected)).toBeLessThan(1e-5);

      const dy = random(expected.shape);
      for (const [suffix, inputs, more] of [
        ["BackpropInput", { dy, filter }, { inputShape: x.shape }],
        ["BackpropFilter", { x, dy }, { filterShape: filter.shape }],
      ] as const) {
        const both = await Promise.all([run("cpu", `${name}${suffix}`, inputs, { ...attributes, ...more })]);
        const got = await run("wasm", `${name}${suffix}`, inputs, { ...attributes, ...more });
        expect(difference(got, both[0]!), suffix).toBeLessThan(1e-5);
      }
    },
  );

  it.each(cases(true).map((each) => [title(each), each] as const))(
    "has adjoint gradients: %s",
    async (_, each) => {
      const [x, filter] = [random([2, ...each.size, 3]), random(filterShape(each.taps))];
      const attributes = attributesOf(each);
      const expected = await run("cpu", name, { x, filter }, attributes);
      expect(difference(await run("wasm", name, { x, filter }, attributes), expected)).toBeLessThan(1e-5);

      const dy = random(expected.shape);
      const dx = await run(
        "wasm",
        `${name}BackpropInput`,
        { dy, filter },
        { ...attributes, inputShape: x.shape },
      );
      const dFilter = await run(
        "wasm",
        `${name}BackpropFilter`,
        { x, dy },
        { ...attributes, filterShape: filter.shape },
      );
      expect([dx.shape, dFilter.shape]).toEqual([x.shape, filter.shape]);
      expect(Math.abs(inner(dx, x) - inner(dy, expected))).toBeLessThan(1e-4);
      expect(Math.abs(inner(dFilter, filter) - inner(dy, expected))).toBeLessThan(1e-4);
    },
  );
});

interface Operation {
  readonly f: (...xs: tf.Tensor[]) => tf.Tensor;
  readonly shapes: readonly (readonly number[])[];
}

const long = [3, 5, 6, 4];
const operations: Record<string, Operation> = {
  matMul: {
    f: (a, b) => tf.matMul(a!, b!),
    shapes: [
      [5, 7],
      [7, 3],
    ],
  },
  "matMul, left transposed": {
    f: (a, b) => tf.matMul(a!, b!, true),
    shapes: [
      [7, 5],
      [7, 3],
    ],
  },
  "matMul, right transposed": {
    f: (a, b) => tf.matMul(a!, b!, false, true),
    shapes: [
      [5, 7],
      [3, 7],
    ],
  },
  "matMul, both transposed": {
    f: (a, b) => tf.matMul(a!, b!, true, true),
    shapes: [
      [7, 5],
      [3, 7],
    ],
  },
  "matMul of a batch of small matrices": {
    f: (a, b) => tf.matMul(a!, b!, false, true),
    shapes: [
      [2, 3, 5, 7],
      [2, 3, 4, 7],
    ],
  },
  "matMul of a batch of large matrices": {
    f: (a, b) => tf.matMul(a!, b!),
    shapes: [
      [2, 2, 40, 30],
      [2, 2, 30, 50],
    ],
  },
  "matMul of large matrices, transposed": {
    f: (a, b) => tf.matMul(a!, b!, true, true),
    shapes: [
      [3, 30, 40],
      [3, 50, 30],
    ],
  },
  "matMul of a batch with one": {
    f: (a, b) => tf.matMul(a!, b!),
    shapes: [
      [3, 40, 30],
      [1, 30, 50],
    ],
  },
  "sum of leading axes": { f: (x) => tf.sum(x!, [0, 1]), shapes: [long] },
  "sum of a plane": { f: (x) => tf.sum(x!, [1, 2], true), shapes: [long] },
  "sum of all": { f: (x) => tf.sum(x!), shapes: [long] },
  "sum of other axes": { f: (x) => tf.sum(x!, [0, 3]), shapes: [long] },
  "sum of integers": {
    f: (x) => tf.cast(tf.sum(tf.cast(tf.mul(x!, 9), "int32"), 0), "float32"),
    shapes: [long],
  },
  "mean of the first axis": { f: (x) => tf.mean(x!, 0), shapes: [long] },
  "mean of a plane": { f: (x) => tf.mean(x!, [1, 2]), shapes: [long] },
  "mean of long columns": { f: (x) => tf.mean(x!, 0, true), shapes: [[5003, 3]] },
  "max of a plane": { f: (x) => tf.max(x!, [2, 1]), shapes: [long] },
  "max of the first axis": { f: (x) => tf.max(x!, 0, true), shapes: [long] },
  tile: { f: (x) => tf.tile(x!, [2, 1, 3, 2]), shapes: [long] },
  "tile of integers": {
    f: (x) => tf.cast(tf.tile(tf.cast(tf.mul(x!, 9), "int32"), [1, 2]), "float32"),
    shapes: [[4, 3]],
  },
  "tile of truths": { f: (x) => tf.cast(tf.tile(tf.greater(x!, 0), [3, 2]), "float32"), shapes: [[4, 3]] },
  slice: { f: (x) => tf.slice(x!, [1, 0, 2, 1], [2, 5, 3, 2]), shapes: [long] },
  "slice of whole rows": { f: (x) => tf.slice(x!, [1, 2], [2, 3]), shapes: [long] },
  "slice of nothing": { f: (x) => tf.slice(x!, [1, 2], [0, 3]), shapes: [[3, 5]] },
  "slice of truths": {
    f: (x) => tf.cast(tf.slice(tf.greater(x!, 0), [1, 2], [2, 2]), "float32"),
    shapes: [[4, 5]],
  },
  "reverse of the first axis": { f: (x) => tf.reverse(x!, 0), shapes: [long] },
  "reverse of the last axis": { f: (x) => tf.reverse(x!, -1), shapes: [long] },
  "reverse of two axes": { f: (x) => tf.reverse(x!, [1, 3]), shapes: [long] },
  maxPool3d: { f: (x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, "same"), shapes: [[2, 4, 5, 6, 2]] },
  avgPool3d: { f: (x) => tf.avgPool3d(x as tf.Tensor5D, [3, 2, 2], 1, "same"), shapes: [[2, 4, 5, 6, 2]] },
  conv3d: {
    f: (x, w) => tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 2, "same"),
    shapes: [
      [2, 4, 5, 6, 2],
      [3, 2, 3, 2, 3],
    ],
  },
};

describe("an operation on WebAssembly equals tfjs's JavaScript backend", () => {
  it.each(Object.entries(operations))("%s", async (_, { f, shapes }) => {
    const inputs = shapes.map(random);
    const compute = (): Values => {
      const output = tf.tidy(() => f(...inputs.map(({ shape, data }) => tf.tensor(data, [...shape]))));
      const result = { shape: output.shape, data: output.dataSync() as Float32Array };
      output.dispose();
      return result;
    };
    await tf.setBackend("cpu");
    const expected = compute();
    await tf.setBackend("wasm");
    const before = tf.memory().numTensors;
    const got = compute();
    expect(got.shape).toEqual(expected.shape);
    expect(
      Math.max(0, ...got.data.map((value, index) => Math.abs(value - expected.data[index]!))),
    ).toBeLessThan(2e-5);
    expect(tf.memory().numTensors).toBe(before);
  });
});

it("a matrix that was multiplied before is multiplied anew in another shape", () => {
  const [left, right, wide, tall] = tf.tidy(() => {
    const values = Array.from({ length: 12 }, (_, index) => index);
    const matrix = tf.tensor2d(values, [4, 3]);
    const [row, other] = [tf.tensor2d([[1, 2, 3, 4]]), tf.tensor2d([[1, 2, 3]])];
    const reshaped = tf.reshape(matrix, [3, 4]) as tf.Tensor2D;
    return [
      tf.matMul(row, matrix).dataSync(),
      tf.matMul(other, reshaped).dataSync(),
      tf.matMul(row, tf.tensor2d(values, [4, 3])).dataSync(),
      tf.matMul(other, tf.tensor2d(values, [3, 4])).dataSync(),
    ];
  });
  expect([left, right]).toEqual([wide, tall]);
});

it("sums of millions of values keep their digits", () => {
  const [whole, rows, columns] = tf.tidy(() => {
    const ones = tf.fill([3, 2 ** 18, 6], 0.1);
    return [tf.sum(ones), tf.sum(ones, [1, 2]), tf.mean(ones, 1)].map((sum) => sum.dataSync());
  });
  expect(whole![0]! / (18 * 2 ** 18)).toBeCloseTo(0.1, 6);
  for (const sum of rows!) expect(sum / (6 * 2 ** 18)).toBeCloseTo(0.1, 6);
  for (const mean of columns!) expect(mean).toBeCloseTo(0.1, 6);
});

it.each([
  { shape: [5, 7], perm: [1, 0] },
  { shape: [33, 18], perm: [1, 0] },
  { shape: [2, 6, 7, 9], perm: [3, 1, 2, 0] },
  { shape: [6, 5, 7, 9], perm: [3, 2, 1, 0] },
  { shape: [1, 1, 13, 21], perm: [0, 1, 3, 2] },
  { shape: [4, 6, 1, 8], perm: [0, 2, 3, 1] },
  { shape: [3, 4, 5, 6], perm: [1, 2, 0, 3] },
  { shape: [2, 3, 4, 5, 6], perm: [4, 0, 3, 1, 2] },
  { shape: [1, 9], perm: [1, 0] },
  { shape: [0, 9], perm: [1, 0] },
])("transposes $shape by $perm", async ({ shape, perm }) => {
  const x = {
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, index) => index),
  };
  const [own, expected] = [
    await run("wasm", "Transpose", { x }, { perm }),
    await run("cpu", "Transpose", { x }, { perm }),
  ];
  expect(own).toEqual(expected);
});
