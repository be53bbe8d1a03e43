import { TopologyError } from "../../errors.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone } from "./hub-class.ts";
import { type HubLayer, type HubNetwork, numberOf, numbersOf } from "./hub-network.ts";
import {
  addAttention,
  droppedPath,
  dropRates,
  fixedImage,
  flattened,
  unflattened,
} from "./transformer-parts.ts";

/**
 * MiT, the encoder of SegFormer: transformers on ever fewer and wider tokens, whose attention reads keys and values at a lower
 * resolution.
 *
 * Source: `keras_hub/src/models/mit/mit_backbone.py`, `mit_layers.py`.
 */
export const mitBackbone: HubBackbone = {
  className: "MiTBackbone",
  networks: "MiT",
  build: (net, config) => mitLevels(net, config).at(-1) ?? net.input,
};

/** Adds the network and returns the output of each level, `[batch, rows, columns, width]`. */
export function mitLevels(net: HubNetwork, config: HubNetwork["config"]): readonly Output[] {
  fixedImage(net);
  const widths = numbersOf(config, "hidden_dims");
  const listed = (name: string, level: number): number => numbersOf(config, `layerwise_${name}`)[level] ?? 1;
  const rates = dropRates(numberOf(config, "max_drop_path_rate"), numbersOf(config, "layerwise_depths"));
  const levels: Output[] = [];
  let x = net.input;
  for (let level = 0; level < numberOf(config, "num_layers"); level++) {
    const width = widths[level] ?? 0;
    const stride = listed("strides", level);
    const [rows, columns] = x.shape.slice(1, 3).map((size) => Math.trunc(Number(size) / stride));
    const patches = { size: listed("patch_sizes", level), stride, width };
    x = addPatches(net, x, patches, `patch_and_embed_${level}`);
    for (const [block, dropPath] of (rates[level] ?? []).entries()) {
      const shape = { width, heads: listed("num_heads", level), ratio: listed("sr_ratios", level) };
      x = addBlock(net, x, { ...shape, dropPath }, `hierarchical_encoder_${level}_${block}`);
    }
    x = net.layer("LayerNormalization", { epsilon: 1e-5 }, x);
    x = net.layer("Reshape", { target_shape: [rows ?? 0, columns ?? 0, -1] }, x, `output_level_${level}`);
    levels.push(x);
  }
  return levels;
}

function addPatches(
  net: HubNetwork,
  given: Output,
  { size, stride, width }: { readonly size: number; readonly stride: number; readonly width: number },
  own: string,
): Output {
  const margin = Math.floor(size / 2);
  return net.composite("OverlappingPatchingAndEmbedding", own, given, (add, start) => {
    let x = add("padding", "ZeroPadding2D", { padding: [margin, margin] }, start);
    const convolution = { filters: width, kernel_size: [size, size], strides: [stride, stride] };
    x = flattened(add, add("proj", "Conv2D", { ...convolution, padding: "valid" }, x));
    return add("norm", "LayerNormalization", { epsilon: 1e-5 }, x);
  });
}

interface Block {
  readonly width: number;
  readonly heads: number;
  /** Factor by which the resolution of keys and values is lower. */
  readonly ratio: number;
  readonly dropPath: number;
}

function addBlock(net: HubNetwork, given: Output, block: Block, own: string): Output {
  const { dropPath, width } = block;
  const side = Math.trunc(Math.sqrt(Number(given.shape[1])));
  if (side * side !== given.shape[1]) {
    throw new TopologyError(
      `${own}: expected a square of tokens, got ${given.shape[1]}. MiT of KerasHub takes square images.`,
      "shape",
    );
  }
  return net.composite("HierarchicalTransformerEncoder", own, given, (add, start) => {
    const normalized = add("norm1", "LayerNormalization", { epsilon: 1e-6 }, start);
    const attended = add.composite("attn", "SegFormerMultiheadAttention", "attn", normalized, (inner, from) =>
      attention(inner, from, block, side),
    );
    const x = add(null, "Add", {}, [start, droppedPath(add, attended, dropPath, "drop_path")]);
    const again = add("norm2", "LayerNormalization", { epsilon: 1e-6 }, x);
    const fed = add.composite("mlp", "MixFFN", "mlp", again, (inner, from) => {
      let y = inner("fc1", "Dense", { units: 4 * width }, from, "fc1");
      y = unflattened(inner, y, side, side);
      y = inner("dwconv", "DepthwiseConv2D", { kernel_size: [3, 3], padding: "same" }, y, "dwconv");
      y = inner.operation("Gelu", { approximate: true }, [flattened(inner, y)]);
      return inner("fc2", "Dense", { units: width }, y, "fc2");
    });
    return add(null, "Add", {}, [x, droppedPath(add, fed, dropPath, null)]);
  });
}

function attention(add: HubLayer, given: Output, { width, heads, ratio }: Block, side: number): Output {
  const query = add("q", "Dense", { units: width }, given, "q");
  let read = given;
  if (ratio > 1) {
    const convolution = { filters: width, kernel_size: [ratio, ratio], strides: [ratio, ratio] };
    read = add("sr", "Conv2D", convolution, unflattened(add, given, side, side), "sr");
    read = add("norm", "LayerNormalization", { epsilon: 1e-5 }, flattened(add, read), "norm");
  }
  const key = add("k", "Dense", { units: width }, read, "k");
  const value = add("v", "Dense", { units: width }, read, "v");
  const x = addAttention(add, [query, key, value], {
    heads,
    scale: Math.floor(width / heads) ** -0.5,
    scaleFirst: false,
    dropout: 0.1,
    dropoutAttribute: "dropout",
  });
  return add("proj_drop", "Dropout", { rate: 0.1 }, add("proj", "Dense", { units: width }, x, "proj"));
}
