import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, channelsFirst, sizesAt, stringAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { imageShape, requireRank, spatialShape, visitedLength, windowAt } from "./windows.ts";

/**
 * Creates the spec of a pooling layer (`keras/src/layers/pooling/base_pooling.py`), whose strides default to the pool
 * size.
 */
function pooling(className: string, rank: number): LayerSpec {
  return {
    className,
    defaults: {
      ...(className.startsWith("Max") ? { pool_size: 2 } : {}),
      strides: null,
      padding: "valid",
      data_format: "channels_last",
    },
    outputShapes: ({ config, inputs }) => [pooled(config, inputs[0], rank)],
  };
}

function pooled(config: JsonObject, input: Shape, rank: number): Shape {
  requireRank(input, rank + 2);
  const size = sizesAt(config, "pool_size", rank);
  const strides = config["strides"] == null ? size : sizesAt(config, "strides", rank);
  const padding = stringAt(config, "padding");
  const spatial = spatialShape(input, config).map((length, axis) =>
    visitedLength(length, windowAt(axis, size, strides, []), padding),
  );
  return imageShape(input[0] ?? null, spatial, channelsOf(input, config), config);
}

/**
 * Creates the spec of adaptive pooling (`keras/src/layers/pooling/base_adaptive_pooling.py`) to a given output size.
 */
function adaptivePooling(className: string, rank: number): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last" },
    outputShapes: ({ config, inputs }) => {
      const input = inputs[0];
      requireRank(input, rank + 2);
      const spatial = sizesAt(config, "output_size", rank);
      return [imageShape(input[0] ?? null, spatial, channelsOf(input, config), config)];
    },
  };
}

/** Creates the spec of global pooling (`keras/src/layers/pooling/base_global_pooling.py`). */
function globalPooling(className: string, rank: number): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last", keepdims: false },
    outputShapes: ({ config, inputs }) => {
      const input = inputs[0];
      requireRank(input, rank + 2);
      const batch = input[0] ?? null;
      const channels = channelsOf(input, config);
      if (!booleanAt(config, "keepdims")) return [[batch, channels]];
      return [imageShape(batch, new Array<number>(rank).fill(1), channels, config)];
    },
  };
}

/** Creates the spec of a pooling operation of any rank (`keras/src/ops/nn.py`). */
function poolingOp(name: string): LayerSpec {
  return operation(name, (input, { config }) => pooled(config, input, input.length - 2), {
    strides: null,
    padding: "valid",
    data_format: null,
  });
}

/** Resize (`keras/src/ops/image.py`). */
const resize: LayerSpec = {
  className: "ops.Resize",
  defaults: {
    interpolation: "bilinear",
    antialias: false,
    crop_to_aspect_ratio: false,
    pad_to_aspect_ratio: false,
    fill_mode: "constant",
    fill_value: 0,
    data_format: null,
  },
  outputShapes: ({ config, inputs }) => {
    const input = inputs[0];
    requireRank(input, 4);
    return [imageShape(input[0] ?? null, sizesAt(config, "size", 2), channelsOf(input, config), config)];
  },
};

function channelsOf(input: Shape, config: JsonObject): number | null {
  return input[channelsFirst(config) ? 1 : input.length - 1] ?? null;
}

const ranks = [1, 2, 3] as const;

export const poolingSpecs: readonly LayerSpec[] = ranks.flatMap((rank) => [
  pooling(`MaxPooling${rank}D`, rank),
  pooling(`AveragePooling${rank}D`, rank),
  adaptivePooling(`AdaptiveMaxPooling${rank}D`, rank),
  adaptivePooling(`AdaptiveAveragePooling${rank}D`, rank),
  globalPooling(`GlobalMaxPooling${rank}D`, rank),
  globalPooling(`GlobalAveragePooling${rank}D`, rank),
]);

export const windowOpSpecs: readonly LayerSpec[] = [poolingOp("MaxPool"), poolingOp("AveragePool"), resize];
