import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone } from "./hub-class.ts";
import { type HubLayer, numberOf, numbersOf } from "./hub-network.ts";
import { elementOf, fixedImage, patchesOf, tokensBefore, tokensIn } from "./transformer-parts.ts";

const epsilon = 1e-6;

/**
 * DINOv2: a ViT whose branches are scaled, with register tokens in some of its presets.
 *
 * Source: `keras_hub/src/models/dinov2/dinov2_backbone.py`, `dinov2_layers.py`.
 */
export const dinov2Backbone: HubBackbone = {
  className: "DINOV2Backbone",
  networks: "DINOv2",
  build: (net, config) => {
    fixedImage(net);
    if (numberOf(config, "drop_path_rate", 0) > 0) {
      throw new TopologyError(
        `${String(config["name"])}: drop_path_rate: expected 0, got ${String(config["drop_path_rate"])}. KerasHub cannot train with another; load the preset with drop_path_rate=0.`,
        "unsupported",
      );
    }
    const x = net.composite("DINOV2Embedding", "embeddings", net.input, (add, given) =>
      embedded(add, given, config),
    );
    const encoded = net.composite("DINOV2Encoder", "encoder", x, (add, given) => {
      let y = given;
      for (let layer = 0; layer < numberOf(config, "num_layers"); layer++) {
        const attribute = elementOf("layers", "DINOV2Layer", layer);
        y = add.composite(attribute, "DINOV2Layer", `layers_${layer}`, y, (inner, from) =>
          addBlock(inner, from, config),
        );
      }
      return y;
    });
    return net.layer("LayerNormalization", { epsilon }, encoded, "layernorm");
  },
};

/** Adds patches, the class token, positions and register tokens. */
function embedded(add: HubLayer, given: Output, config: JsonObject): Output {
  const width = numberOf(config, "hidden_dim");
  const size = numberOf(config, "patch_size");
  const registers = numberOf(config, "num_register_tokens", 0);
  const hasMask = config["use_mask_token"] !== false;
  const patches = add.composite(
    "patch_embeddings",
    "DINOV2PatchEmbedding",
    "patch_embeddings",
    given,
    (inner, from) => patchesOf(inner, "projection", from, width, [size, size]),
  );
  let token = add.variable({ name: "cls_token", index: 0, shape: [1, 1, width] }, patches);
  let index = 1;
  if (hasMask) {
    // Nothing here masks patches: the token is kept as it is.
    const own = { name: "mask_token", index: index++, shape: [1, width], isTrainable: false };
    const none = add.operation("Multiply", {}, [add.variable(own, patches), 0]);
    token = add(null, "Add", {}, [token, none]);
  }
  const firstRegister = registers > 0 ? index++ : index;
  let x = tokensBefore(add, patches, [token]);
  x = add(null, "Add", {}, [x, positions(add, x, config, index)]);
  if (registers > 0) {
    const shape = [1, registers, width];
    const all = add.variable({ name: "register_tokens", index: firstRegister, shape }, x);
    const parts = [tokensIn(add, x, null, 1), all, tokensIn(add, x, 1, null)];
    x = add(null, "Concatenate", { axis: 1 }, parts);
  }
  return add("dropout", "Dropout", { rate: numberOf(config, "dropout_rate", 0) }, x, "dropout");
}

/**
 * Returns the embeddings of the positions. A file has those of the images that DINOv2 was trained on, and KerasHub resizes them to the
 * grid of the model's images when it reads the file. What it then trains is the resized table, and here the file's own.
 */
function positions(add: HubLayer, tokens: Output, config: JsonObject, interpolated: number): Output {
  const size = numberOf(config, "patch_size");
  const width = numberOf(config, "hidden_dim");
  const sideOf = (name: string): number => Math.floor((numbersOf(config, name)[0] ?? 0) / size);
  const [source, target] = [
    "position_embedding_shape" in config ? sideOf("position_embedding_shape") : Math.floor(518 / size),
    sideOf("image_shape"),
  ];
  const shape = [1, source * source + 1, width];
  const index = interpolated + 1;
  if (source === target) {
    const copies = [interpolated];
    const also = ["position_embeddings"];
    return add.variable({ name: "interpolated_position_embeddings", index, shape, copies, also }, tokens);
  }
  const also = ["interpolated_position_embeddings"];
  const table = add.variable({ name: "position_embeddings", index, shape, also }, tokens);
  const grid = add(null, "Reshape", { target_shape: [source, source, width] }, tokensIn(add, table, 1, null));
  const antialias = config["antialias_in_interpolation"] === true;
  const own = { size: [target, target], interpolation: "bicubic", antialias, data_format: "channels_last" };
  const resized = add.operation("Resize", own, [grid]);
  const rest = add(null, "Reshape", { target_shape: [target * target, width] }, resized);
  return add(null, "Concatenate", { axis: 1 }, [tokensIn(add, table, null, 1), rest]);
}

function addBlock(add: HubLayer, given: Output, config: JsonObject): Output {
  const width = numberOf(config, "hidden_dim");
  const heads = numberOf(config, "num_heads");
  const rate = numberOf(config, "dropout_rate", 0);
  let x = add("norm1", "LayerNormalization", { epsilon }, given, "norm1");
  x = add.composite("attention", "DINOV2Attention", "attention", x, (inner, from) => {
    const own = { num_heads: heads, key_dim: Math.floor(width / heads), dropout: rate };
    const attended = inner("attention", "MultiHeadAttention", own, [from, from], "attention");
    return inner("dropout", "Dropout", { rate }, attended, "dropout");
  });
  const sum = add(null, "Add", {}, [scaled(add, x, "layer_scale1"), given]);
  const again = add("norm2", "LayerNormalization", { epsilon }, sum, "norm2");
  return add(null, "Add", {}, [scaled(add, feedForward(add, again, config), "layer_scale2"), sum]);
}

function scaled(add: HubLayer, given: Output, name: string): Output {
  return add.composite(name, "DINOV2LayerScale", name, given, (inner, from) => {
    const factors = inner.variable({ name: "lambda1", index: 0, shape: [Number(from.shape.at(-1))] }, from);
    return inner(null, "Multiply", {}, [from, factors]);
  });
}

function feedForward(add: HubLayer, given: Output, config: JsonObject): Output {
  const units = numberOf(config, "hidden_dim");
  const hidden = numberOf(config, "intermediate_dim");
  if (config["use_swiglu_ffn"] !== true) {
    return add.composite("mlp", "DINOV2MLP", "mlp", given, (inner, from) => {
      const x = inner("fc1", "Dense", { units: hidden, activation: "gelu" }, from, "fc1");
      return inner("fc2", "Dense", { units }, x, "fc2");
    });
  }
  const width = Math.floor((Math.trunc((hidden * 2) / 3) + 7) / 8) * 8;
  return add.composite("mlp", "DINOV2SwiGLUFFN", "mlp", given, (inner, from) => {
    const both = inner("weights_in", "Dense", { units: 2 * width }, from, "weights_in");
    const halves = inner.operations("Split", { indices_or_sections: 2, axis: -1 }, [both]);
    const [gate, value] = halves as readonly [Output, Output];
    const gated = inner(null, "Multiply", {}, [
      inner(null, "Activation", { activation: "silu" }, gate),
      value,
    ]);
    return inner("weights_out", "Dense", { units }, gated, "weights_out");
  });
}
