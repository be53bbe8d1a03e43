/** @file The layers of DeBERTa that Keras has none for (`keras_hub/src/models/deberta_v3/`). */
import type { JsonObject } from "../../checkpoint.ts";
import { countAt } from "../config-values.ts";
import type { LayerSpec, WeightSpec } from "../layer-spec.ts";
import { kernelAndBias, ones, variable, zeros } from "./variables.ts";
import { knownSize } from "./windows.ts";

/** RelativeEmbedding: normalized vectors of relative positions, `[1, 2 * bucket_size, hidden_dim]`, the same for every sample. */
const relativeEmbedding: LayerSpec = {
  className: "RelativeEmbedding",
  defaults: { layer_norm_epsilon: 1e-5, kernel_initializer: kernelAndBias["kernel_initializer"] ?? null },
  weights: ({ config }) => {
    const width = countAt(config, "hidden_dim");
    const own = (
      name: string,
      shape: readonly number[],
      initializer: WeightSpec["initializer"],
    ): WeightSpec => ({
      name,
      shape,
      trainable: true,
      initializer,
      regularizer: null,
    });
    return [
      own("rel_embedding", [2 * countAt(config, "bucket_size"), width], config["kernel_initializer"] ?? null),
      { ...own("layer_norm/gamma", [width], ones), formerNames: ["rel_embeddings_layer_norm/gamma"] },
      { ...own("layer_norm/beta", [width], zeros), formerNames: ["rel_embeddings_layer_norm/beta"] },
    ];
  },
  outputShapes: ({ config, inputs }) => [
    [inputs[0][0] ?? null, 2 * countAt(config, "bucket_size"), countAt(config, "hidden_dim")],
  ],
  recomputed: true,
};

function dense(
  config: JsonObject,
  place: string,
  name: string,
  kernel: readonly number[],
  bias: readonly number[],
): WeightSpec[] {
  const own = (weight: string, shape: readonly number[]): WeightSpec =>
    variable(config, `${place}/${weight}`, shape, { argument: weight, formerNames: [`${name}/${weight}`] });
  return [own("kernel", kernel), own("bias", bias)];
}

/** DisentangledSelfAttention: attention by content, and by relative position to content and from it. */
const disentangledSelfAttention: LayerSpec = {
  className: "DisentangledSelfAttention",
  defaults: { ...kernelAndBias, max_position_embeddings: 512, bucket_size: 256, dropout: 0.1 },
  weights: ({ config, inputs }) => {
    const width = knownSize(inputs[0], inputs[0].length - 1, "features");
    const heads = headsOf(config);
    return [
      ...dense(config, "_query_dense", "query", [width, ...heads], heads),
      ...dense(config, "_key_dense", "key", [width, ...heads], heads),
      ...dense(config, "_value_dense", "value", [width, ...heads], heads),
      ...dense(config, "_output_dense", "attention_output", [width, width], [width]),
    ];
  },
  outputShapes: ({ inputs }) => [inputs[0]],
  multiplyAdds: ({ config, inputs }) => {
    const [, length, width] = inputs[0];
    const [tokens, features, positions] = [length ?? 0, width ?? 0, 2 * countAt(config, "bucket_size")];
    return tokens * features * (4 * features + 2 * tokens + 2 * positions);
  },
  randomWith: (config) => Number(config["dropout"]) > 0,
};

/** Returns the number of heads and the size of each. */
function headsOf(config: JsonObject): readonly [heads: number, size: number] {
  const heads = countAt(config, "num_heads");
  return [heads, Math.floor(countAt(config, "hidden_dim") / heads)];
}

export const disentangledAttentionSpecs: readonly LayerSpec[] = [
  relativeEmbedding,
  disentangledSelfAttention,
];
