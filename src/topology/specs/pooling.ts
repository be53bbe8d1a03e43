import { booleanAt, channelsFirst, sizesAt, stringAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { imageShape, requireRank, spatialShape, visitedLength } from "./windows.ts";

/** `keras/src/layers/pooling/base_pooling.py`; strides default to the pool's size. */
function pooling(className: string, rank: number): LayerSpec {
  return {
    className,
    defaults: {
      ...(className.startsWith("Max") ? { pool_size: 2 } : {}),
      strides: null,
      padding: "valid",
      data_format: "channels_last",
    },
    outputShapes: ({ config, inputs }) => {
      const input = inputs[0]!;
      requireRank(input, rank + 2);
      const size = sizesAt(config, "pool_size", rank);
      const strides = config["strides"] === null ? size : sizesAt(config, "strides", rank);
      const padding = stringAt(config, "padding");
      const spatial = spatialShape(input, config).map((length, axis) =>
        visitedLength(length, { size: size[axis]!, stride: strides[axis]!, dilation: 1 }, padding),
      );
      const channels = input[channelsFirst(config) ? 1 : rank + 1] ?? null;
      return [imageShape(input[0] ?? null, spatial, channels, config)];
    },
  };
}

/** `keras/src/layers/pooling/base_global_pooling.py`. */
function globalPooling(className: string, rank: number): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last", keepdims: false },
    outputShapes: ({ config, inputs }) => {
      const input = inputs[0]!;
      requireRank(input, rank + 2);
      const batch = input[0] ?? null;
      const channels = input[channelsFirst(config) ? 1 : rank + 1] ?? null;
      if (!booleanAt(config, "keepdims")) return [[batch, channels]];
      return [imageShape(batch, new Array<number>(rank).fill(1), channels, config)];
    },
  };
}

const ranks = [1, 2, 3] as const;

export const poolingSpecs: readonly LayerSpec[] = ranks.flatMap((rank) => [
  pooling(`MaxPooling${rank}D`, rank),
  pooling(`AveragePooling${rank}D`, rank),
  globalPooling(`GlobalMaxPooling${rank}D`, rank),
  globalPooling(`GlobalAveragePooling${rank}D`, rank),
]);
