import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import {
  batchNormalizationStored,
  normalizedConvolution,
} from "../../src/engine/normalization-operations.ts";
import { biasAdd, conv2d, depthwiseConv2d } from "../../src/engine/operations.ts";
import { gradients } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  await ensureEngine();
});

const epsilon = 1e-3;
const inputs = ["x", "filter", "bias", "gamma", "beta"] as const;
type Inputs = Record<(typeof inputs)[number] | "mean" | "variance", tf.Tensor>;

function randomInputs(channels: number, multiplier: number | null, filters: number): Inputs {
  const count = multiplier ? channels * multiplier : filters;
  const normal = (shape: number[], seed: number): tf.Tensor => tf.randomNormal(shape, 0, 1, "float32", seed);
  return {
    x: normal([2, 7, 6, channels], 1),
    filter: normal([3, 2, channels, multiplier ?? filters], 2),
    bias: normal([count], 3),
    gamma: normal([count], 4),
    beta: normal([count], 5),
    mean: normal([count], 6),
    variance: tf.randomUniform([count], 0.1, 3, "float32", 7),
  };
}

describe("a convolution and a normalization in one pass", () => {
  test.each([
    ["a convolution, same, stride 2", null, "same", [2, 2]],
    ["a convolution, valid", null, "valid", [1, 1]],
    ["a depthwise convolution, same", 1, "same", [1, 1]],
    ["a depthwise convolution of two filters a channel, stride 2", 2, "valid", [2, 2]],
  ] as const)("give the values and gradients of two passes: %s", (_what, multiplier, padding, strides) => {
    tf.tidy(() => {
      const given = randomInputs(3, multiplier, 4);
      const { x, filter, bias, gamma, beta, mean, variance } = given;
      const convolve = multiplier ? depthwiseConv2d : conv2d;
      const twice = (): tf.Tensor => {
        const convolved = biasAdd(convolve(x, filter, strides, padding), bias);
        return batchNormalizationStored(convolved, mean, variance, beta, gamma, epsilon);
      };
      const once = (): tf.Tensor =>
        normalizedConvolution(
          x,
          filter,
          bias,
          { mean, variance, gamma, beta, epsilon },
          { strides, padding, depthwise: multiplier !== null },
        );
      const weighted = (y: tf.Tensor): tf.Tensor =>
        tf.sum(tf.mul(y, tf.randomNormal(y.shape, 0, 1, "float32", 8)));
      const sources = inputs.map((name) => given[name]);
      const expected = gradients(() => weighted(twice()), sources);
      const got = gradients(() => weighted(once()), sources);
      expect(largest(tf.sub(once(), twice()))).toBeLessThan(2e-5);
      inputs.forEach((name, index) => {
        const difference = tf.sub(got.gradients[index]!, expected.gradients[index]!);
        expect(largest(difference) / largest(expected.gradients[index]!), name).toBeLessThan(1e-5);
      });
    });
  });
});

function largest(tensor: tf.Tensor): number {
  return tf.max(tf.abs(tensor)).dataSync()[0]!;
}
