import type { JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import { normalizedAndDropped } from "./bert.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, type HubNetwork, numberOf } from "./hub-network.ts";
import {
  embedTokens,
  firstToken,
  inputNamed,
  residual,
  textInputs,
  truncatedNormal,
} from "./transformer-encoder.ts";

const epsilon = 1e-7;

/**
 * DeBERTa V3.
 *
 * Source: `keras_hub/src/models/deberta_v3/deberta_v3_backbone.py`.
 */
export const debertaBackbone: HubBackbone = {
  className: "DebertaV3Backbone",
  networks: "DeBERTa V3",
  inputs: textInputs(false),
  build: (net, config) => {
    const width = numberOf(config, "hidden_dim");
    const rows = numberOf(config, "vocabulary_size");
    const embedded = embedTokens(net, inputNamed(net, "token_ids"), { rows, width });
    let x = normalizedAndDropped(net, config, embedded, epsilon);
    let relative: Output | undefined;
    for (let layer = 0; layer < numberOf(config, "num_layers"); layer++) {
      // KerasHub calls it once. Each block has a call of its own here, so that none keeps what another has made.
      relative = relative ? net.again(relative, x) : relativeEmbedding(net, config, x);
      x = addBlock(net, config, x, relative, `disentangled_attention_encoder_layer_${layer}`);
    }
    return x;
  },
};

function relativeEmbedding(net: HubNetwork, config: HubNetwork["config"], given: Output): Output {
  const own = {
    hidden_dim: numberOf(config, "hidden_dim"),
    bucket_size: numberOf(config, "bucket_size", 256),
    layer_norm_epsilon: epsilon,
    kernel_initializer: truncatedNormal,
  };
  return net.layer("RelativeEmbedding", own, given, "rel_embedding");
}

/** Adds a DisentangledAttentionEncoder (`disentangled_attention_encoder.py`). */
function addBlock(
  net: HubNetwork,
  config: HubNetwork["config"],
  given: Output,
  relative: Output,
  name: string,
): Output {
  const hidden = numberOf(config, "hidden_dim");
  const dropout = numberOf(config, "dropout", 0.1);
  const attention: JsonObject = {
    num_heads: numberOf(config, "num_heads"),
    hidden_dim: hidden,
    max_position_embeddings: numberOf(config, "max_sequence_length", 512),
    bucket_size: numberOf(config, "bucket_size", 256),
    dropout,
    kernel_initializer: truncatedNormal,
  };
  const inputs = [given, relative, inputNamed(net, "padding_mask")];
  return net.composite("DisentangledAttentionEncoder", name, inputs, (add, start, _, taken) => {
    const [, positions, mask] = taken as [Output, Output, Output];
    const visible = add.operation("ExpandDims", { axis: 1 }, [mask]);
    let x = add(
      "_self_attention_layer",
      "DisentangledSelfAttention",
      attention,
      start,
      "self_attention_layer",
      { rel_embeddings: positions, attention_mask: visible },
    );
    x = residual(add, x, start, "self_attention", dropout);
    const [first, second] = ["self_attention_layer_norm", "feedforward_layer_norm"] as const;
    const normalization = { axis: -1, epsilon };
    const between = add(`_${first}`, "LayerNormalization", normalization, x, first);
    const dense = (units: number): JsonObject => ({ units, kernel_initializer: truncatedNormal });
    const wide = { ...dense(numberOf(config, "intermediate_dim")), activation: "gelu" };
    const inner = "feedforward_intermediate_dense";
    x = add(`_${inner}`, "Dense", wide, between, inner);
    x = add("_feedforward_output_dense", "Dense", dense(hidden), x, "feedforward_output_dense");
    x = residual(add, x, between, "feedforward", dropout);
    return add(`_${second}`, "LayerNormalization", normalization, x, second);
  });
}

/**
 * The head of DeBERTa's classifier.
 *
 * Source: `keras_hub/src/models/deberta_v3/deberta_v3_text_classifier.py`.
 */
export const debertaHead: HubHead = {
  scores: "logits",
  build: (net, config, features) => {
    const backbone = (config["backbone"] as JsonObject)["config"] as JsonObject;
    const rate = numberOf(config, "dropout", 0);
    let x = net.layer("Dropout", { rate }, firstToken(net, features), "pooled_dropout");
    const units = numberOf(config, "hidden_dim", features.shape[2] ?? 0);
    x = net.layer("Dense", { units, activation: "gelu" }, x, "pooled_dense");
    x = net.layer("Dropout", { rate: numberOf(backbone, "dropout", 0.1) }, x, "classifier_dropout");
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", { ...scores, kernel_initializer: truncatedNormal }, x, "logits");
  },
};
