/** Layers whose output at a position reads a window of the input: convolutions and pools, and how to run one at a larger stride. */
import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { channelsFirst, sizesAt } from "../config-values.ts";
import type { GraphLayer } from "../layer-graph.ts";
import { activationName, runsAlongLastAxis } from "../specs/activation.ts";

type Rank = 1 | 2 | 3;

export interface LayerWindow {
  readonly rank: Rank;
  /** The spatial axes of input and output; all that follows has one value for each. */
  readonly axes: readonly number[];
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: string;
  readonly kind: WindowKind;
}

type WindowKind = "convolution" | "depthwise" | "pool";

/** A layer at another stride, and the zeros to put around its input first. */
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

/** The window of a layer; null where it has none, or where its activation mixes positions. */
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

/** Whether each output position reads one position of the input. */
export function isPointwise(window: LayerWindow): boolean {
  return window.size.every((size) => size === 1);
}

/**
 * The layer at `strides`, each a multiple of its own, such that it computes the same numbers at the positions that are left; null
 * where Keras has no such layer: dilated and strided, unequal strides of a depthwise kernel, or padding that a zero cannot be.
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

/** Whether "same" puts as many zeros first at the new strides as at the old: then every window begins where it did. */
function keepsSamePadding(
  window: LayerWindow,
  sizes: readonly (number | null)[],
  strides: readonly number[],
): boolean {
  return sizes.every((size, axis) => {
    const taps = window.size[axis]!;
    if (strides[axis] === window.strides[axis] || taps === 1) return true;
    return (
      size !== null &&
      zerosBefore(size, taps, window.strides[axis]!) === zerosBefore(size, taps, strides[axis]!)
    );
  });
}

/** The zeros that "same" means now; null where they depend on a size that is not known. */
function explicitMargins(
  window: LayerWindow,
  sizes: readonly (number | null)[],
  strides: readonly number[],
): readonly (readonly [number, number])[] | null {
  const margins: [number, number][] = [];
  for (const [axis, size] of sizes.entries()) {
    const taps = window.size[axis]!;
    if (size !== null) {
      const before = zerosBefore(size, taps, window.strides[axis]!);
      const last = (Math.ceil(size / strides[axis]!) - 1) * strides[axis]! + taps;
      margins.push([before, Math.max(last - size - before, 0)]);
    } else if (window.strides[axis] === 1) {
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

/** TensorFlow's "same": the zeros in front are the smaller half. */
function zerosBefore(size: number, taps: number, stride: number): number {
  return Math.floor(Math.max((Math.ceil(size / stride) - 1) * stride + taps - size, 0) / 2);
}
