import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  await ensureEngine();
});

type Function = (...xs: tf.Tensor[]) => tf.Tensor;

interface Case {
  readonly f: Function;
  /** Shapes of the inputs that are differentiated. */
  readonly shapes: readonly (readonly number[])[];
  /** The inputs lie between these. */
  readonly range?: readonly [number, number];
}

/** Values in random order and at least 0.02 apart, so that no step crosses the corner of a max or of an absolute value. */
function spread(
  shape: readonly number[],
  [low, high]: readonly [number, number],
  seed: number,
): Float32Array {
  const size = shape.reduce((all, extent) => all * extent, 1);
  const values = Float32Array.from(
    { length: size },
    (_, index) => low + ((high - low) * (index + 0.5)) / size,
  );
  let state = seed;
  for (let index = size - 1; index > 0; index--) {
    state = (state * 48271) % 2147483647;
    const other = state % (index + 1);
    [values[index], values[other]] = [values[other]!, values[index]!];
  }
  return values;
}

/** The gradient of sum(f * weights) by central differences. */
function differences(f: Function, inputs: readonly tf.Tensor[], which: number, weights: tf.Tensor): number[] {
  const values = inputs[which]!.dataSync().slice();
  const step = 4e-3;
  const objective = (index: number, delta: number): number =>
    tf.tidy(() => {
      const moved = values.slice();
      moved[index]! += delta;
      const replaced = inputs.map((input, at) => (at === which ? tf.tensor(moved, input.shape) : input));
      return tf.sum(tf.mul(f(...replaced), weights)).dataSync()[0]!;
    });
  return Array.from(values, (_, index) => (objective(index, step) - objective(index, -step)) / (2 * step));
}

function check({ f, shapes, range = [-1.5, 1.5] }: Case): void {
  const before = tf.memory().numTensors;
  const inputs = shapes.map((shape, index) =>
    tf.tensor(spread(shape, [range[0] + 0.05 * index, range[1] + 0.05 * index], 7 + index), [...shape]),
  );
  const recording = record(() => f(...inputs), inputs);
  const weights = tf.tensor(spread(recording.result.shape, [-1, 1], 99), recording.result.shape);
  const all = recording.gradients([recording.result], [weights], inputs);
  inputs.forEach((input, index) => {
    const expected = differences(f, inputs, index, weights);
    const got = [...all[index]!.dataSync()];
    const scale = Math.max(1, ...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, at) => Math.abs(value - got[at]!)));
    expect(worst / scale, `input ${index}: ${got.slice(0, 6)} against ${expected.slice(0, 6)}`).toBeLessThan(
      6e-3,
    );

    const alone = record(() => f(...inputs), [input]);
    const [single] = alone.gradients([alone.result], [weights], [input]);
    expect([...single!.dataSync()]).toEqual(got);
    for (const tensor of [single!, alone.result]) tensor.dispose();
  });
  for (const tensor of [...inputs, ...all, weights, recording.result]) tensor?.dispose();
  expect(tf.memory().numTensors).toBe(before);
}

const small = [2, 3];
const positive = [0.3, 2] as const;
const inside = [-0.8, 0.8] as const;

const unary: Record<string, readonly [Function, (readonly [number, number])?]> = {
  abs: [tf.abs],
  acos: [tf.acos, inside],
  acosh: [tf.acosh, [1.4, 3]],
  asin: [tf.asin, inside],
  asinh: [tf.asinh],
  atan: [tf.atan],
  atanh: [tf.atanh, inside],
  clipByValue: [(x) => tf.clipByValue(x!, -0.7, 0.9)],
  cos: [tf.cos],
  cosh: [tf.cosh],
  elu: [tf.elu],
  erf: [tf.erf],
  exp: [tf.exp],
  expm1: [tf.expm1],
  leakyRelu: [(x) => tf.leakyRelu(x!, 0.3)],
  log: [tf.log, positive],
  log1p: [tf.log1p, positive],
  logSigmoid: [tf.logSigmoid],
  neg: [tf.neg],
  reciprocal: [tf.reciprocal, positive],
  relu: [tf.relu],
  relu6: [tf.relu6, [-3.1, 9.4]],
  rsqrt: [tf.rsqrt, positive],
  selu: [tf.selu],
  sigmoid: [tf.sigmoid],
  sin: [tf.sin],
  sinh: [tf.sinh],
  softplus: [tf.softplus],
  sqrt: [tf.sqrt, positive],
  square: [tf.square],
  tan: [tf.tan, inside],
  tanh: [tf.tanh],
};

