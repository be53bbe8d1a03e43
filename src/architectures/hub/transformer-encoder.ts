/** @file The parts that KerasHub's text encoders are made of, from layers of Keras. */
import type { JsonObject } from "../../checkpoint.ts";
import { classKey } from "../../topology/hub-keys.ts";
import type { NetworkInput, Output } from "../network-output.ts";
import { indexOf } from "../operation-arguments.ts";
import type { HubLayer, HubNetwork } from "./hub-network.ts";
import { numberOf } from "./hub-network.ts";

/** The inputs of an encoder of texts, by name in Keras's order. */
export function textInputs(hasSegments: boolean): readonly NetworkInput[] {
  const names = ["padding_mask", ...(hasSegments ? ["segment_ids"] : []), "token_ids"];
  return names.map((name) => ({ name, shape: [null, null], dtype: "int32" }));
}

/** Returns an input by its name. */
export function inputNamed({ inputs }: HubNetwork, name: string): Output {
  const found = inputs.find(({ layer }) => layer === name);
  if (!found) throw new Error(`${name}: expected an input of that name`);
  return found;
}

/** The initializer of KerasHub's encoders. */
export const truncatedNormal: JsonObject = {
  module: "keras.initializers",
  class_name: "TruncatedNormal",
  config: { mean: 0.0, stddev: 0.02, seed: null },
  registered_name: null,
};

/** Takes the vector of the first token of each text. */
export function firstToken(net: HubNetwork, sequence: Output): Output {
  return net.operation("GetItem", {}, [sequence, indexOf(null, 0, null)]);
}

/** The sizes of a table of vectors. */
export interface EmbeddingSizes {
  readonly rows: number;
  readonly width: number;
}

/** Returns the config of an Embedding with the initializer of KerasHub's encoders. */
export function embedding({ rows, width }: EmbeddingSizes): JsonObject {
  return { input_dim: rows, output_dim: width, embeddings_initializer: truncatedNormal };
}

/** Adds the embedding of tokens, KerasHub's ReversibleEmbedding. */
export function embedTokens(net: HubNetwork, ids: Output, sizes: EmbeddingSizes): Output {
  return net.layer("Embedding", embedding(sizes), ids, "token_embedding", {
    [classKey]: "ReversibleEmbedding",
  });
}

/** Adds the position of each token, counted from 0 in every text. */
function positionsOf(ids: Output, operation: HubNetwork["operation"]): Output {
  const counted = operation("Cumsum", { axis: 1 }, [operation("OnesLike", {}, [ids])]);
  return operation("Subtract", {}, [counted, 1]);
}

/** Adds the embedding of positions, KerasHub's PositionEmbedding. */
export function embedPositions(net: HubNetwork, ids: Output, sizes: EmbeddingSizes): Output {
  return net.layer("Embedding", embedding(sizes), positionsOf(ids, net.operation), "position_embedding", {
    [classKey]: "PositionEmbedding",
  });
}

/**
 * Adds the sum of the embeddings of tokens and positions.
 *
 * Source: `keras_hub/src/layers/modeling/token_and_position_embedding.py`.
 */
export function embedTokensAndPositions(
  net: HubNetwork,
  ids: Output,
  name: string,
  { tokens, positions }: { readonly tokens: EmbeddingSizes; readonly positions: EmbeddingSizes },
): Output {
  return net.composite("TokenAndPositionEmbedding", name, ids, (add, given) => {
    const embedded = add("token_embedding", "Embedding", embedding(tokens), given, "token_embedding");
    const counted = positionsOf(given, add.operation);
    const placed = add(
      "position_embedding",
      "Embedding",
      embedding(positions),
      counted,
      "position_embedding",
    );
    return add(null, "Add", {}, [embedded, placed], "add");
  });
}

/** The arguments of a TransformerEncoder that differ between families. */
export interface EncoderSettings {
  readonly activation: "gelu" | "gelu_approximate";
  readonly epsilon: number;
}

/**
 * Returns a TransformerEncoder of an encoder of texts: attention of all tokens to those that the mask leaves, then two Dense layers, each
 * with its input added and normalized behind it.
 *
 * Source: `keras_hub/src/layers/modeling/transformer_encoder.py`.
 */
export function encoderOf(
  net: HubNetwork,
  config: HubNetwork["config"],
  { activation, epsilon }: EncoderSettings,
): (given: Output, name: string) => Output {
  const heads = numberOf(config, "num_heads");
  const width = numberOf(config, "intermediate_dim");
  const hidden = numberOf(config, "hidden_dim");
  const dropout = numberOf(config, "dropout", 0.1);
  const attention: JsonObject = {
    num_heads: heads,
    key_dim: Math.floor(hidden / heads),
    dropout,
    kernel_initializer: truncatedNormal,
  };
  const dense = (units: number): JsonObject => ({ units, kernel_initializer: truncatedNormal });
  return (given, name) =>
    net.composite(
      "TransformerEncoder",
      name,
      [given, inputNamed(net, "padding_mask")],
      (add, start, _, inputs) => {
        const [, mask] = inputs as [Output, Output];
        const visible = add.operation("ExpandDims", { axis: 1 }, [mask]);
        let x = add(
          "_self_attention_layer",
          "MultiHeadAttention",
          attention,
          [start, start],
          "self_attention_layer",
          { attention_mask: visible },
        );
        x = residual(add, x, start, "self_attention", dropout);
        const normalization = { axis: -1, epsilon };
        const [first, second] = ["self_attention_layer_norm", "feedforward_layer_norm"] as const;
        const between = add(`_${first}`, "LayerNormalization", normalization, x, first);
        const inner = "feedforward_intermediate_dense";
        const isExact = activation === "gelu";
        x = add(`_${inner}`, "Dense", { ...dense(width), ...(isExact && { activation }) }, between, inner);
        if (!isExact) x = add.operation("Gelu", { approximate: true }, [x]);
        x = add("_feedforward_output_dense", "Dense", dense(hidden), x, "feedforward_output_dense");
        x = residual(add, x, between, "feedforward", dropout);
        return add(`_${second}`, "LayerNormalization", normalization, x, second);
      },
    );
}

/** Adds a dropout behind a part of a block, and the part's input to its result. */
export function residual(add: HubLayer, x: Output, before: Output, block: string, rate: number): Output {
  const dropped = add(`_${block}_dropout`, "Dropout", { rate }, x, `${block}_dropout`);
  return add(null, "Add", {}, [dropped, before], `${block}_add`);
}
