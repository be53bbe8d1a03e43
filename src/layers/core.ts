/** Dense and the layers that pass their input on (`keras/src/layers/core`). */
import { biasAdd, dense } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { activate } from "./activations.ts";
import { flagIn } from "./config.ts";
import type { Kernel, KernelCall } from "./kernel.ts";

export const coreKernels: Readonly<Record<string, Kernel>> = {
  InputLayer: identity,
  Identity: identity,
  Dense: denseLayer,
};

/** The first input as it is. */
export function identity({ inputs }: KernelCall): tf.Tensor {
  return inputs[0]!;
}

function denseLayer({ inputs, weights, config, context }: KernelCall): tf.Tensor {
  const product = dense(inputs[0]!, lowRankAdapted(weights["kernel"]!, weights, config["lora_alpha"]));
  const biased = flagIn(config, "use_bias") ? biasAdd(product, weights["bias"]!) : product;
  return activate(biased, config["activation"], context.keras);
}

/** A kernel plus its low-rank update, `kernel + alpha / rank * a b`, where LoRA was enabled. */
export function lowRankAdapted(kernel: tf.Tensor, weights: KernelCall["weights"], alpha: unknown): tf.Tensor {
  const a = weights["lora_kernel_a"];
  const b = weights["lora_kernel_b"];
  if (!a || !b) return kernel;
  const rank = a.shape.at(-1)!;
  const scale = (typeof alpha === "number" ? alpha : rank) / rank;
  return tf.add(
    kernel,
    tf.mul(tf.reshape(tf.matMul(tf.reshape(a, [-1, rank]), b as tf.Tensor2D), kernel.shape), scale),
  );
}
