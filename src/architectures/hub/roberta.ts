import { normalizedAndDropped } from "./bert.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, numberOf } from "./hub-network.ts";
import {
  embedTokensAndPositions,
  encoderOf,
  firstToken,
  inputNamed,
  textInputs,
  truncatedNormal,
} from "./transformer-encoder.ts";

/** Returns an encoder of tokens and positions, without segments. */
function encoderBackbone(
  className: string,
  {
    networks,
    embeddings,
    epsilon,
  }: { readonly networks: string; readonly embeddings: string; readonly epsilon: number },
): HubBackbone {
  return {
    className,
    networks,
    inputs: textInputs(false),
    build: (net, config) => {
      const width = numberOf(config, "hidden_dim");
      const embedded = embedTokensAndPositions(net, inputNamed(net, "token_ids"), embeddings, {
        tokens: { rows: numberOf(config, "vocabulary_size"), width },
        positions: { rows: numberOf(config, "max_sequence_length", 512), width },
      });
      let x = normalizedAndDropped(net, config, embedded, epsilon);
      const encoder = encoderOf(net, config, { activation: "gelu", epsilon });
      for (let layer = 0; layer < numberOf(config, "num_layers"); layer++) {
        x = encoder(x, `transformer_layer_${layer}`);
      }
      return x;
    },
  };
}

/** RoBERTa (`keras_hub/src/models/roberta/roberta_backbone.py`). */
export const robertaBackbone: HubBackbone = encoderBackbone("RobertaBackbone", {
  networks: "RoBERTa",
  embeddings: "embeddings",
  epsilon: 1e-5,
});

/** DistilBERT (`keras_hub/src/models/distil_bert/distil_bert_backbone.py`). */
export const distilBertBackbone: HubBackbone = encoderBackbone("DistilBertBackbone", {
  networks: "DistilBERT",
  embeddings: "token_and_position_embedding",
  epsilon: 1e-12,
});

/** The head of RoBERTa's classifier (`keras_hub/src/models/roberta/roberta_text_classifier.py`). */
export const robertaHead: HubHead = {
  scores: "logits",
  build: (net, config, features) => {
    const rate = numberOf(config, "dropout", 0);
    let x = net.layer("Dropout", { rate }, firstToken(net, features), "pooled_dropout");
    const units = numberOf(config, "hidden_dim", features.shape[2] ?? 0);
    x = net.layer("Dense", { units, activation: "tanh" }, x, "pooled_dense");
    x = net.layer("Dropout", { rate }, x, "output_dropout");
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", { ...scores, kernel_initializer: truncatedNormal }, x, "logits");
  },
};

/** The head of DistilBERT's classifier (`keras_hub/src/models/distil_bert/distil_bert_text_classifier.py`). */
export const distilBertHead: HubHead = {
  scores: "logits",
  build: (net, config, features) => {
    const units = numberOf(config, "hidden_dim", features.shape[2] ?? 0);
    const dense = { kernel_initializer: truncatedNormal };
    let x = net.layer(
      "Dense",
      { units, activation: "relu", ...dense },
      firstToken(net, features),
      "pooled_dense",
    );
    x = net.layer("Dropout", { rate: numberOf(config, "dropout", 0.2) }, x, "output_dropout");
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", { ...scores, ...dense }, x, "logits");
  },
};
