/** RGB pictures are `[height, width, 3]`, row-major. */
export interface Pixels {
  readonly data: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
}

/** Bilinear with half-pixel centres, no antialias, as `tf.image.resize`: `[height, width, 3]` float32, 0-255. */
export function resizeBilinear(
  { data, height, width }: Pixels,
  toHeight: number,
  toWidth: number,
): Float32Array {
  const rows = positions(height, toHeight);
  const columns = positions(width, toWidth);
  const result = new Float32Array(toHeight * toWidth * 3);
  let written = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let channel = 0; channel < 3; channel++) {
        const at = (y: number, x: number): number => data[(y * width + x) * 3 + channel]!;
        const top =
          at(row.low, column.low) + (at(row.low, column.high) - at(row.low, column.low)) * column.fraction;
        const bottom =
          at(row.high, column.low) + (at(row.high, column.high) - at(row.high, column.low)) * column.fraction;
        result[written++] = top + (bottom - top) * row.fraction;
      }
    }
  }
  return result;
}

function positions(from: number, to: number): { low: number; high: number; fraction: number }[] {
  return Array.from({ length: to }, (_, index) => {
    const position = Math.fround((index + 0.5) * (from / to) - 0.5);
    const floor = Math.floor(position);
    const low = Math.max(floor, 0);
    return { low, high: Math.min(floor + 1, from - 1), fraction: position - floor };
  });
}
