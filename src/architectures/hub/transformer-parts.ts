/** @file Parts that the vision transformers of KerasHub have in common. */
import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { snakeCase } from "../../topology/naming.ts";
import type { Output } from "../network-output.ts";
import { indexOf } from "../operation-arguments.ts";
import type { HubLayer, HubNetwork } from "./hub-network.ts";

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
  name: string = attribute,
): Output {
  const convolution = { filters: width, kernel_size: [...size], strides: [...size], ...own };
  return flattened(add, add(attribute, "Conv2D", convolution, given, name));
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

/** Arguments of an attention on queries, keys and values that layers of their own have made. */
export interface Heads {
  readonly heads: number;
  readonly scale: number;
  /** True if the queries are scaled, false if the scores are. */
  readonly scaleFirst: boolean;
  readonly dropout: number;
  /** The attribute that holds the dropout of the scores. */
  readonly dropoutAttribute: string;
  /** Adds to the scores, `[batch, …, heads, queries, keys]`. */
  readonly biased?: (scores: Output) => Output;
}

/** Adds the attention of queries on keys and values, each `[batch, …, tokens, width]`, and returns the first's shape. */
export function addAttention(
  add: HubLayer,
  [query, key, value]: readonly Output[],
  { heads, scale, scaleFirst, dropout, dropoutAttribute, biased = (scores) => scores }: Heads,
): Output {
  if (!query || !key || !value) throw new Error("attention: expected queries, keys and values");
  const rank = query.shape.length + 1;
  const outer = Array.from({ length: rank - 3 }, (_, axis) => axis);
  const headsFirst = [...outer, rank - 2, rank - 3, rank - 1];
  const inHeads = (x: Output, axes: readonly number[]): Output => {
    const inner = x.shape.slice(1, -1) as readonly number[];
    const width = Number(x.shape.at(-1)) / heads;
    const split = add(null, "Reshape", { target_shape: [...inner, heads, width] }, x);
    return add.operation("Transpose", { axes: [...axes] }, [split]);
  };
  const scaled = (x: Output): Output => add.operation("Multiply", {}, [x, scale]);
  const queries = inHeads(query, headsFirst);
  const keys = inHeads(key, [...outer, rank - 2, rank - 1, rank - 3]);
  const values = inHeads(value, headsFirst);
  const product = add.operation("Matmul", {}, [scaleFirst ? scaled(queries) : queries, keys]);
  const scores = biased(scaleFirst ? product : scaled(product));
  const shares = add(null, "Softmax", { axis: -1 }, scores);
  const kept = add(dropoutAttribute, "Dropout", { rate: dropout }, shares);
  const attended = add.operation("Matmul", {}, [kept, values]);
  const back = add.operation("Transpose", { axes: headsFirst }, [attended]);
  return add(null, "Reshape", { target_shape: [...query.shape.slice(1)] }, back);
}

/** Adds the drop of whole samples from a branch, for which there is a layer only where the rate is above zero. */
export function droppedPath(add: HubLayer, given: Output, rate: number, attribute: string | null): Output {
  if (rate === 0) return given;
  const noise = [null, ...given.shape.slice(1).map(() => 1)];
  return add(attribute, "Dropout", { rate, noise_shape: noise }, given);
}

/** Returns the rates at which the blocks of each stage are dropped, which rise evenly to `last`. */
export function dropRates(last: number, depths: readonly number[]): readonly (readonly number[])[] {
  const count = depths.reduce((sum, depth) => sum + depth, 0);
  let done = 0;
  return depths.map((depth) =>
    Array.from({ length: depth }, () => (count > 1 ? (last * done++) / (count - 1) : 0)),
  );
}

/** Requires images of one size. @throws {TopologyError} naming the model, where a size is free. */
export function fixedImage({ input, config }: HubNetwork): void {
  if (input.shape.slice(1).every((size) => size !== null)) return;
  throw new TopologyError(
    `${String(config["name"])}: image_shape: expected a height and a width, got ${JSON.stringify(input.shape.slice(1))}. Set image_shape when the model is made.`,
    "malformed",
  );
}
