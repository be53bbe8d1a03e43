import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, type HubNetwork, numberOf } from "./hub-network.ts";
import {
  embedding,
  embedPositions,
  embedTokens,
  encoderOf,
  firstToken,
  inputNamed,
  textInputs,
  truncatedNormal,
} from "./transformer-encoder.ts";

/**
 * BERT.
 *
 * Source: `keras_hub/src/models/bert/bert_backbone.py`.
 */
export const bertBackbone: HubBackbone = {
  className: "BertBackbone",
  networks: "BERT",
  inputs: textInputs(true),
  build: (net, config) => {
    const width = numberOf(config, "hidden_dim");
    let x = embedTexts(net, config, numberOf(config, "vocabulary_size"), width);
    const encoder = encoderOf(net, config, { activation: "gelu_approximate", epsilon: 1e-12 });
    for (let layer = 0; layer < numberOf(config, "num_layers"); layer++) {
      x = encoder(x, `transformer_layer_${layer}`);
    }
    return { pooled_output: pooled(net, x, width), sequence_output: x };
  },
};

/** Adds the normalized sum of the embeddings of tokens, positions and segments. */
export function embedTexts(
  net: HubNetwork,
  config: HubNetwork["config"],
  vocabulary: number,
  width: number,
): Output {
  const ids = inputNamed(net, "token_ids");
  const tokens = embedTokens(net, ids, { rows: vocabulary, width });
  const positions = embedPositions(net, ids, { rows: numberOf(config, "max_sequence_length", 512), width });
  const table = embedding({ rows: numberOf(config, "num_segments", 2), width });
  const segments = net.layer("Embedding", table, inputNamed(net, "segment_ids"), "segment_embedding");
  const x = net.layer("Add", {}, [tokens, positions, segments], "embeddings_add");
  return normalizedAndDropped(net, config, x, 1e-12);
}

/** Adds the normalization and the dropout behind an encoder's embeddings. */
export function normalizedAndDropped(
  net: HubNetwork,
  config: HubNetwork["config"],
  given: Output,
  epsilon: number,
): Output {
  const x = net.layer("LayerNormalization", { axis: -1, epsilon }, given, "embeddings_layer_norm");
  return net.layer("Dropout", { rate: numberOf(config, "dropout", 0.1) }, x, "embeddings_dropout");
}

/** Adds the Dense behind the first token. */
export function pooled(net: HubNetwork, sequence: Output, units: number): Output {
  const own = { units, kernel_initializer: truncatedNormal, activation: "tanh" };
  return net.layer("Dense", own, firstToken(net, sequence), "pooled_dense");
}

/**
 * Returns the head of a classifier on what a backbone has pooled.
 *
 * Source: `keras_hub/src/models/bert/bert_text_classifier.py`, `albert_text_classifier.py`.
 */
export function pooledHead(dropout: string): HubHead {
  return {
    scores: "logits",
    features: "pooled_output",
    build: (net, config, features) => {
      const x = net.layer("Dropout", { rate: numberOf(config, "dropout", 0.1) }, features, dropout);
      const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
      return net.layer("Dense", { ...scores, kernel_initializer: truncatedNormal }, x, "logits");
    },
  };
}
