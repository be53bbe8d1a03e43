/** @file Embedding and Masking (`keras/src/layers/core`). */
import { dense } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { isTrueAt, numberAt } from "../topology/config-values.ts";
import { quantizationOf, roundsInput } from "../topology/specs/quantization.ts";
import { stopGradient } from "./activation-functions.ts";
import { lowRankAdapted, lowRankUpdate } from "./core.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { ofBlocks, roundedInput, unpacked } from "./quantization.ts";

export const embeddingKernels: Readonly<Record<string, Kernel>> = {
  Embedding: embedding,
  ReversibleEmbedding: (call) => (call.kwargs["reverse"] === true ? scores(call) : embedding(call)),
  Masking: masking,
};

function embedding(call: KernelCall): KernelResult {
  const { inputs, config } = call;
  const tokens = tf.cast(firstInput(inputs), "int32") as tf.Tensor1D;
  const rows = quantizationOf(config)
    ? quantizedRows(call, tokens)
    : tf.gather(lowRankAdapted(call, "embeddings"), tokens);
  return {
    outputs: [rows],
    masks: [isTrueAt(config, "mask_zero") ? tf.notEqual(firstInput(inputs), 0) : undefined],
  };
}

/** Returns the dequantized rows of the tokens. */
function quantizedRows(call: KernelCall, tokens: tf.Tensor1D): tf.Tensor {
  const { weights, config } = call;
  const of = (name: string): tf.Tensor => tf.gather(weightIn(weights, name), tokens);
  const stored = of("embeddings");
  const isPacked = quantizationOf(config)?.bits === 4;
  const values = isPacked ? unpacked(stored, numberAt(config, "output_dim"), true) : stored;
  if (weights["embeddings_zero"]) {
    const block = tf.cast(weightIn(weights, "g_idx"), "int32") as tf.Tensor1D;
    const ofBlock = (name: string): tf.Tensor => tf.gather(of(name), block, tokens.rank);
    return tf.mul(tf.sub(values, ofBlock("embeddings_zero")), ofBlock("embeddings_scale"));
  }
  const rows = tf.div(values, tf.expandDims(of("embeddings_scale"), -1));
  const update = lowRankUpdate(call, "embeddings");
  return update ? tf.add(rows, tf.gather(update, tokens)) : rows;
}

/** Computes the score of each token for each vector. */
function scores(call: KernelCall): tf.Tensor {
  const { inputs, weights, config } = call;
  const logits = quantizationOf(config)
    ? quantizedScores(call)
    : dense(
        firstInput(inputs),
        weights["reverse_embeddings"] ?? tf.transpose(lowRankAdapted(call, "embeddings")),
      );
  if (typeof config["logit_soft_cap"] !== "number") return logits;
  const cap = numberAt(config, "logit_soft_cap");
  return tf.mul(tf.tanh(tf.div(logits, cap)), cap);
}

function quantizedScores(call: KernelCall): tf.Tensor {
  const { inputs, weights, config } = call;
  const own = weights["reverse_embeddings"];
  const turned = (name: string): tf.Tensor | undefined => {
    const tensor = own ? weights[`reverse_${name}`] : weights[name];
    return tensor && !own ? tf.transpose(tensor) : tensor;
  };
  const isPacked = quantizationOf(config)?.bits === 4;
  const size = numberAt(config, "output_dim");
  // Both are packed along the vectors' axis.
  const stored = own ? tf.transpose(own) : weightIn(weights, "embeddings");
  const values = tf.transpose(isPacked ? unpacked(stored, size, true) : stored);
  const [scale, zero] = [turned("embeddings_scale")!, turned("embeddings_zero")];
  const kernel = zero ? ofBlocks(values, scale, zero, weightIn(weights, "g_idx")) : tf.div(values, scale);
  const x = firstInput(inputs);
  if (!roundsInput(config, true)) return dense(x, kernel);
  const { rounded, scale: inputScale } = roundedInput(x, [x.rank - 1]);
  // Keras passes no gradient through the rounded input, only through its scale.
  return tf.div(dense(stopGradient(rounded), kernel), inputScale);
}

function masking({ inputs, config }: KernelCall): KernelResult {
  const x = firstInput(inputs);
  const shown = tf.any(tf.notEqual(x, numberAt(config, "mask_value")), -1);
  return { outputs: [tf.mul(x, tf.expandDims(tf.cast(shown, "float32"), -1))], masks: [shown] };
}
