/** @file Reductions on the WebAssembly backend, and segment sums. */

import { tf } from "../tf.ts";
import type { KernelCall, WasmBackend } from "./replace-kernel.ts";
import { onHeap, wrap } from "./replace-kernel.ts";
import type { SimdKernels } from "./simd.ts";
import { simdOn } from "./simd.ts";

interface Attributes {
  readonly axis?: number | readonly number[] | null;
  readonly reductionIndices?: number | readonly number[] | null;
  readonly keepDims?: boolean;
}

/** The matrix that a reduction sees: `outer` matrices `[rows, columns]`, of which it reduces rows or columns. */
interface Layout {
  readonly outer: number;
  readonly rows: number;
  readonly columns: number;
  readonly reduces: "rows" | "columns";
}

/**
 * Registers sums, means and maxima of axes that stand together. The backend adds in the order of the values alone, which
 * loses digits, and is slow along any axis but the last.
 */
export function registerReductions(): void {
  replaceWhere("Sum", (simd, layout, from, to) => sums(simd, layout, from, to, 1));
  replaceWhere("Mean", (simd, layout, from, to) =>
    sums(simd, layout, from, to, layout.reduces === "rows" ? layout.rows : layout.columns),
  );
  replaceWhere(
    "Max",
    (simd, { outer, rows, columns }, from, to) => {
      for (let matrix = 0; matrix < outer; matrix++) {
        simd.columnMaxima(from + matrix * rows * columns * 4, to + matrix * columns * 4, rows, columns);
      }
    },
    ({ reduces }) => reduces === "rows",
  );
}

function sums(
  simd: SimdKernels,
  { outer, rows, columns, reduces }: Layout,
  from: number,
  to: number,
  divisor: number,
): void {
  if (reduces === "columns") {
    simd.rowSums(from, to, outer * rows, columns, divisor);
    return;
  }
  for (let matrix = 0; matrix < outer; matrix++) {
    simd.columnSums(from + matrix * rows * columns * 4, to + matrix * columns * 4, rows, columns, divisor);
  }
}

function replaceWhere(
  kernelName: string,
  compute: (simd: SimdKernels, layout: Layout, from: number, to: number) => void,
  fits: (layout: Layout) => boolean = () => true,
): void {
  wrap(kernelName, (call, original) => {
    const x = call.inputs["x"] as tf.TensorInfo;
    const axes = reducedAxes(call, x.shape.length);
    const layout = layoutOf(x, axes);
    if (!layout || !fits(layout)) return original(call);
    const { keepDims } = call.attrs as Attributes;
    const shape = x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]));
    const backend = call.backend as WasmBackend;
    const output = backend.makeOutput(shape, "float32");
    const [from, to] = [backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(output)];
    compute(simdOn(backend), layout, from.byteOffset, to.byteOffset);
    return output;
  });
}

function reducedAxes(call: KernelCall, rank: number): number[] {
  const { axis, reductionIndices } = call.attrs as Attributes;
  return tf.util.parseAxisParam((axis ?? reductionIndices) as number[], Array(rank).fill(1));
}

function layoutOf(x: tf.TensorInfo, axes: readonly number[]): Layout | undefined {
  const first = Math.min(...axes);
  const isOne = axes.every((axis) => axis - first < axes.length);
  if (x.dtype !== "float32" || axes.length === 0 || !isOne) return undefined;
  const count = (from: number, to: number): number => tf.util.sizeFromShape(x.shape.slice(from, to));
  const [before, inside, after] = [
    count(0, first),
    count(first, first + axes.length),
    count(first + axes.length, x.shape.length),
  ];
  if (before * inside * after === 0) return undefined;
  if (after === 1) return { outer: 1, rows: before, columns: inside, reduces: "columns" };
  return { outer: before, rows: inside, columns: after, reduces: "rows" };
}

export function registerSegmentSum(): void {
  onHeap("UnsortedSegmentSum", {
    reads: ["x", "segmentIds"],
    shapes: ["x"],
    shapeOf: ([shape], { numSegments }: { numSegments: number }) => [numSegments, ...shape.slice(1)],
    compute: ([values, ids], sums) => segmentSum(values, ids, sums),
  });
}

/** Adds up the rows of each segment. Rows with a negative segment are dropped. */
function segmentSum(values: Float32Array, ids: Float32Array, sums: Float32Array): void {
  const width = values.length / ids.length;
  sums.fill(0);
  for (let row = 0; row < ids.length; row++) {
    const segment = ids[row]!;
    if (segment < 0) continue;
    const start = segment * width;
    for (let column = 0; column < width; column++) sums[start + column]! += values[row * width + column]!;
  }
}
