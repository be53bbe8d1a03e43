/** @file Elimination in double precision on square matrices: inverse, determinant and triangular factors. */
import type { Columns } from "./matrix-functions.ts";

/**
 * Inverts a square matrix, given row by row, by Gauss-Jordan elimination with the largest pivot of each column. Returns
 * its determinant as well.
 */
export function eliminated(
  matrix: Float64Array,
  size: number,
): { inverse: Float64Array; determinant: number } {
  const rows = Array.from({ length: size }, (_, row) => [
    ...matrix.subarray(row * size, (row + 1) * size),
    ...Array.from({ length: size }, (__, column) => (row === column ? 1 : 0)),
  ]);
  let determinant = 1;
  for (let column = 0; column < size; column++) {
    const best = rows.reduce(
      (found, row, at) =>
        at >= column && Math.abs(row[column]!) > Math.abs(rows[found]![column]!) ? at : found,
      column,
    );
    if (best !== column) {
      [rows[column], rows[best]] = [rows[best]!, rows[column]!];
      determinant = -determinant;
    }
    const pivot = rows[column]![column]!;
    determinant *= pivot;
    const scaled = rows[column]!.map((value) => value / pivot);
    rows.forEach((row, at) => {
      const factor = row[column]!;
      rows[at] = at === column ? scaled : row.map((value, place) => value - factor * scaled[place]!);
    });
  }
  return { inverse: Float64Array.from(rows.flatMap((row) => row.slice(size))), determinant };
}

/** Returns the lower triangular Cholesky factor of a positive definite matrix, both row by row. */
export function lowerFactor(matrix: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let rest = matrix[row * size + column]!;
      for (let inner = 0; inner < column; inner++) {
        rest -= lower[row * size + inner]! * lower[column * size + inner]!;
      }
      lower[row * size + column] = row === column ? Math.sqrt(rest) : rest / lower[column * size + column]!;
    }
  }
  return lower;
}

/**
 * Eliminates by Gauss's method with the largest pivot of each column. Returns both triangular factors in one matrix;
 * `order` lists the given rows.
 */
export function eliminatedRows(matrix: Columns): { rows: readonly number[][]; order: readonly number[] } {
  const rows = matrix.map((_, row) => matrix.map((column) => column[row]!));
  const order = rows.map((_, row) => row);
  rows.forEach((_, step) => {
    const best = rows.reduce(
      (found, row, at) => (at > step && Math.abs(row[step]!) > Math.abs(rows[found]![step]!) ? at : found),
      step,
    );
    [rows[step], rows[best]] = [rows[best]!, rows[step]!];
    [order[step], order[best]] = [order[best]!, order[step]!];
    const pivot = rows[step]!;
    for (const row of rows.slice(step + 1)) {
      const factor = row[step]! / pivot[step]!;
      row[step] = factor;
      for (let at = step + 1; at < row.length; at++) row[at]! -= factor * pivot[at]!;
    }
  });
  return { rows, order };
}
