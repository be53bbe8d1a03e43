/**
 * @file Attention over lists of query, value and key (`keras/src/layers/attention/attention.py`,
 * `additive_attention.py`).
 */

import { chosen } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { weightIn } from "./kernel.ts";
import { matmul, swapped } from "./ops/matrix-products.ts";
import { keptMask } from "./regularization.ts";

type Score = (query: tf.Tensor, key: tf.Tensor, call: KernelCall) => tf.Tensor;

export const attentionKernels: Readonly<Record<string, Kernel>> = {
  Attention: (call) => attention(call, call.config["score_mode"] === "concat" ? concatScore : dotScore),
  AdditiveAttention: (call) => attention(call, additiveScore),
};

function attention(call: KernelCall, score: Score): KernelResult {
  const { inputs, masks, kwargs, context } = call;
  const [query, value, key = value] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor?];
  const scores = score(query, key!, call);
  const shown = scoreMask(
    scores,
    masks[1],
    kwargs["use_causal_mask"] === true || call.config["causal"] === true,
  );
  const visible = shown ? withoutHidden(scores, shown, context.keras) : scores;
  const shares = dropped(tf.softmax(visible), call);
  const output = matmul(shares, value);
  const queryMask = masks[0];
  const shownRows = queryMask ? chosen(tf.expandDims(queryMask, -1), output, tf.zerosLike(output)) : output;
  return kwargs["return_attention_scores"] === true
    ? { outputs: [shownRows, shares], masks: [queryMask, undefined] }
    : { outputs: [shownRows], masks: [queryMask] };
}

function dotScore(query: tf.Tensor, key: tf.Tensor, { weights }: KernelCall): tf.Tensor {
  const scores = matmul(query, swapped(key));
  return weights["scale"] ? tf.mul(scores, weights["scale"]) : scores;
}

function concatScore(query: tf.Tensor, key: tf.Tensor, { weights }: KernelCall): tf.Tensor {
  const sums = tf.add(tf.expandDims(query, -2), tf.expandDims(key, -3));
  const scaled = weights["scale"] ? tf.mul(sums, weights["scale"]) : sums;
  return tf.mul(tf.sum(tf.tanh(scaled), -1), weightIn(weights, "concat_score_weight"));
}

function additiveScore(query: tf.Tensor, key: tf.Tensor, { weights }: KernelCall): tf.Tensor {
  const bent = tf.tanh(tf.add(tf.expandDims(query, -2), tf.expandDims(key, -3)));
  return tf.sum(weights["scale"] ? tf.mul(bent, weights["scale"]) : bent, -1);
}

/**
 * Returns the mask of the scores: that of the keys `[N, S]`, and if causal, of keys that are not after the query.
 * Undefined if all are shown.
 */
function scoreMask(scores: tf.Tensor, values: tf.Tensor | undefined, causal: boolean): tf.Tensor | undefined {
  const keys = values && tf.expandDims(values, -2);
  if (!causal) return keys;
  const [queries, steps] = scores.shape.slice(-2) as [number, number];
  const earlier = causalMask(queries, steps);
  return keys ? tf.logicalAnd(keys, earlier) : earlier;
}

/** Returns a mask `[1, T, S]` that is true where a key is not after the query. */
export function causalMask(queries: number, keys: number): tf.Tensor {
  const rows = tf.reshape(tf.range(0, queries, 1, "int32"), [1, queries, 1]);
  const columns = tf.reshape(tf.range(0, keys, 1, "int32"), [1, 1, keys]);
  return tf.greaterEqual(rows, columns);
}

/** Lowers hidden scores so far that softmax gives them nothing, unless a whole row is hidden. */
function withoutHidden(scores: tf.Tensor, shown: tf.Tensor, keras: number): tf.Tensor {
  if (keras < 3) return tf.sub(scores, tf.mul(tf.cast(tf.logicalNot(shown), "float32"), 1e9));
  return chosen(shown, scores, tf.sub(scores, 1e9));
}

/** Applies dropout to the attention weights in training. */
export function dropped(shares: tf.Tensor, { config, context }: KernelCall): tf.Tensor {
  const rate = Number(config["dropout"] ?? 0);
  if (!context.training || rate <= 0) return shares;
  return tf.mul(shares, tf.div(keptMask(shares.shape, rate, context.random), 1 - rate));
}
