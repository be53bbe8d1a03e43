import type { Output } from "../network-output.ts";
import { embedTexts, pooled } from "./bert.ts";
import type { HubBackbone } from "./hub-class.ts";
import { numberOf } from "./hub-network.ts";
import { encoderOf, inputNamed, textInputs, truncatedNormal } from "./transformer-encoder.ts";

/**
 * ALBERT, whose few blocks are called again and again.
 *
 * Source: `keras_hub/src/models/albert/albert_backbone.py`.
 */
export const albertBackbone: HubBackbone = {
  className: "AlbertBackbone",
  networks: "ALBERT",
  inputs: textInputs(true),
  build: (net, config) => {
    const width = numberOf(config, "hidden_dim");
    const embedded = embedTexts(
      net,
      { dropout: 0, ...config },
      numberOf(config, "vocabulary_size"),
      numberOf(config, "embedding_dim"),
    );
    const dense = { units: width, kernel_initializer: truncatedNormal };
    let x = net.layer("Dense", dense, embedded, "embedding_projection");
    const own = { dropout: 0, ...config };
    const encoder = encoderOf(net, own, { activation: "gelu_approximate", epsilon: 1e-12 });
    const groups = numberOf(config, "num_groups", 1);
    const inner = numberOf(config, "num_inner_repetitions", 1);
    for (let group = 0; group < groups; group++) {
      const blocks: Output[] = [];
      for (let call = 0; call < numberOf(config, "num_layers") / groups; call++) {
        for (let block = 0; block < inner; block++) {
          const made = blocks[block];
          const output = made
            ? net.again(made, [x, inputNamed(net, "padding_mask")])
            : encoder(x, `group_${group}_inner_layer_${block}`);
          blocks[block] = made ?? output;
          x = output;
        }
      }
    }
    return { pooled_output: pooled(net, x, width), sequence_output: x };
  },
};

/**
 * ELECTRA.
 *
 * Source: `keras_hub/src/models/electra/electra_backbone.py`.
 */
export const electraBackbone: HubBackbone = {
  className: "ElectraBackbone",
  networks: "ELECTRA",
  inputs: textInputs(true),
  build: (net, config) => {
    const [width, embedded] = [numberOf(config, "hidden_dim"), numberOf(config, "embedding_dim")];
    let x = embedTexts(net, config, numberOf(config, "vocab_size"), embedded);
    const dense = { units: width, kernel_initializer: truncatedNormal };
    if (width !== embedded) x = net.layer("Dense", dense, x, "embeddings_projection");
    const encoder = encoderOf(net, config, { activation: "gelu_approximate", epsilon: 1e-12 });
    for (let layer = 0; layer < numberOf(config, "num_layers"); layer++) {
      x = encoder(x, `transformer_layer_${layer}`);
    }
    return { pooled_output: pooled(net, x, width), sequence_output: x };
  },
};
