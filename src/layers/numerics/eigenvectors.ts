/**
 * @file Eigenvectors of a symmetric matrix by Householder's tridiagonal form and implicit QR steps with Wilkinson's
 * shift. The steps are in the order of Eigen, which TensorFlow calls, so that the signs of the vectors agree.
 */
import type { Rotation } from "./householder.ts";
import { productOf, reflect, reflectionOf, rotate } from "./householder.ts";

export interface Eigenvectors {
  /** Eigenvalues in ascending order. */
  readonly values: readonly number[];
  /** The eigenvector of each value, of length 1. */
  readonly vectors: readonly (readonly number[])[];
}

/** Computes eigenvalues and eigenvectors of a matrix given by columns. Values above the diagonal are not read. */
export function eigenvectorsOf(columns: readonly (readonly number[])[]): Eigenvectors {
  const size = columns.length;
  const scale = Math.max(...columns.map((column, at) => Math.max(...column.slice(at).map(Math.abs)))) || 1;
  const scaled = columns.map((column) => column.map((value) => value / scale));
  const { diagonal, beside, vectors } = tridiagonalized(scaled);
  let end = size - 1;
  for (let rounds = 0; end > 0 && rounds < 30 * size; rounds++) {
    dropSmall(diagonal, beside);
    while (end > 0 && beside[end - 1] === 0) end--;
    if (end === 0) break;
    let start = end - 1;
    while (start > 0 && beside[start - 1] !== 0) start--;
    shiftedStep(diagonal, beside, vectors, start, end);
  }
  const order = diagonal.map((_, index) => index).sort((a, b) => diagonal[a]! - diagonal[b]!);
  return {
    values: order.map((index) => diagonal[index]! * scale),
    vectors: order.map((index) => vectors[index]!),
  };
}

/** The epsilon of float32: one step more or less may flip the sign of a vector. */
const epsilon = 2 ** -23;

interface Tridiagonal {
  readonly diagonal: number[];
  readonly beside: number[];
  readonly vectors: number[][];
}

function tridiagonalized(columns: readonly (readonly number[])[]): Tridiagonal {
  const size = columns.length;
  const work = columns.map((_, row) =>
    columns.map((__, at) => columns[Math.min(row, at)]![Math.max(row, at)]!),
  );
  const beside: number[] = [];
  const reflections = Array.from({ length: Math.max(0, size - 1) }, (_, step) => {
    const reflection = reflectionOf(work[step]!.slice(step + 1));
    beside.push(reflection.target);
    for (const column of work) reflect(column, step + 1, reflection);
    for (let row = 0; row < size; row++) {
      const across = work.map((column) => column[row]!);
      reflect(across, step + 1, reflection);
      across.forEach((value, at) => {
        work[at]![row] = value;
      });
    }
    return reflection;
  });
  return {
    diagonal: work.map((column, index) => column[index]!),
    beside,
    vectors: productOf(reflections, 1, size, size),
  };
}

function dropSmall(diagonal: readonly number[], beside: number[]): void {
  beside.forEach((value, index) => {
    const scale = Math.abs(diagonal[index]!) + Math.abs(diagonal[index + 1]!);
    if ((value / epsilon) ** 2 <= scale) beside[index] = 0;
  });
}

/** Performs one QR step on the block from `start` to `end`, in place. */
function shiftedStep(
  diagonal: number[],
  beside: number[],
  vectors: number[][],
  start: number,
  end: number,
): void {
  let x = diagonal[start]! - shiftOf(diagonal, beside, end);
  let z = beside[start]!;
  for (let k = start; k < end && z !== 0; k++) {
    const { c, s } = givens(x, z);
    const [here, next, side] = [diagonal[k]!, diagonal[k + 1]!, beside[k]!];
    const lower = s * here + c * side;
    const right = s * side + c * next;
    diagonal[k] = c * (c * here - s * side) - s * (c * side - s * next);
    diagonal[k + 1] = s * lower + c * right;
    beside[k] = c * lower - s * right;
    if (k > start) beside[k - 1] = c * beside[k - 1]! - s * z;
    x = beside[k]!;
    if (k < end - 1) {
      z = -s * beside[k + 1]!;
      beside[k + 1] = c * beside[k + 1]!;
    }
    rotate(vectors[k]!, vectors[k + 1]!, { c, s: -s });
  }
}

function shiftOf(diagonal: readonly number[], beside: readonly number[], end: number): number {
  const half = (diagonal[end - 1]! - diagonal[end]!) / 2;
  const side = beside[end - 1]!;
  if (half === 0) return diagonal[end]! - Math.abs(side);
  const distance = Math.hypot(half, side);
  return diagonal[end]! - side ** 2 / (half + (half > 0 ? distance : -distance));
}

/** Returns the rotation that maps `(p, q)` to the first axis. */
function givens(p: number, q: number): Rotation {
  if (q === 0) return { c: p < 0 ? -1 : 1, s: 0 };
  if (p === 0) return { c: 0, s: q < 0 ? 1 : -1 };
  if (Math.abs(p) > Math.abs(q)) {
    const c = Math.sign(p) / Math.hypot(1, q / p);
    return { c, s: (-q / p) * c };
  }
  const s = -Math.sign(q) / Math.hypot(1, p / q);
  return { c: (-p / q) * s, s };
}
