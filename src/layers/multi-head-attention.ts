/**
 * @file Attention with several heads (`keras/src/layers/attention/multi_head_attention.py`,
 * `grouped_query_attention.py`).
 */

import { biasAdd, chosen } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { numberAt, numberList } from "../topology/config-values.ts";
import { headArguments } from "../topology/specs/attention.ts";
import { maskedSoftmax, softmax } from "./activation-functions.ts";
import { causalMask, dropped } from "./attention.ts";
import { repeatAxis } from "./axes.ts";
import type { Kernel, KernelArgument, KernelCall, KernelResult } from "./kernel.ts";
import { weightIn } from "./kernel.ts";
import { einsum } from "./ops/matrix-products.ts";
import { asBool } from "./ops/number-functions.ts";

export const multiHeadKernels: Readonly<Record<string, Kernel>> = {
  MultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: groupQueryAttention,
};

/** The arguments of a call by name. */
interface Given {
  readonly query: tf.Tensor;
  readonly value: tf.Tensor;
  readonly key: tf.Tensor;
  readonly masks: {
    readonly query: tf.Tensor | undefined;
    readonly value: tf.Tensor | undefined;
    readonly key: tf.Tensor | undefined;
    readonly attention: tf.Tensor | undefined;
  };
  readonly causal: boolean;
  readonly wantsScores: boolean;
}

function givenOf(call: KernelCall): Given {
  const { args, kwargs, context } = call;
  const given = (name: (typeof headArguments)[number]): KernelArgument | undefined => {
    const named = kwargs[name];
    return named ?? args[headArguments.indexOf(name)];
  };
  const tensor = (name: (typeof headArguments)[number]): tf.Tensor | undefined => {
    const found = given(name);
    return found instanceof tf.Tensor ? found : undefined;
  };
  const query = tensor("query")!;
  const value = tensor("value")!;
  const key = tensor("key");
  const carried = (x: tf.Tensor | undefined): tf.Tensor | undefined =>
    x && call.masks[call.inputs.indexOf(x)];
  return {
    query,
    value,
    key: key ?? value,
    masks: {
      query: queryMask(call, carried(query), tensor("query_mask")),
      value: context.keras === 3 ? (tensor("value_mask") ?? carried(value)) : carried(value),
      key: context.keras === 3 ? (tensor("key_mask") ?? carried(key)) : carried(key),
      attention: tensor("attention_mask"),
    },
    causal: kwargs["use_causal_mask"] === true,
    wantsScores: given("return_attention_scores") === true,
  };
}

/**
 * Returns the query's mask. In Keras 3, MultiHeadAttention uses the attached mask and ignores the `query_mask`
 * argument.
 */
function queryMask(
  { config, context }: KernelCall,
  carried: tf.Tensor | undefined,
  given: tf.Tensor | undefined,
): tf.Tensor | undefined {
  const grouped = "num_query_heads" in config;
  return context.keras === 3 && grouped ? (given ?? carried) : carried;
}

/** Returns the mask of the scores, `[N, T, S]`, undefined if nothing is hidden. */
function attentionMask(given: Given, window: unknown): tf.Tensor | undefined {
  const { query, value, masks, causal } = given;
  const bool = (mask: tf.Tensor | undefined): tf.Tensor | undefined => mask && asBool(mask);
  const along = (mask: tf.Tensor | undefined, axis: number): tf.Tensor | undefined =>
    mask && tf.expandDims(bool(mask)!, axis);
  const [queries, keys] = [sizeAt(query.shape, 1), sizeAt(value.shape, 1)];
  const parts = [
    along(masks.query, -1),
    along(masks.value, -2),
    along(masks.key, -2),
    causal ? causalMask(queries, keys) : undefined,
    typeof window === "number" ? bandMask(queries, keys, window) : undefined,
    bool(masks.attention),
  ].filter((mask) => mask !== undefined);
  return parts.length === 0 ? undefined : parts.reduce((a, b) => tf.logicalAnd(a, b));
}

/** Returns a mask `[1, T, S]` that is true where query and key are less than `window` apart. */
function bandMask(queries: number, keys: number, window: number): tf.Tensor {
  const rows = tf.reshape(tf.range(0, queries, 1, "int32"), [1, queries, 1]);
  const columns = tf.reshape(tf.range(0, keys, 1, "int32"), [1, 1, keys]);
  return tf.less(tf.abs(tf.sub(rows, columns)), tf.scalar(window, "int32"));
}

function multiHeadAttention(call: KernelCall): KernelResult {
  const { config } = call;
  const given = givenOf(call);
  const { query, value, key } = given;
  const rank = value.rank + 1;
  const axes = numberList(config["attention_axes"]).map((axis) => (axis >= 0 ? axis : rank - 1 + axis));
  const heads: Heads = {
    query: projected(call, "query_dense", query, 1),
    key: projected(call, "key_dense", key, 1),
    value: projected(call, "value_dense", value, 1),
    axes: config["attention_axes"] == null ? Array.from({ length: rank - 3 }, (_, index) => index + 1) : axes,
    scale: 1 / Math.sqrt(numberAt(config, "key_dim")),
  };
  const gate = config["use_gate"] === true ? projected(call, "_gate_dense", query, 1) : undefined;
  // From Keras 3.8 on, this layer removes the masks from the very tensors that other layers read after it.
  const takesMasks = call.context.keras === 3 && config["leaves_masks"] !== true;
  return { ...finished(call, given, attended(call, given, heads), gate, "output_dense"), takesMasks };
}

