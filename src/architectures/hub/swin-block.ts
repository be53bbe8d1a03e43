/** @file The block of Swin: attention within windows, and a feed-forward network. */
import type { Output } from "../network-output.ts";
import { floatArray, indexOf, integerArray } from "../operation-arguments.ts";
import type { HubLayer } from "./hub-network.ts";
import { addAttention, droppedPath, type Heads, unflattened } from "./transformer-parts.ts";

export interface SwinBlock {
  /** Size of the image in tokens. */
  readonly rows: number;
  readonly columns: number;
  readonly width: number;
  readonly heads: number;
  /** Size of a window in tokens. */
  readonly window: number;
  /** Size of the window that the table of biases is made for. */
  readonly tableWindow: number;
  /** Tokens by which windows are shifted; 0 where they are not. */
  readonly shift: number;
  readonly hidden: number;
  readonly useBias: boolean;
  readonly dropout: number;
  readonly attentionDropout: number;
  readonly dropPath: number;
}

const epsilon = 1e-5;

/** Adds a block to `[batch, rows * columns, width]`. */
export function addSwinBlock(add: HubLayer, given: Output, block: SwinBlock): Output {
  const { rows, columns, width, shift, dropPath } = block;
  let x = add("norm1", "LayerNormalization", { epsilon }, given, "norm1");
  x = unflattened(add, x, rows, columns);
  if (shift > 0) x = rolled(add, x, -shift);
  const windows = partitioned(add, x, block.window);
  const attended = add.composite("attn", "WindowAttention", "attn", windows, (inner, from) =>
    windowAttention(inner, from, block),
  );
  x = joined(add, attended, block);
  if (shift > 0) x = rolled(add, x, shift);
  if (rows % block.window !== 0 || columns % block.window !== 0) {
    x = add.operation("GetItem", {}, [x, indexOf(null, [null, rows], [null, columns], null)]);
  }
  x = add(null, "Reshape", { target_shape: [rows * columns, width] }, x);
  x = add(null, "Add", {}, [given, droppedPath(add, x, dropPath, "drop_path")]);
  const normalized = add("norm2", "LayerNormalization", { epsilon }, x, "norm2");
  const fed = add.composite("mlp", "Mlp", "mlp", normalized, (inner, from) =>
    feedForward(inner, from, block),
  );
  return add(null, "Add", {}, [x, droppedPath(add, fed, dropPath, null)]);
}

function rolled(add: HubLayer, given: Output, shift: number): Output {
  return add.operation("Roll", { shift: [shift, shift], axis: [1, 2] }, [given]);
}

function feedForward(add: HubLayer, given: Output, { hidden, width, dropout }: SwinBlock): Output {
  const dropped = (x: Output, attribute: string | null): Output =>
    dropout > 0 ? add(attribute, "Dropout", { rate: dropout }, x) : x;
  let x = add("fc1", "Dense", { units: hidden }, given, "fc1");
  x = dropped(add(null, "Activation", { activation: "gelu" }, x), "dropout");
  return dropped(add("fc2", "Dense", { units: width }, x, "fc2"), null);
}

/** Returns the number of windows along an axis, the last of which may be filled up. */
function windowsAlong(size: number, window: number): number {
  return Math.ceil(size / window);
}

/** Cuts `[batch, rows, columns, width]` into windows, filled up with zeros: `[batch, windows, tokens, width]`. */
function partitioned(add: HubLayer, given: Output, window: number): Output {
  const [, rows = 0, columns = 0, width = 0] = given.shape as readonly number[];
  const [down, across] = [windowsAlong(rows, window), windowsAlong(columns, window)];
  let x = given;
  if (rows % window !== 0 || columns % window !== 0) {
    const margins = [
      [0, 0],
      [0, down * window - rows],
      [0, across * window - columns],
      [0, 0],
    ];
    x = add.operation("Pad", { pad_width: margins, mode: "constant" }, [x]);
  }
  x = add(null, "Reshape", { target_shape: [down, window, across, window, width] }, x);
  x = add.operation("Transpose", { axes: [0, 1, 3, 2, 4, 5] }, [x]);
  return add(null, "Reshape", { target_shape: [down * across, window * window, width] }, x);
}

