/** @file Triangular decompositions of matrices (`keras/src/ops/linalg.py`). */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { everyNth } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { firstInput, noGradient } from "../kernel.ts";
import { eliminatedRows } from "../numerics/elimination.ts";
import { productOf, triangularized } from "../numerics/householder.ts";
import { ofEachMatrix, rowByRow } from "../numerics/matrix-functions.ts";
import { within } from "./arrays.ts";
import { matmul, swapped } from "./matrix-products.ts";
import { operandsOf } from "./operands.ts";

export const decompositionKernels: Readonly<Record<string, Kernel>> = {
  "ops.Qr": orthogonalTriangular,
  "ops.LuFactor": lowerUpper,
};

/**
 * Computes a QR decomposition by Gram-Schmidt, orthogonalizing twice. The signs are those of Householder reflections,
 * as in LAPACK.
 */
function orthogonalTriangular({ inputs, config }: KernelCall): KernelResult {
  const matrix = firstInput(inputs);
  const [rows, columns] = matrix.shape.slice(-2) as [number, number];
  if (config["mode"] === "complete" && rows > columns) return completeFactors(matrix, config);
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

/**
 * Computes the QR decomposition of tall matrices with a square orthogonal factor. Like TensorFlow, it has no gradient.
 */
function completeFactors(matrix: tf.Tensor, config: KernelCall["config"]): KernelResult {
  const [rows, columns] = matrix.shape.slice(-2) as [number, number];
  const outputs = ofEachMatrix(
    matrix,
    [
      [rows, rows],
      [rows, columns],
    ],
    (given) => {
      const { reflections, triangular } = triangularized(given);
      return [rowByRow(productOf(reflections, 0, rows, rows)), rowByRow(triangular)];
    },
    () => {
      const subject = "a complete QR decomposition of tall matrices";
      throw noGradient(config, subject, 'Use mode="reduced", or freeze what comes before it.');
    },
  );
  return { outputs };
}

function withoutParts(vector: tf.Tensor, units: readonly tf.Tensor[]): tf.Tensor {
  return units.reduce(
    (rest, unit) => tf.sub(rest, tf.mul(unit, tf.sum(tf.mul(unit, rest), -2, true))),
    vector,
  );
}

/**
 * Returns the signs of the triangular factor's diagonal, which is positive after Gram-Schmidt: `[..., 1, min(rows,
 * columns)]`.
 */
function reflectionSigns(matrix: tf.Tensor): tf.Tensor {
  const [rows, columns] = matrix.shape.slice(-2) as [number, number];
  const count = Math.min(rows, columns);
  const [signs] = ofEachMatrix(
    matrix,
    [[1, count]],
    (given) => [
      triangularized(given)
        .triangular.slice(0, count)
        .map((column, at) => (column[at]! < 0 ? -1 : 1)),
    ],
    () => tf.zeros(matrix.shape),
  );
  return signs!;
}

/**
 * Computes an LU decomposition. Both factors are in one matrix, without the lower one's diagonal of ones. The second
 * result is the new place of each row. Like TensorFlow, it has no gradient.
 */
function lowerUpper(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const size = sizeAt(x.shape, -1);
  const [factors, places] = ofEachMatrix(
    x,
    [[size, size], [size]],
    (matrix) => {
      const { rows, order } = eliminatedRows(matrix);
      return [rows.flat(), order.map((_, row) => order.indexOf(row))];
    },
    () => {
      throw noGradient(call.config, "an LU decomposition", "Freeze what comes before it.");
    },
  ) as [tf.Tensor, tf.Tensor];
  return { outputs: [factors, tf.cast(places, "int32")] };
}
