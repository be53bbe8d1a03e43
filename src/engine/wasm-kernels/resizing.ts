/** @file Gradients of resizing, for which the WebAssembly backend ignores the position of pixel centers. */

import { sizeAt } from "../../tensor.ts";
import { onHeap } from "./replace-kernel.ts";

interface ResizeAttributes {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

/** The values that one position of the result reads along an axis: two neighbors and the weight of the second. */
interface Reading {
  readonly lower: number;
  readonly upper: number;
  readonly weight: number;
}

export function registerResizing(): void {
  const kernels = { ResizeBilinearGrad: bilinearReading, ResizeNearestNeighborGrad: nearestReading };
  for (const [kernel, readingAt] of Object.entries(kernels)) {
    onHeap(kernel, {
      reads: ["dy"],
      shapes: ["dy", "images"],
      shapeOf: ([, images]) => images,
      compute: ([dy], dx, attributes: ResizeAttributes, [gradient, images]) =>
        spread(dy, dx, gradient, images, (output, input) => {
          const scale = scaleOf(output, input, attributes.alignCorners);
          return Array.from({ length: output }, (_, position) =>
            readingAt(position, input, scale, attributes),
          );
        }),
    });
  }
}

function scaleOf(output: number, input: number, alignCorners: boolean): number {
  return alignCorners && output > 1 ? (input - 1) / (output - 1) : input / output;
}

type ReadingAt = (position: number, input: number, scale: number, attributes: ResizeAttributes) => Reading;

const bilinearReading: ReadingAt = (position, input, scale, { halfPixelCenters }) => {
  const place = halfPixelCenters ? (position + 0.5) * scale - 0.5 : position * scale;
  const floor = Math.floor(place);
  return { lower: Math.max(floor, 0), upper: Math.min(floor + 1, input - 1), weight: place - floor };
};

const nearestReading: ReadingAt = (position, input, scale, { alignCorners, halfPixelCenters }) => {
  const place = (halfPixelCenters ? position + 0.5 : position) * scale;
  const nearest = Math.min(alignCorners ? Math.round(place) : Math.floor(place), input - 1);
  return { lower: nearest, upper: nearest, weight: 0 };
};

/**
 * Adds `dy` of images resized to `outputShape` to the pixels `dx` of `inputShape` that each of its positions reads:
 * interpolated or copied.
 */
function spread(
  dy: Float32Array,
  dx: Float32Array,
  outputShape: readonly number[],
  inputShape: readonly number[],
  readings: (output: number, input: number) => Reading[],
): void {
  const [batch, , , channels] = outputShape as [number, number, number, number];
  const [, height, width] = inputShape as [number, number, number];
  const rows = readings(sizeAt(outputShape, 1), height);
  const columns = readings(sizeAt(outputShape, 2), width);
  dx.fill(0);
  let source = 0;
  for (let image = 0; image < batch; image++) {
    for (const row of rows) {
      const upperLine = (image * height + row.lower) * width;
      const lowerLine = (image * height + row.upper) * width;
      for (const column of columns) {
        const left = column.lower * channels;
        const right = column.upper * channels;
        for (let channel = 0; channel < channels; channel++) {
          const value = dy[source++]!;
          const below = value * row.weight;
          const above = value - below;
          dx[upperLine * channels + left + channel]! += above * (1 - column.weight);
          dx[upperLine * channels + right + channel]! += above * column.weight;
          dx[lowerLine * channels + left + channel]! += below * (1 - column.weight);
          dx[lowerLine * channels + right + channel]! += below * column.weight;
        }
      }
    }
  }
}
