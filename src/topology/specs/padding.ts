import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { channelsFirst, marginsAt, sizesAt } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { requireRank } from "./windows.ts";

/** Creates a shape function that changes the length of each spatial axis and keeps the rest of the shape. */
function resizing(
  rank: number,
  lengthOf: (length: number, axis: number, call: CallShapes) => number,
): LayerSpec["outputShapes"] {
  return (call) => {
    const input = call.inputs[0];
    requireRank(input, rank + 2);
    // Cropping1D and UpSampling1D have no data_format.
    const first = channelsFirst(call.config) ? 2 : 1;
    const shape: Shape = input.map((length, position) => {
      const axis = position - first;
      return length === null || axis < 0 || axis >= rank ? length : lengthOf(length, axis, call);
    });
    return [shape];
  };
}

/** Creates the spec of ZeroPadding (`keras/src/layers/reshaping/zero_padding*.py`). */
function zeroPadding(rank: number): LayerSpec {
  return {
    className: `ZeroPadding${rank}D`,
    defaults: { padding: 1, data_format: "channels_last" },
    outputShapes: resizing(rank, (length, axis, { config }) => {
      const [before = 0, after = 0] = marginsAt(config, "padding", rank)[axis] ?? [];
      return length + before + after;
    }),
  };
}

/** Creates the spec of Cropping (`keras/src/layers/reshaping/cropping*.py`). */
function cropping(rank: number): LayerSpec {
  return {
    className: `Cropping${rank}D`,
    defaults: rank === 1 ? { cropping: 1 } : { cropping: rank === 2 ? 0 : 1, data_format: "channels_last" },
    outputShapes: resizing(rank, (length, axis, { config, inputs }) => {
      const [before = 0, after = 0] = marginsAt(config, "cropping", rank)[axis] ?? [];
      if (before + after < length) return length - before - after;
      throw new TopologyError(
        `cropping: expected less than the size of ${formatShape(inputs[0])}, got ${before} and ${after}.`,
        "shape",
      );
    }),
  };
}

/** Creates the spec of UpSampling (`keras/src/layers/reshaping/up_sampling*.py`). */
function upSampling(rank: number): LayerSpec {
  return {
    className: `UpSampling${rank}D`,
    defaults: {
      size: 2,
      ...(rank === 1 ? {} : { data_format: "channels_last" }),
      ...(rank === 2 ? { interpolation: "nearest" } : {}),
    },
    outputShapes: resizing(rank, (length, axis, { config }) => {
      const factors = sizesAt(config, "size", rank);
      return length * (factors[axis] ?? 1);
    }),
  };
}

export const paddingSpecs: readonly LayerSpec[] = [1, 2, 3].flatMap((rank) => [
  zeroPadding(rank),
  cropping(rank),
  upSampling(rank),
]);
