/** @file A small network with statistics, and batches for it. */
import type { Checkpoint, JsonObject } from "../../src/checkpoint.ts";
import { tf } from "../../src/engine/tf.ts";
import { glorotUniform, randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";
import type { Batch } from "../../src/training/batch.ts";
import { layer, sequential } from "../sequential.ts";
import { dense } from "./small-run.ts";

const [inputs, rows] = [6, 8];

/** Returns a network: the layers given between two Dense layers. */
export function network(...between: readonly JsonObject[]): Checkpoint {
  const generator = randomGenerator(5);
  const weights = (from: number, to: number) => [
    { name: "kernel", ...float32Tensor(glorotUniform([from, to], generator), [from, to]) },
    { name: "bias", ...float32Tensor(new Float32Array(to), [to]) },
  ];
  const normalized = ["gamma", "beta", "moving_mean", "moving_variance"].map((name) => ({
    name,
    ...float32Tensor(new Float32Array(10).fill(name === "gamma" || name === "moving_variance" ? 1 : 0), [10]),
  }));
  return sequential(
    "small",
    [inputs],
    [
      dense("first", 10, "relu"),
      layer("BatchNormalization", { name: "norm", momentum: 0.9, epsilon: 1e-3 }),
      ...between,
      dense("last", 3, "softmax"),
    ],
    new Map([
      ["first", weights(inputs, 10)],
      ["norm", normalized],
      ["last", weights(10, 3)],
    ]),
  );
}

/** Returns a batch with targets and weights of its own. */
export function batchOf(seed: number, count = rows): Batch {
  const random = randomGenerator(seed);
  const x = Float32Array.from({ length: count * inputs }, () => 2 * random.nextFloat() - 1);
  const targets = new Float32Array(count * 3);
  for (let row = 0; row < count; row++) targets[row * 3 + (random.nextInteger() % 3)] = 1;
  const weights = Float32Array.from({ length: count }, () => 0.5 + random.nextFloat());
  return {
    features: [tf.tensor(x, [count, inputs])],
    targets: [{ targets: float32Tensor(targets, [count, 3]), weights: float32Tensor(weights, [count]) }],
  };
}

/** Layers that draw numbers, with their config. */
export const drawingLayers: Readonly<Record<string, JsonObject>> = {
  Dropout: { rate: 0.4 },
  AlphaDropout: { rate: 0.2 },
  GaussianDropout: { rate: 0.3 },
  GaussianNoise: { stddev: 0.5 },
};
