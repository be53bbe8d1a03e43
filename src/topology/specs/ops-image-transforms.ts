import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { constantAt } from "./call-shapes.ts";
import { acrossBatch, twoOperands } from "./ops-across-batch.ts";

/** @file Operations of keras.ops.image that transform or compare images (`keras/src/ops/image.py`). */

const reading: JsonObject = {
  interpolation: "bilinear",
  fill_mode: "constant",
  fill_value: 0,
  data_format: null,
};

/** Returns the shape of a batch of images or of one image. @throws {TopologyError} for another rank. */
function sameImages(input: Shape): Shape {
  requireImages(input);
  return input;
}

function requireImages(input: Shape): void {
  if (input.length === 3 || input.length === 4) return;
  throw new TopologyError(`images: expected rank 3 or 4, got ${formatShape(input)}.`, "shape");
}

export const imageTransformOpSpecs: readonly LayerSpec[] = [
  operation("AffineTransform", sameImages, reading),
  operation("PerspectiveTransform", sameImages, reading),
  {
    ...operation("ElasticTransform", sameImages, {
      ...reading,
      alpha: 20,
      sigma: 5,
      fill_mode: "reflect",
      seed: null,
    }),
    // The noise depends on the position of an image in its batch.
    couplesBatch: true,
  },
  operation(
    "ScaleAndTranslate",
    (input, call) => {
      const shape = constantAt(call, 1, "output_shape");
      const isShape = (value: unknown): value is number[] =>
        Array.isArray(value) &&
        value.length === input.length &&
        value.every((size) => Number.isSafeInteger(size));
      if (isShape(shape)) return [input[0] ?? null, ...shape.slice(1)];
      throw new TopologyError(
        `output_shape: expected ${input.length} sizes, got ${JSON.stringify(shape ?? null)}.`,
        "shape",
      );
    },
    { antialias: true },
  ),
  acrossBatch(
    "MapCoordinates",
    (_, call) => {
      const [input, coordinates] = twoOperands(call);
      if (coordinates.length > 1 && (coordinates[0] === null || coordinates[0] === input.length)) {
        return [coordinates.slice(1)];
      }
      throw new TopologyError(
        `coordinates: expected ${input.length} for each position, got ${formatShape(coordinates)}.`,
        "shape",
      );
    },
    { fill_mode: "constant", fill_value: 0 },
  ),
  operation(
    "SSIM",
    (input) => {
      requireImages(input);
      return input.length === 3 ? [] : [input[0] ?? null];
    },
    { max_val: 1, filter_size: 11, filter_sigma: 1.5, k1: 0.01, k2: 0.03, data_format: null },
  ),
];
