/** Embedding and Masking (`keras/src/layers/core`). */
import { dense } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { flagIn, numberIn } from "./config.ts";
import { lowRankAdapted } from "./core.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";

export const embeddingKernels: Readonly<Record<string, Kernel>> = {
  Embedding: embedding,
  ReversibleEmbedding: (call) => (call.kwargs["reverse"] === true ? scores(call) : embedding(call)),
  Masking: masking,
};

function embedding(call: KernelCall): KernelResult {
  const { inputs, weights, config } = call;
  const tokens = tf.cast(inputs[0]!, "int32") as tf.Tensor1D;
  const rows = tf.gather(lowRankAdapted(call, "embeddings"), tokens);
  const scale = weights["embeddings_scale"];
  return {
    outputs: [scale ? tf.div(rows, tf.expandDims(tf.gather(scale, tokens), -1)) : rows],
    masks: [flagIn(config, "mask_zero") ? tf.notEqual(inputs[0]!, 0) : undefined],
  };
}

/** Of each token for each vector. */
function scores(call: KernelCall): tf.Tensor {
  const { inputs, weights, config } = call;
  const kernel = weights["reverse_embeddings"] ?? tf.transpose(lowRankAdapted(call, "embeddings"));
  const logits = dense(inputs[0]!, kernel);
  if (typeof config["logit_soft_cap"] !== "number") return logits;
  const cap = numberIn(config, "logit_soft_cap");
  return tf.mul(tf.tanh(tf.div(logits, cap)), cap);
}

function masking({ inputs, config }: KernelCall): KernelResult {
  const x = inputs[0]!;
  const shown = tf.any(tf.notEqual(x, numberIn(config, "mask_value")), -1);
  return { outputs: [tf.mul(x, tf.expandDims(tf.cast(shown, "float32"), -1))], masks: [shown] };
}
