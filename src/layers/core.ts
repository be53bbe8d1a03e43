/** Dense and the layers that pass their input on (`keras/src/layers/core`). */
import { biasAdd, dense } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { activate } from "./activations.ts";
import { flagIn } from "./config.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { quantizedProduct } from "./quantization.ts";

export const coreKernels: Readonly<Record<string, Kernel>> = {
  InputLayer: identity,
  Identity: identity,
  Dense: denseLayer,
};

/** The first input as it is. */
export function identity({ inputs }: KernelCall): tf.Tensor {
  return inputs[0]!;
}

function denseLayer(call: KernelCall): tf.Tensor {
  const { inputs, weights, config, context } = call;
  const kernel = lowRankAdapted(call, "kernel");
  const multiplied = (x: tf.Tensor): tf.Tensor => dense(x, kernel);
  const product = weights["kernel_scale"]
    ? quantizedProduct(inputs[0]!, [inputs[0]!.rank - 1], call, multiplied, (scale) => scale)
    : multiplied(inputs[0]!);
  const biased = flagIn(config, "use_bias") ? biasAdd(product, weights["bias"]!) : product;
  return activate(biased, config["activation"], context.keras);
}

/** A weight plus its low-rank update, `kernel + alpha / rank * a b`, where LoRA was enabled. */
export function lowRankAdapted({ weights, config }: KernelCall, name: "kernel" | "embeddings"): tf.Tensor {
  const kernel = weights[name]!;
  const a = weights[`lora_${name}_a`];
  const b = weights[`lora_${name}_b`];
  if (!a || !b) return kernel;
  const rank = a.shape.at(-1)!;
  const alpha = config["lora_alpha"];
  const scale = (typeof alpha === "number" ? alpha : rank) / rank;
  return tf.add(
    kernel,
    tf.mul(tf.reshape(tf.matMul(tf.reshape(a, [-1, rank]), b as tf.Tensor2D), kernel.shape), scale),
  );
}
