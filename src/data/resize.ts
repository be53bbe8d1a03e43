import { simdApart } from "../engine/wasm-kernels/simd.ts";

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
  const rows = interpolation(from.height, imageSize[0]);
  const columns = interpolation(from.width, imageSize[1]);
  if (pixels instanceof Uint8Array && from.channels >= 3)
    resizeBytes(pixels, from, rows, columns, destination);
  else resizeNumbers(pixels, from, rows, columns, destination);
}

function resizeNumbers(
  pixels: ArrayLike<number>,
  { width, channels }: PixelGrid,
  rows: Interpolation,
  columns: Interpolation,
  destination: Float32Array,
): void {
  const stride = width * channels;
  let at = 0;
  for (const [y, down] of rows.weight.entries()) {
    const top = rows.lower[y]! * stride;
    const bottom = rows.upper[y]! * stride;
    for (const [x, across] of columns.weight.entries()) {
      const left = columns.lower[x]! * channels;
      const right = columns.upper[x]! * channels;
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

let simd: ReturnType<typeof simdApart> | undefined;

/** Does what `resizeNumbers` does, to the bit, with the two rows of bytes that a row of the result lies between in a small memory of its own. */
function resizeBytes(
  pixels: Uint8Array,
  { width, channels }: PixelGrid,
  rows: Interpolation,
  columns: Interpolation,
  destination: Float32Array,
): void {
  simd ??= simdApart();
  const { kernels, memory } = simd;
  const count = columns.weight.length;
  const stride = width * channels;
  // The result comes first: what is stored beyond its end falls on the columns' first entry, which stands a pixel further on.
  const table = 4 * channels * (count + 1);
  const top = table + 12 * count;
  const bottom = top + stride;
  const missing = Math.ceil((bottom + stride + 4 - memory.buffer.byteLength) / pageBytes);
  if (missing > 0) memory.grow(missing);
  const bytes = new Uint8Array(memory.buffer);
  const resized = new Float32Array(memory.buffer, 0, count * channels);
  const offsets = new Uint32Array(memory.buffer, table, 3 * count);
  const weights = new Float32Array(memory.buffer, table, 3 * count);
  for (const [x, across] of columns.weight.entries()) {
    offsets[3 * x] = columns.lower[x]! * channels;
    offsets[3 * x + 1] = columns.upper[x]! * channels;
    weights[3 * x + 2] = across;
  }
  for (const [y, down] of rows.weight.entries()) {
    const [upper, lower] = [rows.lower[y]! * stride, rows.upper[y]! * stride];
    bytes.set(pixels.subarray(upper, upper + stride), top);
    bytes.set(pixels.subarray(lower, lower + stride), bottom);
    kernels.resizeRow(top, bottom, table, 0, count, channels, down);
    destination.set(resized, y * count * channels);
  }
}

/** Bytes of a page of WebAssembly's memory. */
const pageBytes = 1 << 16;

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

/** For each position of a result, its two neighbors in the source and the weight of the second. */
interface Interpolation {
  readonly lower: Int32Array;
  readonly upper: Int32Array;
  readonly weight: Float32Array;
}

function interpolation(source: number, target: number): Interpolation {
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
