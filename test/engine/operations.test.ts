import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import {
  batchNormalizationBatch,
  batchNormalizationStored,
  rowNormalization,
} from "../../src/engine/normalization-operations.ts";
import {
  biasAdd,
  conv2d,
  conv2dBias,
  depthwiseConv2d,
  gelu,
  lstm,
  relu,
  relu6,
  swish,
} from "../../src/engine/operations.ts";
import { record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  await ensureEngine();
});

type Operation = (...xs: tf.Tensor[]) => tf.Tensor;

const epsilon = 1e-3;

/** Batch normalization as it is defined, an operation at a time. */
function normalized(
  x: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
  beta: tf.Tensor,
  gamma: tf.Tensor,
): tf.Tensor {
  return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, epsilon))), gamma), beta);
}

function normalizedByBatch(x: tf.Tensor, beta: tf.Tensor, gamma: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis).slice(0, -1);
  const mean = tf.mean(x, axes);
  return normalized(x, mean, tf.mean(tf.square(tf.sub(x, mean)), axes), beta, gamma);
}

const cases: Record<string, readonly [Operation, Operation, readonly (readonly number[])[]]> = {
  relu: [(x) => relu(x!), (x) => tf.maximum(x!, 0), [[4, 5]]],
  relu6: [(x) => relu6(tf.mul(x!, 4)), (x) => tf.clipByValue(tf.mul(x!, 4), 0, 6), [[4, 5]]],
  swish: [(x) => swish(x!), (x) => tf.div(x!, tf.add(1, tf.exp(tf.neg(x!)))), [[4, 5]]],
  gelu: [
    (x) => gelu(tf.mul(x!, 3)),
    (x) => tf.mul(tf.mul(x!, 1.5), tf.add(1, tf.erf(tf.mul(x!, 3 * Math.SQRT1_2)))),
    [[4, 5]],
  ],
  "rows of rank 3": [
    (x, g, b) => rowNormalization(x!, g!, b!, epsilon) ?? rowsNormalized(x!, g!, b!),
    (x, g, b) => rowsNormalized(x!, g!, b!),
    [[2, 3, 5], [5], [5]],
  ],
  ...Object.fromEntries(
    (["same", "valid"] as const).map(
      (padding) =>
        [
          `a convolution with a bias, ${padding}`,
          [
            (x, w, b) => conv2dBias(x!, w!, b!, [2, 1], padding, [1, 1]),
            (x, w, b) => tf.add(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, [2, 1], padding), b!),
            [[2, 7, 6, 3], [3, 2, 3, 4], [4]],
          ],
        ] as const,
    ),
  ),
  ...Object.fromEntries(
    (
      [
        ["same", 1, 5],
        ["same", 2, 4],
        ["valid", 2, 7],
      ] as const
    ).map(([padding, stride, size]) => [
      `a depthwise convolution of ${size} columns, ${padding}, stride ${stride}`,
      [
        (x, w) => depthwiseConv2d(x!, w!, [stride, stride], padding),
        (x, w) => channelByChannel(x!, w!, stride, padding),
        [
          [2, 9, 8, 3],
          [size, size, 3, 2],
        ],
      ],
    ]),
  ),
  "a dilated convolution with a bias": [
    (x, w, b) => conv2dBias(x!, w!, b!, [1, 1], "same", [2, 3]),
    (x, w, b) => tf.add(conv2d(x!, w!, [1, 1], "same", [2, 3]), b!),
    [[2, 7, 6, 3], [3, 2, 3, 4], [4]],
  ],
  "an LSTM": [
    (x, h, c, w, r, b) => tf.concat(lstm(x!, [h!, c!], w!, r!, b!), 2),
    (x, h, c, w, r, b) => lstmBySteps(x!, [h!, c!], w!, r!, b!),
    [[4, 2, 3], [2, 5], [2, 5], [3, 20], [5, 20], [20]],
  ],
  "an LSTM whose carry nobody reads": [
    (x, h, c, w, r, b) => lstm(x!, [h!, c!], w!, r!, b!)[0],
    (x, h, c, w, r, b) => tf.split(lstmBySteps(x!, [h!, c!], w!, r!, b!), 2, 2)[0]!,
    [[1, 2, 3], [2, 5], [2, 5], [3, 20], [5, 20], [20]],
  ],
  "a bias of images": [(x, b) => biasAdd(x!, b!), (x, b) => tf.add(x!, b!), [[2, 3, 4, 5], [5]]],
  "a bias of rows": [(x, b) => biasAdd(x!, b!), (x, b) => tf.add(x!, b!), [[4, 5], [5]]],
  "a bias of sequences": [(x, b) => biasAdd(x!, b!), (x, b) => tf.add(x!, b!), [[2, 3, 5], [5]]],
  ...Object.fromEntries(
    [
      [2, 3, 4, 5],
      [2, 3, 5],
      [6, 5],
    ].flatMap(
      (shape) =>
        [
          [
            `stored statistics of rank ${shape.length}`,
            [
              (x, m, v, b, g) => batchNormalizationStored(x!, m!, tf.square(v!), b!, g!, epsilon),
              (x, m, v, b, g) => normalized(x!, m!, tf.square(v!), b!, g!),
              [shape, [5], [5], [5], [5]],
            ],
          ],
          [
            `stored statistics of rank ${shape.length} without scale and shift`,
            [
              (x, m, v) => batchNormalizationStored(x!, m!, tf.square(v!), undefined, undefined, epsilon),
              (x, m, v) => normalized(x!, m!, tf.square(v!), tf.zeros([5]), tf.ones([5])),
              [shape, [5], [5]],
            ],
          ],
          [
            `the batch's statistics of rank ${shape.length}`,
            [
              (x, b, g) => batchNormalizationBatch(x!, b!, g!, epsilon).output,
              (x, b, g) => normalizedByBatch(x!, b!, g!),
              [shape, [5], [5]],
            ],
          ],
          [
            `the batch's statistics of rank ${shape.length} without scale and shift`,
            [
              (x) => batchNormalizationBatch(x!, undefined, undefined, epsilon).output,
              (x) => normalizedByBatch(x!, tf.zeros([5]), tf.ones([5])),
              [shape],
            ],
          ],
        ] as const,
    ),
  ),
};

