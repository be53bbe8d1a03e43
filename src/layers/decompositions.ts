/** Factors of matrices (`keras/src/ops/linalg.py`), made of differentiable steps. */
import { tf } from "../engine/tf.ts";
import { everyNth } from "./axes.ts";
import { unsupported } from "./config.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { matmul, swapped } from "./matrix-products.ts";
import { within } from "./ops-arrays.ts";

export const decompositionKernels: Readonly<Record<string, Kernel>> = { "ops.Qr": orthogonalTriangular };

/** Gram's and Schmidt's columns, made orthogonal twice, with the signs of Householder's reflections as LAPACK has them. */
function orthogonalTriangular({ inputs, config }: KernelCall): KernelResult {
  const matrix = inputs[0]!;
  const [rows, columns] = matrix.shape.slice(-2) as [number, number];
  if (config["mode"] === "complete" && rows > columns) {
    throw unsupported(config, "a complete QR decomposition", 'Use mode="reduced".');
  }
  const column = (index: number): tf.Tensor => everyNth(matrix, matrix.rank - 1, index, 1, 1);
  const made: tf.Tensor[] = [];
  for (let index = 0; index < Math.min(rows, columns); index++) {
    const rest = [1, 2].reduce((value) => withoutParts(value, made), column(index));
    made.push(tf.div(rest, tf.sqrt(tf.sum(tf.square(rest), -2, true))));
  }
  const orthogonal = tf.mul(tf.concat(made, -1), reflectionSigns(matrix));
  const triangular = matmul(swapped(orthogonal), matrix);
  return { outputs: [orthogonal, within(triangular, (row, at) => at >= row)] };
}

function withoutParts(vector: tf.Tensor, units: readonly tf.Tensor[]): tf.Tensor {
  return units.reduce(
    (rest, unit) => tf.sub(rest, tf.mul(unit, tf.sum(tf.mul(unit, rest), -2, true))),
    vector,
  );
}

/** Of the triangular factor's diagonal, which Gram and Schmidt make positive: `[..., 1, min(rows, columns)]`. */
function reflectionSigns(matrix: tf.Tensor): tf.Tensor {
  const [rows, columns] = matrix.shape.slice(-2) as [number, number];
  const count = Math.min(rows, columns);
  const values = matrix.dataSync();
  const signs = Array.from({ length: matrix.size / (rows * columns) }, (_, index) =>
    diagonalSigns(
      Array.from({ length: columns }, (__, column) =>
        Array.from({ length: rows }, (___, row) => values[(index * rows + row) * columns + column]!),
      ),
      count,
    ),
  );
  return tf.tensor(signs.flat(), [...matrix.shape.slice(0, -2), 1, count]);
}

/** Each reflection moves a column onto the axis away from its first value; one that lies there already stays. */
function diagonalSigns(columns: number[][], count: number): number[] {
  return Array.from({ length: count }, (_, step) => {
    const tail = columns[step]!.slice(step);
    const [head = 0] = tail;
    if (tail.slice(1).every((value) => value === 0)) return head < 0 ? -1 : 1;
    const target = -(Math.sign(head) || 1) * Math.hypot(...tail);
    const normal = tail.map((value, index) => (index === 0 ? value - target : value));
    const length = normal.reduce((sum, value) => sum + value * value, 0);
    for (const column of columns.slice(step)) {
      const along = normal.reduce((sum, value, index) => sum + value * column[step + index]!, 0);
      normal.forEach((value, index) => {
        column[step + index]! -= (2 * along * value) / length;
      });
    }
    return Math.sign(target);
  });
}