const binary: Record<string, readonly [Function, (readonly [number, number])?]> = {
  add: [(a, b) => tf.add(a!, b!)],
  sub: [(a, b) => tf.sub(a!, b!)],
  mul: [(a, b) => tf.mul(a!, b!)],
  div: [(a, b) => tf.div(a!, b!), positive],
  maximum: [(a, b) => tf.maximum(a!, b!)],
  minimum: [(a, b) => tf.minimum(a!, b!)],
  squaredDifference: [(a, b) => tf.squaredDifference(a!, b!)],
  pow: [(a, b) => tf.pow(a!, b!), positive],
  mod: [(a, b) => tf.mod(a!, tf.add(b!, 3)), positive],
  atan2: [(a, b) => tf.atan2(a!, b!), positive],
  where: [(a, b) => tf.where(tf.tensor([true, false, true], [3], "bool"), a!, b!)],
};

const shapesOf: Record<string, readonly (readonly number[])[]> = {
  "of one shape": [small, small],
  "with a row": [[2, 2, 3], [3]],
  "with a column": [
    [2, 1],
    [2, 3],
  ],
  "with a number": [[], small],
};

describe("the gradient of a function of one tensor equals the finite differences", () => {
  it.each(Object.entries(unary))("%s", (_, [f, range]) => {
    check({ f, shapes: [[2, 5]], ...(range ? { range } : {}) });
  });
});

describe.each(Object.entries(shapesOf))(
  "the gradient of a function of two tensors %s equals the finite differences",
  (_, shapes) => {
    it.each(Object.entries(binary))("%s", (_name, [f, range]) => {
      check({ f, shapes, ...(range ? { range } : {}) });
    });
  },
);

