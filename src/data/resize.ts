/** Height, width and channels of row-major pixels. */
export interface PixelGrid {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/**
 * Resizes as `tf.image.resize(image, size)` does for `keras.utils.image_dataset_from_directory`: bilinear, half-pixel centers, no
 * antialiasing, no crop, in float32.
 *
 * @param destination Receives `[height, width, channels]`; its length is exactly that.
 */
export function resizeBilinear(
  pixels: ArrayLike<number>,
  from: PixelGrid,
  imageSize: readonly [number, number],
  destination: Float32Array,
): void {
  const { channels } = from;
  const rows = interpolation(from.height, imageSize[0]);
  const columns = interpolation(from.width, imageSize[1]);
  const stride = from.width * channels;
  let at = 0;
  for (let y = 0; y < imageSize[0]; y++) {
    const top = rows.lower[y]! * stride;
    const bottom = rows.upper[y]! * stride;
    const down = rows.weight[y]!;
    for (let x = 0; x < imageSize[1]; x++) {
      const left = columns.lower[x]! * channels;
      const right = columns.upper[x]! * channels;
      const across = columns.weight[x]!;
      for (let channel = 0; channel < channels; channel++) {
        const topLeft = pixels[top + left + channel]!;
        const bottomLeft = pixels[bottom + left + channel]!;
        const above = fround(topLeft + fround(fround(pixels[top + right + channel]! - topLeft) * across));
        const below = fround(
          bottomLeft + fround(fround(pixels[bottom + right + channel]! - bottomLeft) * across),
        );
        destination[at++] = above + fround(fround(below - above) * down);
      }
    }
  }
}

/**
 * Cuts off the edges that an image has beyond the proportions of `imageSize`, as much on either side, as Keras's
 * `crop_to_aspect_ratio` does (`keras/src/backend/tensorflow/image.py`).
 */
export function cropped<Image extends PixelGrid & { readonly pixels: Uint8Array }>(
  image: Image,
  [targetHeight, targetWidth]: readonly [number, number],
): PixelGrid & { readonly pixels: Uint8Array } {
  const { pixels, height, width, channels } = image;
  const kept = (whole: number, other: number, target: number, otherTarget: number): number =>
    Math.max(Math.min(whole, Math.trunc(fround(fround(other * target) / otherTarget))), 1);
  const rows = kept(height, width, targetHeight, targetWidth);
  const columns = kept(width, height, targetWidth, targetHeight);
  if (rows === height && columns === width) return image;
  const [top, left] = [Math.trunc((height - rows) / 2), Math.trunc((width - columns) / 2)];
  const inner = new Uint8Array(rows * columns * channels);
  for (let row = 0; row < rows; row++) {
    const start = ((top + row) * width + left) * channels;
    inner.set(pixels.subarray(start, start + columns * channels), row * columns * channels);
  }
  return { pixels: inner, height: rows, width: columns, channels };
}

const fround = Math.fround;

/** Returns, for each output position, its two neighbors in the source and the weight of the second. */
function interpolation(source: number, target: number) {
  const lower = new Int32Array(target);
  const upper = new Int32Array(target);
  const weight = new Float32Array(target);
  const scale = fround(source / target);
  for (let index = 0; index < target; index++) {
    const position = fround(fround(fround(index + 0.5) * scale) - 0.5);
    const floor = Math.floor(position);
    lower[index] = Math.max(floor, 0);
    upper[index] = Math.min(floor + 1, source - 1);
    weight[index] = position - floor;
  }
  return { lower, upper, weight };
}