function groupQueryAttention(call: KernelCall): KernelResult {
  const { config } = call;
  const given = givenOf(call);
  const repeats = numberAt(config, "num_query_heads") / numberAt(config, "num_key_value_heads");
  const heads: Heads = {
    query: projected(call, "_query_dense", given.query, 1),
    key: repeatAxis(projected(call, "_key_dense", given.key, 1), 2, repeats),
    value: repeatAxis(projected(call, "_value_dense", given.value, 1), 2, repeats),
    axes: [1],
    scale: 1 / Math.sqrt(numberAt(config, "head_dim")),
  };
  const gate = config["use_gate"] === true ? projected(call, "_gate_dense", given.query, 1) : undefined;
  return finished(call, given, attended(call, given, heads), gate, "_output_dense");
}

function finished(
  call: KernelCall,
  { masks, wantsScores }: Given,
  { output, scores, mask }: Attended,
  gate: tf.Tensor | undefined,
  place: string,
): KernelResult {
  const gated = gate ? tf.mul(output, tf.sigmoid(gate)) : output;
  const outputs = [projected(call, place, gated, 2)];
  return wantsScores
    ? { outputs: [...outputs, scores], masks: [masks.query, mask] }
    : { outputs, masks: [masks.query] };
}

/** Contracts the last `bound` axes of `x` with the first ones of the kernel. */
function projected({ weights }: KernelCall, place: string, x: tf.Tensor, bound: 1 | 2): tf.Tensor {
  const kernel = weightIn(weights, `${place}/kernel`);
  const bias = weights[`${place}/bias`];
  const free = x.shape.slice(0, -bound);
  const kept = kernel.shape.slice(bound);
  const depth = kernel.shape.slice(0, bound).reduce((product, size) => product * size, 1);
  const product = tf.matMul(
    tf.reshape(x, [-1, depth]) as tf.Tensor2D,
    tf.reshape(kernel, [depth, -1]) as tf.Tensor2D,
  );
  const biased = bias ? biasAdd(product, tf.reshape(bias, [-1])) : product;
  return tf.reshape(biased, [...free, ...kept]);
}

/** Query, key and value after their projections, with the axes: batch, free and attended axes, heads, channels. */
interface Heads {
  readonly query: tf.Tensor;
  readonly key: tf.Tensor;
  readonly value: tf.Tensor;
  /** The axes that attention runs along. */
  readonly axes: readonly number[];
  readonly scale: number;
}

interface Attended {
  readonly output: tf.Tensor;
  readonly scores: tf.Tensor;
  /** The mask of the scores. */
  readonly mask: tf.Tensor | undefined;
}

function attended(call: KernelCall, given: Given, { query, key, value, axes, scale }: Heads): Attended {
  const { config, context } = call;
  const equations = attentionEquations(query.rank, axes);
  const scores = einsum(equations.scores, [key, tf.mul(query, scale)]);
  const mask = attentionMask(given, config["sliding_window"]);
  const over = axes.map((_, index) => scores.rank - axes.length + index);
  const spread = mask && headAxes(mask, scores.rank, axes.length);
  const fused =
    context.keras === 3 && Number(config["dropout"] ?? 0) <= 0 && !given.wantsScores && query.rank === 4;
  const shares = fused
    ? softmax(spread ? chosen(spread, scores, tf.fill(scores.shape, lowest)) : scores, over)
    : maskedSoftmax(scores, over, spread, context.keras);
  return { output: einsum(equations.output, [dropped(shares, call), value]), scores: shares, mask: spread };
}

/** The score by which Keras's fused attention hides positions. A row that is hidden entirely then gives the mean. */
const lowest = -0.7 * 3.38953e38;

/** Inserts axes of size 1 into the mask for the heads and for other axes between the batch and the attended axes. */
function headAxes(mask: tf.Tensor, rank: number, attendedAxes: number): tf.Tensor {
  let spread = mask;
  while (spread.rank < rank) spread = tf.expandDims(spread, spread.rank - 2 * attendedAxes);
  return spread;
}

/**
 * Returns the einsum equations of the scores, from key and query, and of the output, from scores and value. Heads and
 * free axes are kept.
 */
function attentionEquations(rank: number, axes: readonly number[]): { scores: string; output: string } {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const target = letters.slice(0, rank);
  const source = target.map((letter, axis) =>
    axes.includes(axis) ? letters[rank + axes.indexOf(axis)]! : letter,
  );
  const along = target.filter((_, axis) => !axes.includes(axis) && axis !== rank - 1);
  const scores = [...along, ...axes.map((axis) => target[axis]!), ...axes.map((axis) => source[axis]!)];
  const [t, s, p] = [target.join(""), source.join(""), scores.join("")];
  return { scores: `${s},${t}->${p}`, output: `${p},${s}->${t}` };
}
