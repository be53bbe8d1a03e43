/** @file Parts that the vision transformers of KerasHub have in common. */
import type { JsonObject } from "../../checkpoint.ts";
import { snakeCase } from "../../topology/naming.ts";
import { indexOf, type Output } from "../network.ts";
import type { HubLayer } from "./hub-network.ts";

/** Returns the attribute of the n-th layer in a list of layers of one class: `encoder_layers/vi_t_encoder_block_1`. */
export function elementOf(attribute: string, className: string, position: number): string {
  return `${attribute}/${snakeCase(className)}${position === 0 ? "" : `_${position}`}`;
}

/** Adds the convolution that turns patches of an image into tokens: `[batch, tokens, width]`. */
export function patchesOf(
  add: HubLayer,
  attribute: string,
  given: Output,
  width: number,
  size: readonly number[],
  own: JsonObject = {},
): Output {
  const convolution = { filters: width, kernel_size: [...size], strides: [...size], ...own };
  return flattened(add, add(attribute, "Conv2D", convolution, given, attribute));
}

/** Returns `[batch, rows, columns, width]` as tokens, `[batch, rows * columns, width]`. */
export function flattened(add: HubLayer, given: Output): Output {
  const [, rows = 0, columns = 0, width = 0] = given.shape as readonly number[];
  return add(null, "Reshape", { target_shape: [rows * columns, width] }, given);
}

/** Returns tokens as `[batch, rows, columns, width]`. */
export function unflattened(add: HubLayer, given: Output, rows: number, columns: number): Output {
  return add(null, "Reshape", { target_shape: [rows, columns, given.shape.at(-1) ?? 0] }, given);
}

/** Returns the tokens with others before them. */
export function tokensBefore(add: HubLayer, given: Output, others: readonly Output[]): Output {
  return add(null, "Concatenate", { axis: 1 }, [...others, given]);
}

/** A transformer block that normalizes before its parts. */
export interface TransformerBlock {
  readonly heads: number;
  readonly width: number;
  readonly epsilon: number;
  readonly useBias: boolean;
  readonly attentionDropout: number;
  /** Returns what is added to the block's input, given the result of the attention. */
  readonly attended: (given: Output) => Output;
  /** Returns what is added to that sum, given its normalization. */
  readonly feedForward: (given: Output) => Output;
}

/** Adds a transformer block under the attributes of ViT and DeiT. */
export function addTransformerBlock(add: HubLayer, given: Output, block: TransformerBlock): Output {
  const { heads, width, epsilon, useBias } = block;
  const normalized = add("layer_norm_1", "LayerNormalization", { epsilon }, given, "ln_1");
  const attention = {
    num_heads: heads,
    key_dim: Math.floor(width / heads),
    use_bias: useBias,
    dropout: block.attentionDropout,
  };
  const attended = add("mha", "MultiHeadAttention", attention, [normalized, normalized], "mha");
  const sum = add(null, "Add", {}, [block.attended(attended), given]);
  const again = add("layer_norm_2", "LayerNormalization", { epsilon }, sum, "ln_2");
  return add(null, "Add", {}, [sum, block.feedForward(again)]);
}

/** Returns a range of the tokens. */
export function tokensIn(add: HubLayer, given: Output, start: number | null, stop: number | null): Output {
  return add.operation("GetItem", {}, [given, indexOf(null, [start, stop])]);
}
