/**
 * @file Singular values and vectors by Jacobi rotations from both sides after a QR decomposition with pivoting. The
 * steps are in the order of Eigen, which TensorFlow calls, so that signs agree for matrices of less than 16 columns.
 * Eigen divides wider ones, whose signs may differ.
 */
import type { Rotation } from "./householder.ts";
import { productOf, rotate, triangularized, unitVector } from "./householder.ts";

export interface SingularValues {
  /** Left singular vectors by columns: one for each value, or one for each row. */
  readonly left: readonly (readonly number[])[];
  /** Singular values in descending order. */
  readonly values: readonly number[];
  /** Right singular vectors by columns. */
  readonly right: readonly (readonly number[])[];
}

/** Decomposes a matrix given by columns. With `full`, all vectors of both spaces are returned. */
export function singularValuesOf(columns: readonly (readonly number[])[], full: boolean): SingularValues {
  const rows = columns[0]?.length ?? 0;
  const count = columns.length;
  const scale = Math.max(...columns.flat().map(Math.abs)) || 1;
  const scaled = columns.map((column) => column.map((value) => value / scale));
  if (rows === count) {
    const identity = scaled.map((_, index) => unitVector(count, index));
    return diagonalized(scaled, identity, structuredClone(identity), scale);
  }
  const [long, short] = [Math.max(rows, count), Math.min(rows, count)];
  const { reflections, triangular, order } = triangularized(rows > count ? scaled : turned(scaled), true);
  const factor = triangular.map((column) => column.slice(0, short));
  const outer = productOf(reflections, 0, long, full ? long : short);
  const inner = order.map((place) => unitVector(short, place));
  return rows > count
    ? diagonalized(factor, outer, inner, scale)
    : diagonalized(turned(factor), inner, outer, scale);
}

/** Transposes a matrix given by columns. */
function turned(columns: readonly (readonly number[])[]): number[][] {
  return columns[0]!.map((_, row) => columns.map((column) => column[row]!));
}

/** Diagonalizes the square matrix `work` and updates the vectors on both sides. All are changed in place. */
function diagonalized(work: number[][], left: number[][], right: number[][], scale: number): SingularValues {
  const size = work.length;
  for (let changed = true; changed; ) {
    changed = false;
    for (let p = 1; p < size; p++) {
      for (let q = 0; q < p; q++) {
        const largest = Math.max(...work.map((column, index) => Math.abs(column[index]!)));
        const least = Math.max(Number.MIN_VALUE, 2 * Number.EPSILON * largest);
        if (Math.abs(work[q]![p]!) <= least && Math.abs(work[p]![q]!) <= least) continue;
        changed = true;
        const [fromLeft, fromRight] = planeRotations(work, p, q);
        for (const column of work) {
          const [upper, lower] = [[column[p]!], [column[q]!]];
          rotate(upper, lower, fromLeft);
          [column[p], column[q]] = [upper[0]!, lower[0]!];
        }
        rotate(left[p]!, left[q]!, fromLeft);
        const back = { c: fromRight.c, s: -fromRight.s };
        rotate(work[p]!, work[q]!, back);
        rotate(right[p]!, right[q]!, back);
      }
    }
  }
  const values = work.map((column, index) => column[index]!);
  const order = values.map((_, index) => index).sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!));
  const placed = order.map((index) => left[index]!.map((value) => (values[index]! < 0 ? -value : value)));
  return {
    left: [...placed, ...left.slice(size)],
    values: order.map((index) => Math.abs(values[index]!) * scale),
    right: [...order.map((index) => right[index]!), ...right.slice(size)],
  };
}

/** Returns the left and right rotations that diagonalize the block of rows and columns `p` and `q`. */
function planeRotations(work: readonly (readonly number[])[], p: number, q: number): [Rotation, Rotation] {
  const [a, b, c, d] = [work[p]![p]!, work[q]![p]!, work[p]![q]!, work[q]![q]!];
  const symmetric = symmetrizing(a + d, c - b);
  const right = jacobi(
    symmetric.c * a + symmetric.s * c,
    symmetric.c * b + symmetric.s * d,
    symmetric.c * d - symmetric.s * b,
  );
  const left = {
    c: symmetric.c * right.c + symmetric.s * right.s,
    s: symmetric.s * right.c - symmetric.c * right.s,
  };
  return [left, right];
}

function symmetrizing(sum: number, difference: number): Rotation {
  if (difference === 0) return { c: 1, s: 0 };
  const s = 1 / Math.hypot(1, sum / difference);
  return { c: (sum / difference) * s, s };
}

/** Returns the rotation that diagonalizes the symmetric block `[[x, y], [y, z]]`. */
function jacobi(x: number, y: number, z: number): Rotation {
  if (y === 0) return { c: 1, s: 0 };
  const tau = (x - z) / (2 * Math.abs(y));
  const root = Math.hypot(tau, 1);
  const tangent = 1 / (tau > 0 ? tau + root : tau - root);
  const c = 1 / Math.hypot(tangent, 1);
  return { c, s: -Math.sign(y) * tangent * c };
}