/** Returns windows as `[batch, rows, columns, width]`, with what filled them up. */
function joined(add: HubLayer, given: Output, { rows, columns, window, width }: SwinBlock): Output {
  const [down, across] = [windowsAlong(rows, window), windowsAlong(columns, window)];
  let x = add(null, "Reshape", { target_shape: [down, across, window, window, width] }, given);
  x = add.operation("Transpose", { axes: [0, 1, 3, 2, 4, 5] }, [x]);
  return add(null, "Reshape", { target_shape: [down * window, across * window, width] }, x);
}

function windowAttention(add: HubLayer, given: Output, block: SwinBlock): Output {
  const { width, heads, useBias, shift } = block;
  const dimension = Math.floor(width / heads);
  const units = 3 * heads * dimension;
  const qkv = add("qkv", "Dense", { units, use_bias: useBias }, given, "attention_qkv");
  const parts = add.operations("Split", { indices_or_sections: 3, axis: -1 }, [qkv]);
  const bias = relativeBias(add, given, block);
  const biased = (scores: Output): Output => {
    const sum = add.operation("Add", {}, [scores, bias]);
    return shift > 0 ? add.operation("Add", {}, [sum, floatArray(shiftMask(block))]) : sum;
  };
  const called: Heads = {
    heads,
    scale: dimension ** -0.5,
    dropout: block.attentionDropout,
    dropoutAttribute: "attention_dropout_layer",
    scaleFirst: true,
    biased,
  };
  const x = addAttention(add, parts, called);
  const projected = add("proj", "Dense", { units: width }, x, "attention_projection");
  return add("proj_drop", "Dropout", { rate: block.dropout }, projected);
}

/** Returns the learned bias of each pair of tokens in a window by their relative position: `[batch, 1, heads, tokens, tokens]`. */
function relativeBias(add: HubLayer, like: Output, { tableWindow: window, heads }: SwinBlock): Output {
  const shape = [(2 * window - 1) ** 2, heads];
  const table = add.variable({ name: "relative_position_bias_table", index: 0, shape }, like);
  const tokens = window * window;
  const row = (token: number): number => Math.floor(token / window);
  const column = (token: number): number => token % window;
  const pairs = Array.from({ length: tokens * tokens }, (_, pair) => {
    const [one, other] = [Math.floor(pair / tokens), pair % tokens];
    const down = row(one) - row(other) + window - 1;
    return down * (2 * window - 1) + (column(one) - column(other) + window - 1);
  });
  let x = add.operation("Take", { axis: 1 }, [table, integerArray(pairs)]);
  x = add(null, "Reshape", { target_shape: [1, tokens, tokens, heads] }, x);
  x = add.operation("Transpose", { axes: [0, 1, 4, 2, 3] }, [x]);
  return x;
}

/** Returns -100 for each pair of tokens that lie beside each other in a shifted window alone: `[windows, 1, tokens, tokens]`. */
function shiftMask({ rows, columns, window, shift }: SwinBlock): number[][][][] {
  const part = (place: number, size: number): number =>
    place >= size ? 0 : place < size - window ? 0 : place < size - shift ? 1 : 2;
  const [down, across] = [windowsAlong(rows, window), windowsAlong(columns, window)];
  const places = Array.from({ length: window * window }, (_, token) => token);
  return Array.from({ length: down * across }, (_, index) => {
    const [top, left] = [Math.floor(index / across) * window, (index % across) * window];
    const regions = places.map((token) => {
      const [y, x] = [top + Math.floor(token / window), left + (token % window)];
      return y >= rows || x >= columns ? 0 : 3 * part(y, rows) + part(x, columns);
    });
    return [regions.map((one) => regions.map((other) => (one === other ? 0 : -100)))];
  });
}
