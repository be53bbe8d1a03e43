/** A network of few weights whose steps hold much: a convolution over large images. */
import type { Checkpoint } from "../../src/checkpoint.ts";
import { glorotUniform, randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { layer, sequential } from "../sequential.ts";

export interface WideNetwork {
  /** Height and width of its images. */
  readonly side: number;
  readonly channels: number;
  readonly filters: number;
  readonly classes: number;
}

export function wideNetwork({ side, channels, filters, classes }: WideNetwork): Checkpoint {
  const random = randomGenerator(1);
  const tensor = (name: string, shape: readonly number[], values = glorotUniform(shape, random)) => ({
    name,
    ...float32Tensor(values, shape),
  });
  const zeros = (name: string, count: number) => tensor(name, [count], new Float32Array(count));
  const ones = (name: string, count: number) => tensor(name, [count], new Float32Array(count).fill(1));
  return sequential(
    "wide",
    [side, side, channels],
    [
      layer("Rescaling", { name: "scale", scale: 1 / 255, offset: 0 }),
      layer("Conv2D", { name: "conv", filters, kernel_size: [1, 1], activation: "relu", use_bias: true }),
      layer("BatchNormalization", { name: "norm", axis: -1, momentum: 0.99, epsilon: 1e-3 }),
      layer("GlobalAveragePooling2D", { name: "pool" }),
      layer("Dense", { name: "out", units: classes, activation: "softmax", use_bias: true }),
    ],
    new Map([
      ["conv", [tensor("kernel", [1, 1, channels, filters]), zeros("bias", filters)]],
      [
        "norm",
        [
          ones("gamma", filters),
          zeros("beta", filters),
          zeros("moving_mean", filters),
          ones("moving_variance", filters),
        ],
      ],
      ["out", [tensor("kernel", [filters, classes]), zeros("bias", classes)]],
    ]),
  );
}
