import type { JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import { indexOf } from "../operation-arguments.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, type HubLayer, type HubNetwork, numberOf, sizesOf } from "./hub-network.ts";
import { addTransformerBlock, elementOf, patchesOf, tokensBefore } from "./transformer-parts.ts";

/**
 * ViT: patches as tokens behind a class token, and transformer blocks.
 *
 * Source: `keras_hub/src/models/vit/vit_backbone.py`, `vit_layers.py`.
 */
export const vitBackbone: HubBackbone = {
  className: "ViTBackbone",
  networks: "ViT",
  build: (net, config) => {
    const width = numberOf(config, "hidden_dim");
    const name = "vit_patching_and_embedding";
    const x = net.composite("ViTPatchingAndEmbedding", name, net.input, (add, given) => {
      const convolution = { use_bias: config["use_patch_bias"] !== false };
      let y = patchesOf(add, "patch_embedding", given, width, sizesOf(config, "patch_size"), convolution);
      if (config["use_class_token"] !== false) {
        const token = { name: "class_token", index: 0, shape: [1, 1, width] };
        y = tokensBefore(add, y, [add.variable(token, y)]);
      }
      return withPositions(add, y);
    });
    return encoder(net, x, config);
  },
};

/** Adds an Embedding of the positions to the tokens. */
function withPositions(add: HubLayer, given: Output): Output {
  const [, count = null, width = null] = given.shape;
  const own = { input_dim: count, output_dim: width };
  const embedding = add("position_embedding", "Embedding", own, add.positions(given), "position_embedding");
  return add.operation("Add", {}, [given, embedding]);
}

function encoder(net: HubNetwork, given: Output, config: JsonObject): Output {
  const rate = numberOf(config, "dropout_rate", 0);
  const epsilon = numberOf(config, "layer_norm_epsilon", 1e-6);
  return net.composite("ViTEncoder", "vit_encoder", given, (add, start) => {
    let x = add("dropout", "Dropout", { rate }, start, "dropout");
    for (let block = 0; block < numberOf(config, "num_layers"); block++) {
      const attribute = elementOf("encoder_layers", "ViTEncoderBlock", block);
      const name = `transformer_block_${block + 1}`;
      x = add.composite(attribute, "ViTEncoderBlock", name, x, (inner, from) =>
        addTransformerBlock(inner, from, {
          heads: numberOf(config, "num_heads"),
          width: numberOf(config, "hidden_dim"),
          epsilon,
          useBias: config["use_mha_bias"] !== false,
          attentionDropout: numberOf(config, "attention_dropout", 0),
          attended: (y) => inner("dropout", "Dropout", { rate }, y, "dropout"),
          feedForward: (y) => feedForward(inner, y, config),
        }),
      );
    }
    return add("layer_norm", "LayerNormalization", { epsilon }, x, "ln");
  });
}

function feedForward(add: HubLayer, given: Output, config: JsonObject): Output {
  const rate = numberOf(config, "dropout_rate", 0);
  const bias = { use_bias: config["use_mlp_bias"] !== false };
  return add.composite("mlp", "MLP", "mlp", given, (inner, from) => {
    const hidden = { units: numberOf(config, "mlp_dim"), activation: "gelu", ...bias };
    let x = inner("dense_1", "Dense", hidden, from, "dense_1");
    x = inner("dropout", "Dropout", { rate }, x, "dropout");
    x = inner("dense_2", "Dense", { units: numberOf(config, "hidden_dim"), ...bias }, x, "dense_2");
    return inner(null, "Dropout", { rate }, x, "dropout_1");
  });
}

/**
 * The head of ViT's classifier: the class token or the mean of the tokens, and a Dense.
 *
 * Source: `keras_hub/src/models/vit/vit_image_classifier.py`.
 */
export const vitHead: HubHead = {
  scores: "predictions",
  build: (net, config, features) => {
    let x = pooledTokens(net, config, features);
    const width = config["intermediate_dim"];
    if (typeof width === "number") {
      x = net.layer("Dense", { units: width, activation: "tanh" }, x, "pre_logits");
    }
    x = net.layer("Dropout", { rate: numberOf(config, "dropout", 0) }, x, "output_dropout");
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", scores, x, "predictions");
  },
};

/** Returns the first token or the mean of the tokens, as the argument `pooling` says. */
export function pooledTokens(net: HubNetwork, config: JsonObject, given: Output): Output {
  const pooling = config["pooling"] ?? "token";
  if (pooling === "gap") return net.operation("Mean", { axis: [1], keepdims: false }, [given]);
  return pooling === "token" ? net.operation("GetItem", {}, [given, indexOf(null, 0)]) : given;
}
