/**
 * @file Functions of matrices that no backend has an operation for, computed in double precision. Each has its own
 * gradient.
 */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { everyNth, product } from "../axes.ts";

/** A matrix as a list of its columns. */
export type Columns = readonly (readonly number[])[];

/** Computes the gradient of the matrices from all results and the gradients that reach them. */
export type MatrixGradient = (results: readonly tf.Tensor[], gradients: readonly tf.Tensor[]) => tf.Tensor;

/**
 * Computes several results of each of the matrices `[..., rows, columns]`: one tensor `[..., ...shape]` for each of
 * `shapes`.
 * @param compute Returns the values of each result, row by row.
 */
export function ofEachMatrix(
  x: tf.Tensor,
  shapes: readonly (readonly number[])[],
  compute: (matrix: Columns) => readonly (readonly number[])[],
  gradient: MatrixGradient,
): tf.Tensor[] {
  const lead = x.shape.slice(0, -2);
  const sizes = shapes.map(product);
  const parts = (packed: tf.Tensor): tf.Tensor[] => {
    let start = 0;
    return shapes.map((shape, index) => {
      const part = everyNth(packed, 1, start, sizes[index]!, 1);
      start += sizes[index]!;
      return tf.reshape(part, [...lead, ...shape]);
    });
  };
  // A custom gradient is that of a single tensor, so the results are packed into one.
  const packed = tf.customGrad((given, save) => {
    const rows = matricesOf(given as tf.Tensor).map((matrix) => compute(matrix).flat());
    const result = tf.tensor(Float32Array.from(rows.flat()), [rows.length, sizes.reduce((a, b) => a + b, 0)]);
    (save as tf.GradSaveFunc)([result]);
    return {
      value: result,
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
        tf.reshape(gradient(parts(saved!), parts(dy)), x.shape),
    };
  });
  return parts(packed(x));
}

function matricesOf(x: tf.Tensor): Columns[] {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const values = x.dataSync();
  return Array.from({ length: x.size / (rows * columns) }, (_, index) =>
    Array.from({ length: columns }, (__, column) =>
      Array.from({ length: rows }, (___, row) => values[(index * rows + row) * columns + column]!),
    ),
  );
}

/** Lists the values of a matrix row by row. */
export function rowByRow(columns: Columns): number[] {
  return (columns[0] ?? []).flatMap((_, row) => columns.map((column) => column[row]!));
}

/** Returns matrices with `[..., n]` on their diagonals. */
export function diagonalMatrices(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.expandDims(x, -1), tf.eye(sizeAt(x.shape, -1)));
}

/** Computes `1 / (x_column - x_row)`, and zero where they are equal. */
export function reciprocalDistances(x: tf.Tensor): tf.Tensor {
  return safeReciprocal(tf.sub(tf.expandDims(x, -2), tf.expandDims(x, -1)));
}

/** Computes the reciprocal, and zero for zero, as TensorFlow's gradients do. */
export function safeReciprocal(x: tf.Tensor): tf.Tensor {
  return tf.div(x, tf.add(tf.square(x), 1e-20));
}
