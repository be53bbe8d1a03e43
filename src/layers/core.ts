/** @file Dense, and layers that pass their input on (`keras/src/layers/core`). */
import { fusedDense } from "../engine/fused-operations.ts";
import { biasAdd, dense } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { fusesActivation } from "../engine/webgpu/fused.ts";
import { sizeAt } from "../tensor.ts";
import { isTrueAt, numberAt } from "../topology/config-values.ts";
import { quantizationOf } from "../topology/specs/quantization.ts";
import { activationName } from "./activation-functions.ts";
import { activate } from "./activations.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { float8Bias, quantizedProduct } from "./quantization.ts";

export const coreKernels: Readonly<Record<string, Kernel>> = {
  InputLayer: identity,
  Identity: identity,
  Dense: denseLayer,
  LayerScale: ({ inputs, weights }) => tf.mul(firstInput(inputs), weightIn(weights, "gamma")),
};

/** Returns the first input unchanged. */
export function identity({ inputs }: KernelCall): tf.Tensor {
  return firstInput(inputs);
}

function denseLayer(call: KernelCall): tf.Tensor {
  const { inputs, config, context } = call;
  const activation = activationName(config["activation"]);
  if (fusesActivation(activation) && !quantizationOf(config)) {
    const bias = isTrueAt(config, "use_bias") ? biasOf(call) : undefined;
    return fusedDense(firstInput(inputs), lowRankAdapted(call, "kernel"), bias, activation);
  }
  const product = quantizationOf(config)
    ? quantizedDense(call)
    : dense(firstInput(inputs), lowRankAdapted(call, "kernel"));
  const biased = isTrueAt(config, "use_bias") ? biasAdd(product, biasOf(call)!) : product;
  return activate(biased, config["activation"], context.keras);
}

/** Returns the bias of a layer that has one, as its dtype policy adds it. */
export function biasOf({ weights, config }: KernelCall): tf.Tensor | undefined {
  const bias = weights["bias"];
  return bias && quantizationOf(config)?.mode === "float8" ? float8Bias(bias) : bias;
}

function quantizedDense(call: KernelCall): tf.Tensor {
  const x = firstInput(call.inputs);
  const product = quantizedProduct(call, {
    axes: [x.rank - 1],
    kernelShape: [sizeAt(x.shape, -1), numberAt(call.config, "units")],
    multiply: dense,
    aligned: (scale) => scale,
  });
  const update = lowRankUpdate(call, "kernel");
  return update ? tf.add(product, dense(x, update)) : product;
}

/** Returns a weight plus its low-rank update if LoRA was enabled. */
export function lowRankAdapted(call: KernelCall, name: "kernel" | "embeddings"): tf.Tensor {
  const kernel = weightIn(call.weights, name);
  const update = lowRankUpdate(call, name);
  return update ? tf.add(kernel, tf.reshape(update, kernel.shape)) : kernel;
}

/** Returns the low-rank update of a weight as a matrix, `alpha / rank * a b`; undefined without LoRA. */
export function lowRankUpdate(
  { weights, config }: KernelCall,
  name: "kernel" | "embeddings",
): tf.Tensor2D | undefined {
  const a = weights[`lora_${name}_a`];
  const b = weights[`lora_${name}_b`];
  if (!a || !b) return undefined;
  const rank = sizeAt(a.shape, -1);
  const alpha = config["lora_alpha"];
  const scale = (typeof alpha === "number" ? alpha : rank) / rank;
  return tf.mul(tf.matMul(tf.reshape(a, [-1, rank]), b as tf.Tensor2D), scale);
}
