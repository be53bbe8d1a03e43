import type { JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, type HubLayer, numberOf, sizesOf } from "./hub-network.ts";
import { addTransformerBlock, elementOf, patchesOf, tokensBefore } from "./transformer-parts.ts";
import { pooledTokens } from "./vit.ts";

/**
 * DeiT: a ViT with a second token, which was trained by distillation.
 *
 * Source: `keras_hub/src/models/deit/deit_backbone.py`, `deit_layers.py`.
 */
export const deitBackbone: HubBackbone = {
  className: "DeiTBackbone",
  networks: "DeiT",
  build: (net, config) => {
    const rate = numberOf(config, "dropout_rate", 0);
    const width = numberOf(config, "hidden_dim");
    const epsilon = numberOf(config, "layer_norm_epsilon", 1e-6);
    const x = net.composite("DeiTEmbeddings", "deit_patching_and_embedding", net.input, (add, given) => {
      const patches = patchesOf(add, "patch_embedding", given, width, sizesOf(config, "patch_size"));
      const tokens = ["class_token", "distillation_token"].map((name, index) =>
        add.variable({ name, index, shape: [1, 1, width] }, patches),
      );
      const all = tokensBefore(add, patches, tokens);
      const shape = [1, all.shape[1] ?? 0, width];
      const positions = add.variable({ name: "position_embedding", index: 2, shape }, all);
      return add("dropout", "Dropout", { rate }, add(null, "Add", {}, [all, positions]), "dropout");
    });
    return net.composite("DeiTEncoder", "deit_encoder", x, (add, start) => {
      let y = start;
      for (let block = 0; block < numberOf(config, "num_layers"); block++) {
        const attribute = elementOf("encoder_layers", "DeiTEncoderBlock", block);
        const name = `transformer_block_${block + 1}`;
        y = add.composite(attribute, "DeiTEncoderBlock", name, y, (inner, from) =>
          addTransformerBlock(inner, from, {
            heads: numberOf(config, "num_heads"),
            width,
            epsilon,
            useBias: config["use_mha_bias"] !== false,
            attentionDropout: numberOf(config, "attention_dropout", 0),
            attended: (given) => given,
            feedForward: (given) => feedForward(inner, given, config),
          }),
        );
      }
      return add("layer_norm", "LayerNormalization", { epsilon }, y, "ln");
    });
  },
};

function feedForward(add: HubLayer, given: Output, config: JsonObject): Output {
  const hidden = { units: numberOf(config, "intermediate_dim"), activation: "gelu" };
  const x = add.composite("mlp", "DeiTIntermediate", "mlp", given, (inner, from) =>
    inner("dense", "Dense", hidden, from, "dense"),
  );
  return add.composite("output_layer", "DeiTOutput", "output_layer", x, (inner, from) => {
    const y = inner("dense", "Dense", { units: numberOf(config, "hidden_dim") }, from, "output");
    return inner("dropout", "Dropout", { rate: numberOf(config, "dropout_rate", 0) }, y, "dropout");
  });
}

/**
 * The head of DeiT's classifier, which leaves its argument `dropout` unused.
 *
 * Source: `keras_hub/src/models/deit/deit_image_classifier.py`.
 */
export const deitHead: HubHead = {
  scores: "predictions",
  build: (net, config, features) => {
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", scores, pooledTokens(net, config, features), "predictions");
  },
};
