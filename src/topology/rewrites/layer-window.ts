/** @file Windows of convolutions and pools, and running one at a larger stride. */
import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { channelsFirst, sizesAt } from "../config-values.ts";
import type { GraphLayer } from "../layer-graph.ts";
import { activationName, runsAlongLastAxis } from "../specs/activation.ts";

type Rank = 1 | 2 | 3;

/** Window of a layer that reads several positions of its input for each position of its output. */
export interface LayerWindow {
  readonly rank: Rank;
  /** Spatial axes of input and output. The lists below have one value for each of them. */
  readonly axes: readonly number[];
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: string;
  readonly kind: WindowKind;
}

type WindowKind = "convolution" | "depthwise" | "pool";

/** Config of a layer at another stride, and the zero padding that its input then needs, null for none. */
export interface Restrided {
  readonly config: JsonObject;
  readonly margins: readonly (readonly [before: number, after: number])[] | null;
}

const windows: Readonly<Record<string, readonly [Rank, WindowKind]>> = {
  Conv1D: [1, "convolution"],
  Conv2D: [2, "convolution"],
  Conv3D: [3, "convolution"],
  DepthwiseConv1D: [1, "depthwise"],
  DepthwiseConv2D: [2, "depthwise"],
  SeparableConv1D: [1, "depthwise"],
  SeparableConv2D: [2, "depthwise"],
  MaxPooling1D: [1, "pool"],
  MaxPooling2D: [2, "pool"],
  MaxPooling3D: [3, "pool"],
  AveragePooling1D: [1, "pool"],
  AveragePooling2D: [2, "pool"],
  AveragePooling3D: [3, "pool"],
};

/** Returns the window of a layer, null if it has none or if its activation combines positions. */
export function windowOf(layer: GraphLayer): LayerWindow | null {
  const known = windows[layer.className];
  if (!known) return null;
  const [rank, kind] = known;
  const { config } = layer;
  const first = channelsFirst(config) ? 2 : 1;
  if (kind !== "pool") {
    const activation = activationName(config);
    if (activation === null || (first === 2 && runsAlongLastAxis(activation))) return null;
  }
  const size = sizesAt(config, kind === "pool" ? "pool_size" : "kernel_size", rank);
  return {
    rank,
    kind,
    size,
    axes: size.map((_, axis) => first + axis),
    strides: (config["strides"] ?? null) === null ? size : sizesAt(config, "strides", rank),
    dilation: "dilation_rate" in config ? sizesAt(config, "dilation_rate", rank) : size.map(() => 1),
    padding: String(config["padding"]),
  };
}

/** Returns whether each output position reads only one input position. */
export function isPointwise(window: LayerWindow): boolean {
  return window.size.every((size) => size === 1);
}

/**
 * Returns the layer at larger strides, each a multiple of its own, such that it computes the same values at the
 * remaining positions. Returns null if Keras has no such layer: one that is both dilated and strided, a depthwise
 * convolution with unequal strides, or a pool whose padding is not zero.
 */
export function restrided(
  layer: GraphLayer,
  window: LayerWindow,
  inputShape: Shape,
  strides: readonly number[],
): Restrided | null {
  const isStrided = strides.some((stride) => stride > 1);
  if (isStrided && window.dilation.some((rate) => rate > 1)) return null;
  if (window.kind === "depthwise" && strides.some((stride) => stride !== strides[0])) return null;
  const config = { ...layer.config, strides: [...strides] };
  if (window.padding !== "same" || isPointwise(window)) return { config, margins: null };
  const sizes = window.axes.map((axis) => inputShape[axis] ?? null);
  if (keepsSamePadding(window, sizes, strides)) return { config, margins: null };
  if (window.kind === "pool") return null;
  const margins = explicitMargins(window, sizes, strides);
  if (!margins) return null;
  const isBare = margins.every(([before, after]) => before === 0 && after === 0);
  return { config: { ...config, padding: "valid" }, margins: isBare ? null : margins };
}

/**
 * Returns whether "same" adds as many leading zeros at the new strides as at the old ones, so that windows start at the
 * same positions.
 */
function keepsSamePadding(
  window: LayerWindow,
  sizes: readonly (number | null)[],
  strides: readonly number[],
): boolean {
  return sizes.every((size, axis) => {
    const taps = window.size[axis] ?? 1;
    const [before = 1, after = 1] = [window.strides[axis], strides[axis]];
    if (before === after || taps === 1) return true;
    return size !== null && zerosBefore(size, taps, before) === zerosBefore(size, taps, after);
  });
}

/** Returns the zeros that "same" adds at the old strides, null if they depend on an unknown size. */
function explicitMargins(
  window: LayerWindow,
  sizes: readonly (number | null)[],
  strides: readonly number[],
): readonly (readonly [number, number])[] | null {
  const margins: [number, number][] = [];
  for (const [axis, size] of sizes.entries()) {
    const taps = window.size[axis] ?? 1;
    const [old = 1, stride = 1] = [window.strides[axis], strides[axis]];
    if (size !== null) {
      const before = zerosBefore(size, taps, old);
      const last = (Math.ceil(size / stride) - 1) * stride + taps;
      margins.push([before, Math.max(last - size - before, 0)]);
    } else if (old === 1) {
      const before = Math.floor((taps - 1) / 2);
      margins.push([before, taps - 1 - before]);
    } else if (taps === 1) {
      margins.push([0, 0]);
    } else {
      return null;
    }
  }
  return margins;
}

/** Returns the leading zeros of TensorFlow's "same", which are the smaller half. */
function zerosBefore(size: number, taps: number, stride: number): number {
  return Math.floor(Math.max((Math.ceil(size / stride) - 1) * stride + taps - size, 0) / 2);
}
