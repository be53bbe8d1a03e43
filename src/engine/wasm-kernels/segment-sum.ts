import { onHeap } from "./replace-kernel.ts";

export function registerSegmentSum(): void {
  onHeap(
    "UnsortedSegmentSum",
    ({ x }, { numSegments }: { numSegments: number }) => [numSegments, ...x!.shape.slice(1)],
    { reads: ["x", "segmentIds"], compute: ([values, ids], sums) => segmentSum(values!, ids!, sums) },
  );
}

/** Rows of `values` added up by their segment; a negative segment is nobody's. */
function segmentSum(values: Float32Array, ids: Float32Array, sums: Float32Array): void {
  const width = values.length / ids.length;
  sums.fill(0);
  for (let row = 0; row < ids.length; row++) {
    if (ids[row]! < 0) continue;
    const start = ids[row]! * width;
    for (let column = 0; column < width; column++) sums[start + column]! += values[row * width + column]!;
  }
}