function rowsNormalized(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): tf.Tensor {
  const mean = tf.mean(x, -1, true);
  return normalized(x, mean, tf.mean(tf.square(tf.sub(x, mean)), -1, true), beta, gamma);
}

/** A depthwise convolution as a convolution for each channel. */
function channelByChannel(
  x: tf.Tensor,
  filter: tf.Tensor,
  stride: number,
  padding: "same" | "valid",
): tf.Tensor {
  const filters = tf.split(filter, 3, 2);
  const convolved = tf
    .split(x, 3, 3)
    .map((channel, index) => conv2d(channel, filters[index]!, [stride, stride], padding));
  return tf.concat(convolved, 3);
}

/** An LSTM step by step, its h and c of every step side by side. */
function lstmBySteps(
  x: tf.Tensor,
  start: readonly [tf.Tensor, tf.Tensor],
  kernel: tf.Tensor,
  recurrentKernel: tf.Tensor,
  bias: tf.Tensor,
): tf.Tensor {
  let [h, c] = start;
  const taken = tf.unstack(x).map((step) => {
    const z = tf.add(tf.add(tf.dot(step, kernel), tf.dot(h, recurrentKernel)), bias);
    const [i, f, candidate, o] = tf.split(z, 4, 1);
    c = tf.add(tf.mul(tf.sigmoid(f!), c), tf.mul(tf.sigmoid(i!), tf.tanh(candidate!)));
    h = tf.mul(tf.sigmoid(o!), tf.tanh(c));
    return tf.concat([h, c], 1);
  });
  return tf.stack(taken);
}

function random(shape: readonly number[], seed: number): tf.Tensor {
  return tf.randomNormal([...shape], 0.2, 1, "float32", seed);
}

function farthest(got: tf.Tensor, expected: tf.Tensor): number {
  expect(got.shape).toEqual(expected.shape);
  return tf.tidy(() => tf.max(tf.abs(tf.sub(got, expected))).dataSync()[0]!);
}

describe("an operation and its gradients equal those of its definition", () => {
  it.each(Object.entries(cases))("%s", (_, [operation, definition, shapes]) => {
    const inputs = shapes.map((shape, index) => random(shape, 10 + index));
    const subsets = [inputs, ...inputs.map((input) => [input])];
    for (const sources of subsets) {
      const [got, expected] = [operation, definition].map((f) => record(() => f(...inputs), sources));
      expect(farthest(got!.result, expected!.result)).toBeLessThan(1e-5);
      const dy = random(got!.result.shape, 99);
      const gradients = [got!, expected!].map((recording) =>
        recording.gradients([recording.result], [dy], sources),
      );
      sources.forEach((_source, index) => {
        expect(farthest(gradients[0]![index]!, gradients[1]![index]!), `input ${index}`).toBeLessThan(1e-4);
      });
    }
  });
});

describe("swish", () => {
  it("is right far from zero, and for what is not a number", () => {
    const x = [-1e30, -100, -88, -20, -1e-30, 0, 1e-30, 20, 88, 1e30, Number.NaN];
    const got = swish(tf.tensor1d(x)).dataSync();
    x.forEach((value, index) => {
      const expected = value / (1 + Math.exp(-value));
      if (Number.isNaN(expected)) expect(got[index]).toBeNaN();
      else
        expect(Math.abs(got[index]! - expected)).toBeLessThanOrEqual(
          1e-6 * Math.max(1e-3, Math.abs(expected)),
        );
    });
  });
});

describe("batch normalization", () => {
  it("returns the batch's mean and its variance, divided by the count", () => {
    const x = random([3, 4, 5, 2], 1);
    const { mean, variance } = batchNormalizationBatch(x, undefined, undefined, epsilon);
    const expected = tf.moments(x, [0, 1, 2]);
    expect(farthest(mean, expected.mean)).toBeLessThan(1e-6);
    expect(farthest(variance, expected.variance)).toBeLessThan(1e-6);
  });

  it("by stored statistics keeps its input only if the scale is trained", () => {
    const x = random([4, 4, 4, 8], 1);
    const [mean, variance, beta, gamma] = [2, 3, 4, 5].map((seed) => tf.abs(random([8], seed)));
    const kept = (sources: tf.Tensor[]): number => {
      const before = tf.memory().numBytes;
      const input = tf.add(x, 1);
      const f = (): tf.Tensor => batchNormalizationStored(input, mean!, variance!, beta, gamma, epsilon);
      const recording = record(f, [input, ...sources]);
      input.dispose();
      recording.result.dispose();
      const bytes = tf.memory().numBytes - before;
      recording.dispose();
      return bytes;
    };
    const large = x.size * 4;
    expect(kept([])).toBeLessThan(large);
    expect(kept([beta!])).toBeLessThan(large);
    expect(kept([gamma!])).toBeGreaterThanOrEqual(large);
  });
});