const others: Record<string, Case> = {
  prelu: { f: (x, alpha) => tf.prelu(x!, alpha!), shapes: [[2, 2, 3], [3]] },
  addN: { f: (a, b, c) => tf.addN([a!, b!, c!]), shapes: [small, small, small] },
  cast: { f: (x) => tf.mul(tf.cast(x!, "float32"), tf.cast(tf.greater(x!, 0), "float32")), shapes: [small] },
  "sum over all": { f: (x) => tf.sum(x!), shapes: [[2, 3, 2]] },
  "sum over some": { f: (x) => tf.sum(x!, [0, 2]), shapes: [[2, 3, 2]] },
  "sum that keeps its axes": { f: (x) => tf.sum(x!, -2, true), shapes: [[2, 3, 2]] },
  "mean over all": { f: (x) => tf.mean(x!), shapes: [[2, 3, 2]] },
  "mean over some": { f: (x) => tf.mean(x!, [1, 2]), shapes: [[2, 3, 2, 2]] },
  "max over all": { f: (x) => tf.max(x!), shapes: [[2, 3, 2]] },
  "max over some": { f: (x) => tf.max(x!, [0, 2]), shapes: [[2, 3, 2]] },
  "min over some": { f: (x) => tf.min(x!, 1, true), shapes: [[2, 3, 2]] },
  "product over all": { f: (x) => tf.prod(x!), shapes: [[5]] },
  "product over some": { f: (x) => tf.prod(x!, [0, 2]), shapes: [[2, 3, 2]] },
  "product that keeps its axes": { f: (x) => tf.prod(x!, 1, true), shapes: [[2, 3, 2]] },
  "product with a zero in it": {
    f: (x) => tf.prod(tf.sub(x!, tf.slice(x!, [0, 1], [2, 1])), 1),
    shapes: [[2, 3]],
  },
  logSumExp: { f: (x) => tf.logSumExp(x!, 1), shapes: [small] },
  cumsum: { f: (x) => tf.cumsum(x!, 0), shapes: [[4, 2]] },
  "cumsum, exclusive and reversed": { f: (x) => tf.cumsum(x!, 1, true, true), shapes: [[2, 4, 2]] },
  cumprod: { f: (x) => tf.cumprod(x!, 1), shapes: [[2, 4]], range: positive },
  "cumprod, exclusive and reversed": {
    f: (x) => tf.cumprod(x!, 1, true, true),
    shapes: [[2, 4]],
    range: positive,
  },
  softmax: { f: (x) => tf.softmax(x!), shapes: [[2, 5]] },
  logSoftmax: { f: (x) => tf.logSoftmax(x!), shapes: [[2, 5]] },
  moments: {
    f: (x) => tf.add(...(Object.values(tf.moments(x!, 0)) as [tf.Tensor, tf.Tensor])),
    shapes: [[4, 3]],
  },
  norm: { f: (x) => tf.norm(x!, 2, 1), shapes: [[2, 3]] },
  reshape: { f: (x) => tf.reshape(x!, [3, 2]), shapes: [small] },
  expandDims: { f: (x) => tf.expandDims(x!, 1), shapes: [small] },
  squeeze: { f: (x) => tf.squeeze(x!), shapes: [[2, 1, 3]] },
  transpose: { f: (x) => tf.transpose(x!, [2, 0, 1]), shapes: [[2, 3, 4]] },
  reverse: { f: (x) => tf.reverse(x!, [0, 2]), shapes: [[2, 3, 4]] },
  flipLeftRight: { f: (x) => tf.image.flipLeftRight(x as tf.Tensor4D), shapes: [[1, 2, 3, 2]] },
  tile: { f: (x) => tf.tile(x!, [2, 1, 3]), shapes: [[2, 3, 2]] },
  broadcastTo: { f: (x) => tf.broadcastTo(x!, [2, 2, 3]), shapes: [[2, 1, 3]] },
  concat: {
    f: (a, b, c) => tf.concat([a!, b!, c!], 1),
    shapes: [
      [2, 1],
      [2, 3],
      [2, 2],
    ],
  },
  stack: { f: (a, b) => tf.stack([a!, b!], 1), shapes: [small, small] },
  unstack: {
    f: (x) => tf.mul(...(tf.unstack(x!, 1).slice(0, 2) as [tf.Tensor, tf.Tensor])),
    shapes: [[2, 3, 2]],
  },
  split: { f: (x) => tf.split(x!, [2, 1, 1], 1)[0]!, shapes: [[2, 4]] },
  slice: { f: (x) => tf.slice(x!, [1, 0], [1, 2]), shapes: [[3, 3]] },
  "slice of leading axes": { f: (x) => tf.slice(x!, 1, 2), shapes: [[4, 3]] },
  stridedSlice: { f: (x) => tf.stridedSlice(x!, [1, 0, 0], [6, 3, 2], [2, 1, 1]), shapes: [[7, 3, 2]] },
  "stridedSlice, backward and masked": {
    f: (x) => tf.stridedSlice(x!, [-1, 0], [0, 0], [-2, 2], 0, 2),
    shapes: [[6, 5]],
  },
  "stridedSlice that drops an axis": {
    f: (x) => tf.stridedSlice(x!, [1, 1], [2, 4], [1, 2], 0, 0, 0, 0, 1),
    shapes: [[3, 5]],
  },
  pad: {
    f: (x) =>
      tf.pad(
        x!,
        [
          [1, 2],
          [0, 1],
        ],
        0.5,
      ),
    shapes: [small],
  },
  "pad by reflection": {
    f: (x) =>
      tf.mirrorPad(
        x!,
        [
          [1, 1],
          [2, 1],
        ],
        "reflect",
      ),
    shapes: [[3, 4]],
  },
  "pad by symmetry": {
    f: (x) =>
      tf.mirrorPad(
        x!,
        [
          [1, 2],
          [0, 3],
        ],
        "symmetric",
      ),
    shapes: [[3, 4]],
  },
  spaceToBatchND: {
    f: (x) =>
      tf.spaceToBatchND(
        x!,
        [2, 2],
        [
          [0, 1],
          [1, 0],
        ],
      ),
    shapes: [[1, 3, 3, 2]],
  },
  batchToSpaceND: {
    f: (x) =>
      tf.batchToSpaceND(
        x!,
        [2, 2],
        [
          [0, 1],
          [1, 0],
        ],
      ),
    shapes: [[4, 2, 2, 1]],
  },
  depthToSpace: { f: (x) => tf.depthToSpace(x as tf.Tensor4D, 2), shapes: [[1, 2, 3, 8]] },
  gather: { f: (x) => tf.gather(x!, tf.tensor1d([2, 0, 2], "int32")), shapes: [[3, 2]] },
  "gather along an axis": {
    f: (x) =>
      tf.gather(
        x!,
        tf.tensor2d(
          [
            [1, 0],
            [1, 1],
          ],
          [2, 2],
          "int32",
        ),
        1,
      ),
    shapes: [[2, 3, 2]],
  },
  "gather in a batch": {
    f: (x) =>
      tf.gather(
        x!,
        tf.tensor2d(
          [
            [1, 0],
            [2, 2],
          ],
          [2, 2],
          "int32",
        ),
        1,
        1,
      ),
    shapes: [[2, 3, 2]],
  },
  gatherND: {
    f: (x) =>
      tf.gatherND(
        x!,
        tf.tensor2d(
          [
            [1, 0],
            [0, 2],
            [1, 0],
          ],
          [3, 2],
          "int32",
        ),
      ),
    shapes: [small],
  },
  scatterND: {
    f: (x) => tf.scatterND(tf.tensor2d([[3], [1], [3]], [3, 1], "int32"), x!, [4, 2]),
    shapes: [[3, 2]],
  },
  tensorScatterUpdate: {
    f: (x, updates) => tf.tensorScatterUpdate(x!, tf.tensor2d([[2], [0]], [2, 1], "int32"), updates!),
    shapes: [
      [3, 2],
      [2, 2],
    ],
  },
  unsortedSegmentSum: {
    f: (x) => tf.unsortedSegmentSum(x!, tf.tensor1d([1, 0, 1, -1], "int32"), 3),
    shapes: [[4, 2]],
  },
  topk: { f: (x) => tf.topk(x!, 2).values, shapes: [[3, 4]] },
  matMul: {
    f: (a, b) => tf.matMul(a!, b!),
    shapes: [
      [2, 3],
      [3, 4],
    ],
  },
  "matMul, left transposed": {
    f: (a, b) => tf.matMul(a!, b!, true),
    shapes: [
      [3, 2],
      [3, 4],
    ],
  },
  "matMul, right transposed": {
    f: (a, b) => tf.matMul(a!, b!, false, true),
    shapes: [
      [2, 3],
      [4, 3],
    ],
  },
  "matMul, both transposed": {
    f: (a, b) => tf.matMul(a!, b!, true, true),
    shapes: [
      [3, 2],
      [4, 3],
    ],
  },
  "matMul in a batch": {
    f: (a, b) => tf.matMul(a!, b!),
    shapes: [
      [2, 2, 3],
      [2, 3, 2],
    ],
  },
  "matMul in a batch, transposed": {
    f: (a, b) => tf.matMul(a!, b!, true, true),
    shapes: [
      [2, 3, 2],
      [2, 2, 3],
    ],
  },
  "matMul with one batch for both": {
    f: (a, b) => tf.matMul(a!, b!),
    shapes: [
      [2, 2, 3],
      [1, 3, 2],
    ],
  },
  dot: { f: (a, b) => tf.dot(a!, b!), shapes: [[4], [4]] },
  conv1d: {
    f: (x, w) => tf.conv1d(x as tf.Tensor3D, w as tf.Tensor3D, 2, "same"),
    shapes: [
      [2, 6, 2],
      [3, 2, 2],
    ],
  },
  conv2d: {
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, "same"),
    shapes: [
      [2, 4, 5, 2],
      [3, 3, 2, 3],
    ],
  },
  "conv2d with strides": {
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, [2, 1], "valid"),
    shapes: [
      [1, 6, 5, 2],
      [3, 2, 2, 2],
    ],
  },
  "conv2d of points with strides": {
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, "same"),
    shapes: [
      [2, 5, 4, 2],
      [1, 1, 2, 3],
    ],
  },
  conv2dTranspose: {
    f: (x, w) => tf.conv2dTranspose(x as tf.Tensor4D, w as tf.Tensor4D, [1, 6, 8, 3], 2, "same"),
    shapes: [
      [1, 3, 4, 2],
      [3, 3, 3, 2],
    ],
  },
  depthwiseConv2d: {
    f: (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, "same"),
    shapes: [
      [1, 5, 4, 2],
      [3, 3, 2, 2],
    ],
  },
  conv3d: {
    f: (x, w) => tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 1, "same"),
    shapes: [
      [1, 3, 3, 4, 2],
      [2, 2, 2, 2, 2],
    ],
  },
  conv3dTranspose: {
    f: (x, w) => tf.conv3dTranspose(x as tf.Tensor5D, w as tf.Tensor5D, [1, 4, 4, 4, 1], 2, "same"),
    shapes: [
      [1, 2, 2, 2, 2],
      [2, 2, 2, 1, 2],
    ],
  },
  maxPool: { f: (x) => tf.maxPool(x as tf.Tensor4D, 3, 2, "same"), shapes: [[1, 5, 6, 2]] },
  "avgPool, valid": { f: (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, "valid"), shapes: [[1, 4, 5, 2]] },
  "avgPool, same": { f: (x) => tf.avgPool(x as tf.Tensor4D, [3, 2], 2, "same"), shapes: [[1, 5, 6, 2]] },
  maxPool3d: { f: (x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, "same"), shapes: [[1, 4, 3, 4, 1]] },
  "avgPool3d, valid": { f: (x) => tf.avgPool3d(x as tf.Tensor5D, 2, 2, "valid"), shapes: [[1, 4, 4, 4, 1]] },
  "avgPool3d, same": { f: (x) => tf.avgPool3d(x as tf.Tensor5D, 2, 2, "same"), shapes: [[1, 3, 3, 4, 1]] },
  localResponseNormalization: {
    f: (x) => tf.localResponseNormalization(x as tf.Tensor4D, 1, 1, 0.5, 0.6),
    shapes: [[1, 2, 2, 4]],
  },
  resizeBilinear: { f: (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [5, 3]), shapes: [[1, 3, 4, 2]] },
  "resizeBilinear, half pixels": {
    f: (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [5, 3], false, true),
    shapes: [[1, 3, 4, 2]],
  },
  "resizeBilinear, corners": {
    f: (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [5, 3], true),
    shapes: [[1, 3, 4, 2]],
  },
  resizeNearestNeighbor: {
    f: (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [6, 2]),
    shapes: [[1, 3, 4, 2]],
  },
  "resizeNearestNeighbor, half pixels": {
    f: (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [5, 7], false, true),
    shapes: [[1, 3, 4, 2]],
  },
};

describe("the gradient equals the finite differences", () => {
  it.each(Object.entries(others))("%s", (_, each) => {
    check(each);
  });
});

describe("no gradient flows", () => {
  const stops: Record<string, Function> = {
    floor: tf.floor,
    round: tf.round,
    sign: tf.sign,
    step: (x) => tf.step(x!),
    comparison: (x) => tf.cast(tf.greater(x!, 0), "float32"),
    "a cast to integers": (x) => tf.cast(tf.cast(x!, "int32"), "float32"),
    argMax: (x) => tf.cast(tf.argMax(x!, 1), "float32"),
  };
  it.each(Object.entries(stops))("through %s", (_, f) => {
    const x = tf.tensor(spread([2, 3], [-2, 2], 3), [2, 3]);
    const recording = record(() => f(x));
    const [gradient] = recording.gradients([recording.result], [tf.ones(recording.result.shape)], [x]);
    expect(gradient === null || tf.max(tf.abs(gradient!)).dataSync()[0] === 0).toBe(true);
  });
});
