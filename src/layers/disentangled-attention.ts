/** @file Attention of DeBERTa (`keras_hub/src/models/deberta_v3/disentangled_self_attention.py`, `relative_embedding.py`). */
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { numberAt } from "../topology/config-values.ts";
import { maskedSoftmax } from "./activation-functions.ts";
import { dropped } from "./attention.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { asBool } from "./ops/number-functions.ts";

export const disentangledAttentionKernels: Readonly<Record<string, Kernel>> = {
  RelativeEmbedding: relativeEmbedding,
  DisentangledSelfAttention: disentangledSelfAttention,
};

/** Returns the vectors once, `[1, 2 * bucket_size, hidden_dim]`, which KerasHub repeats for each sample. */
function relativeEmbedding({ weights, config }: KernelCall): tf.Tensor {
  const table = tf.expandDims(weightIn(weights, "rel_embedding"), 0);
  const centered = tf.sub(table, tf.mean(table, -1, true));
  const variance = tf.mean(tf.square(centered), -1, true);
  const normalized = tf.mul(centered, tf.rsqrt(tf.add(variance, numberAt(config, "layer_norm_epsilon"))));
  return tf.add(
    tf.mul(normalized, weightIn(weights, "layer_norm/gamma")),
    weightIn(weights, "layer_norm/beta"),
  );
}

function disentangledSelfAttention(call: KernelCall): tf.Tensor {
  const { config, context, kwargs, inputs } = call;
  const x = firstInput(inputs);
  const [samples, length, width] = [sizeAt(x.shape, 0), sizeAt(x.shape, 1), sizeAt(x.shape, 2)];
  const heads = numberAt(config, "num_heads");
  const size = Math.floor(width / heads);
  const scale = 1 / Math.sqrt(3 * size);
  const given = kwargs["rel_embeddings"];
  if (!(given instanceof tf.Tensor)) throw new Error("DisentangledSelfAttention: expected rel_embeddings");
  // Each sample drops vectors of its own, so that they are repeated where some are dropped.
  const isDropping = context.training && Number(config["dropout"]) > 0;
  const relative = isDropping ? dropped(tf.tile(given, [samples, 1, 1]), call) : given;
  const [query, key, value] = [x, x, x].map((each, index) =>
    byHead(projected(call, ["_query_dense", "_key_dense", "_value_dense"][index] ?? "", each), heads),
  ) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const positionQuery = byHead(projected(call, "_query_dense", relative), heads);
  const positionKey = byHead(projected(call, "_key_dense", relative), heads);
  const places = relativePlaces(length, config);
  const content = tf.matMul(query, key, false, true);
  const toPosition = picked(tf.matMul(query, positionKey, false, true), places.forward);
  const fromPosition = picked(tf.matMul(key, positionQuery, false, true), places.backward);
  const scores = tf.mul(tf.add(tf.add(content, toPosition), tf.transpose(fromPosition, [0, 1, 3, 2])), scale);
  const mask = kwargs["attention_mask"];
  const shown = mask instanceof tf.Tensor ? tf.expandDims(asBool(mask), 1) : undefined;
  const shares = dropped(maskedSoftmax(scores, [3], shown, context.keras), call);
  const attended = tf.reshape(tf.transpose(tf.matMul(shares, value), [0, 2, 1, 3]), [samples, length, width]);
  return projected(call, "_output_dense", attended);
}

/** Multiplies the last axis by a kernel of which the first axis is summed over, `[…, H]`. */
function projected({ weights }: KernelCall, place: string, x: tf.Tensor): tf.Tensor {
  const kernel = weightIn(weights, `${place}/kernel`);
  const width = sizeAt(kernel.shape, 0);
  const product = tf.matMul(
    tf.reshape(x, [-1, width]) as tf.Tensor2D,
    tf.reshape(kernel, [width, -1]) as tf.Tensor2D,
  );
  const biased = tf.add(product, tf.reshape(weightIn(weights, `${place}/bias`), [-1]));
  return tf.reshape(biased, [...x.shape.slice(0, -1), sizeAt(biased.shape, 1)]);
}

/** Turns `[N, T, heads * size]` into `[N, heads, T, size]`. */
function byHead(x: tf.Tensor, heads: number): tf.Tensor {
  const [samples, length, width] = [sizeAt(x.shape, 0), sizeAt(x.shape, 1), sizeAt(x.shape, 2)];
  return tf.transpose(tf.reshape(x, [samples, length, heads, width / heads]), [0, 2, 1, 3]);
}

/** Takes from each row of `[N, heads, T, P]` the places that a table `[T, T]` lists for it. */
function picked(scores: tf.Tensor, places: Int32Array): tf.Tensor {
  const [samples, heads, length, positions] = [0, 1, 2, 3].map((axis) => sizeAt(scores.shape, axis)) as [
    number,
    number,
    number,
    number,
  ];
  const flat = places.map((place, index) => Math.floor(index / length) * positions + place);
  const rows = tf.reshape(scores, [samples * heads, length * positions]);
  return tf.reshape(tf.gather(rows, tf.tensor1d(flat, "int32"), 1), [samples, heads, length, length]);
}

/** Returns the place of each token's relative position among the embedded ones, seen from the row's token and from the column's. */
function relativePlaces(
  length: number,
  config: KernelCall["config"],
): { readonly forward: Int32Array; readonly backward: Int32Array } {
  const span = numberAt(config, "bucket_size");
  const buckets = Array.from({ length }, (_, distance) =>
    bucketOf(distance, Math.floor(span / 2), numberAt(config, "max_position_embeddings")),
  );
  const table = (sign: 1 | -1): Int32Array =>
    Int32Array.from({ length: length * length }, (_, index) => {
      const distance = Math.floor(index / length) - (index % length);
      const bucket = (buckets[Math.abs(distance)] ?? 0) * Math.sign(distance);
      return Math.min(Math.max(sign * bucket + span, 0), 2 * span - 1);
    });
  return { forward: table(1), backward: table(-1) };
}

/** Returns the bucket of a distance: itself up to `middle`, and by its logarithm beyond, in float32 as KerasHub computes. */
function bucketOf(distance: number, middle: number, positions: number): number {
  if (distance <= middle) return distance;
  const log = (value: number): number => Math.fround(Math.log(Math.fround(value)));
  const numerator = Math.fround(log(Math.fround(distance / middle)) * (middle - 1));
  return Math.ceil(Math.fround(numerator / log(Math.fround((positions - 1) / middle)))) + middle;
}
