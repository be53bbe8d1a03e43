import type { JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import { indexOf } from "../operation-arguments.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, type HubLayer, type HubNetwork, numberOf, numbersOf } from "./hub-network.ts";
import { addSwinBlock, type SwinBlock } from "./swin-block.ts";
import { dropRates, elementOf, fixedImage, patchesOf, unflattened } from "./transformer-parts.ts";

const epsilon = 1e-5;

/**
 * Swin: attention within windows, which every second block shifts; between stages four neighbors become one token.
 *
 * Source: `keras_hub/src/models/swin_transformer/swin_transformer_backbone.py`, `swin_transformer_layers.py`.
 */
export const swinBackbone: HubBackbone = {
  className: "SwinTransformerBackbone",
  networks: "Swin",
  build: (net, config) => {
    fixedImage(net);
    const size = numberOf(config, "patch_size", 4);
    const width = numberOf(config, "embed_dim");
    const depths = numbersOf(config, "depths");
    const rates = dropRates(numberOf(config, "drop_path", 0.1), depths);
    const [, height = 0, breadth = 0] = net.input.shape as readonly number[];
    let x = net.composite("PatchEmbedding", "patch_embedding", net.input, (add, given) => {
      const patches = patchesOf(add, "proj", given, width, [size, size], {}, "conv_projection");
      return config["patch_norm"] === false
        ? patches
        : add("norm", "LayerNormalization", { epsilon }, patches, "norm");
    });
    x = net.layer("Dropout", { rate: numberOf(config, "dropout_rate", 0) }, x, "pos_drop");
    for (const stage of depths.keys()) {
      const rows = Math.floor(Math.floor(height / size) / 2 ** stage);
      const columns = Math.floor(Math.floor(breadth / size) / 2 ** stage);
      const blocks = (rates[stage] ?? []).map((dropPath, index) =>
        blockOf(config, { stage, rows, columns, dropPath, isShifted: index % 2 === 1 }),
      );
      x = addStage(net, x, stage, blocks, stage < depths.length - 1);
    }
    return net.layer("LayerNormalization", { epsilon }, x, "norm");
  },
};

/** Returns the arguments of a block. Windows are not larger than the image, and then not shifted. */
function blockOf(
  config: JsonObject,
  place: Pick<SwinBlock, "rows" | "columns" | "dropPath"> & {
    readonly stage: number;
    readonly isShifted: boolean;
  },
): SwinBlock {
  const { stage, rows, columns, dropPath, isShifted } = place;
  const given = numberOf(config, "window_size");
  const isWhole = Math.min(rows, columns) <= given;
  const width = numberOf(config, "embed_dim") * 2 ** stage;
  return {
    ...{ rows, columns, width, dropPath },
    heads: numbersOf(config, "num_heads")[stage] ?? 1,
    window: isWhole ? Math.min(rows, columns) : given,
    tableWindow: given,
    shift: isShifted && !isWhole ? Math.floor(given / 2) : 0,
    hidden: Math.trunc(width * numberOf(config, "mlp_ratio", 4)),
    useBias: config["qkv_bias"] !== false,
    dropout: numberOf(config, "dropout_rate", 0),
    attentionDropout: numberOf(config, "attention_dropout", 0),
  };
}

function addStage(
  net: HubNetwork,
  given: Output,
  stage: number,
  blocks: readonly SwinBlock[],
  isMerged: boolean,
): Output {
  return net.composite("SwinTransformerStage", `stage_${stage}`, given, (add, start) => {
    let x = start;
    for (const [index, block] of blocks.entries()) {
      const attribute = elementOf("blocks", "SwinTransformerBlock", index);
      x = add.composite(attribute, "SwinTransformerBlock", `blocks_${index}`, x, (inner, from) =>
        addSwinBlock(inner, from, block),
      );
    }
    const [first] = blocks;
    if (!isMerged || !first) return x;
    return add.composite("downsample", "PatchMerging", "downsample", x, (inner, from) =>
      merged(inner, from, first.rows, first.columns),
    );
  });
}

/** Joins each two by two tokens to one of twice the width. */
function merged(add: HubLayer, given: Output, rows: number, columns: number): Output {
  const width = Number(given.shape.at(-1));
  let x = unflattened(add, given, rows, columns);
  if (rows % 2 === 1 || columns % 2 === 1) {
    const margins = [pair(0), [0, rows % 2], [0, columns % 2], pair(0)];
    x = add.operation("Pad", { pad_width: margins, mode: "constant" }, [x]);
  }
  const corners = ([0, 1] as const).flatMap((column) =>
    ([0, 1] as const).map((row) => {
      const every = indexOf(null, [row, null, 2], [column, null, 2], null);
      return add.operation("GetItem", {}, [x, every]);
    }),
  );
  x = add(null, "Concatenate", { axis: -1 }, corners);
  x = add("norm", "LayerNormalization", { epsilon }, x, "norm");
  x = add("reduction", "Dense", { units: 2 * width, use_bias: false }, x, "reduction");
  return add(null, "Reshape", { target_shape: [-1, 2 * width] }, x);
}

function pair(size: number): readonly [number, number] {
  return [size, size];
}

/**
 * The head of Swin's classifier: the mean of the tokens and a Dense.
 *
 * Source: `keras_hub/src/models/swin_transformer/swin_transformer_image_classifier.py`.
 */
export const swinHead: HubHead = {
  scores: "predictions",
  build: (net, config, features) => {
    let x = net.operation("Mean", { axis: [1], keepdims: false }, [features]);
    x = net.layer("Dropout", { rate: numberOf(config, "dropout", 0) }, x, "output_dropout");
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", scores, x, "predictions");
  },
};
