/**
 * @file Eigenvalues, singular values and functions of them (`keras/src/ops/linalg.py`), with TensorFlow's gradients
 * (`linalg_grad.py`).
 */
import { max } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt } from "../../topology/config-values.ts";
import { everyNth } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { firstInput, noGradient } from "../kernel.ts";
import { eigenvectorsOf } from "../numerics/eigenvectors.ts";
import {
  diagonalMatrices,
  ofEachMatrix,
  reciprocalDistances,
  rowByRow,
  safeReciprocal,
} from "../numerics/matrix-functions.ts";
import { singularValuesOf } from "../numerics/singular-values.ts";
import { within } from "./arrays.ts";
import { matmul, swapped } from "./matrix-products.ts";
import { operandsOf } from "./operands.ts";

export const spectralKernels: Readonly<Record<string, Kernel>> = {
  "ops.Eigh": (call) => ({ outputs: symmetricEigenvectors(operandsOf(call, 1)[0]) }),
  "ops.SVD": singularVectors,
  "ops.Pinv": pseudoInverse,
  "ops.Lstsq": leastSquares,
  "ops.MatrixRank": ({ inputs, config }) => {
    const values = singularValues(firstInput(inputs));
    const size = Math.max(...firstInput(inputs).shape.slice(-2));
    const least = config["tol"] ?? null;
    const bound = least === null ? tf.mul(max(values, [-1], true), float32Epsilon * size) : Number(least);
    return tf.sum(tf.cast(tf.greater(values, bound), "int32"), -1);
  },
};

const float32Epsilon = 2 ** -23;

/**
 * Computes eigenvalues `[..., n]` in ascending order and eigenvectors as columns `[..., n, n]`. Values above the
 * diagonal are not read.
 */
function symmetricEigenvectors(x: tf.Tensor): tf.Tensor[] {
  const size = sizeAt(x.shape, -1);
  return ofEachMatrix(
    x,
    [[size], [size, size]],
    (matrix) => {
      const { values, vectors } = eigenvectorsOf(matrix);
      return [values, rowByRow(vectors)] as const;
    },
    ([values, vectors], [toValues, toVectors]) => {
      const turning = tf.mul(reciprocalDistances(values!), matmul(swapped(vectors!), toVectors!));
      const inner = matmul(tf.add(diagonalMatrices(toValues!), turning), swapped(vectors!));
      const whole = matmul(vectors!, inner);
      const folded = within(tf.add(whole, swapped(whole)), (row, column) => column <= row);
      return tf.mul(folded, tf.sub(1, tf.mul(tf.eye(size), 0.5)));
    },
  );
}

function singularVectors(call: KernelCall): KernelResult | tf.Tensor {
  const x = operandsOf(call, 1)[0];
  if (!isTrueAt(call.config, "compute_uv")) return singularValues(x);
  const [left, values, right] = decomposed(x, isTrueAt(call.config, "full_matrices"), () => {
    const subject = "an SVD with full_matrices of matrices so far from square";
    return noGradient(call.config, subject, "Use full_matrices=False, or freeze what comes before it.");
  });
  return { outputs: [left, values, swapped(right)] };
}

/** Computes the singular values of `[..., rows, columns]` in descending order: `[..., min(rows, columns)]`. */
export function singularValues(x: tf.Tensor): tf.Tensor {
  return decomposed(x)[1];
}

/**
 * Computes left vectors, singular values and right vectors. Vectors are columns. With `full`, vectors without a
 * singular value are included.
 */
function decomposed(
  x: tf.Tensor,
  full = false,
  refusal?: () => Error,
): [left: tf.Tensor, values: tf.Tensor, right: tf.Tensor] {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const count = Math.min(rows, columns);
  const shapes = [[rows, full ? rows : count], [count], [columns, full ? columns : count]];
  return ofEachMatrix(
    x,
    shapes,
    (matrix) => {
      const { left, values, right } = singularValuesOf(matrix, full);
      return [rowByRow(left), values, rowByRow(right)];
    },
    (results, gradients) => {
      if (full && Math.abs(rows - columns) > 1) throw refusal!();
      const [left, values, right] = results as [tf.Tensor, tf.Tensor, tf.Tensor];
      const [toLeft, toValues, toRight] = gradients as [tf.Tensor, tf.Tensor, tf.Tensor];
      if (rows <= columns) return ofWide(left, values, right, toLeft, toValues, toRight);
      return swapped(ofWide(right, values, left, toRight, toValues, toLeft));
    },
  ) as [tf.Tensor, tf.Tensor, tf.Tensor];
}

/** Computes the gradient of the decomposition of matrices that are not taller than wide. */
function ofWide(
  left: tf.Tensor,
  values: tf.Tensor,
  right: tf.Tensor,
  toLeft: tf.Tensor,
  toValues: tf.Tensor,
  toRight: tf.Tensor,
): tf.Tensor {
  const count = sizeAt(values.shape, -1);
  const others = sizeAt(right.shape, -1) - count;
  const first = (x: tf.Tensor): tf.Tensor => everyNth(x, x.rank - 1, 0, count, 1);
  const [near, toNear] = [first(right), first(toRight)];
  const distances = reciprocalDistances(tf.square(values));
  const bothWays = (x: tf.Tensor): tf.Tensor => tf.add(x, swapped(x));
  const turnedLeft = bothWays(tf.mul(distances, matmul(swapped(left), toLeft)));
  const turnedRight = bothWays(tf.mul(distances, matmul(swapped(near), toNear)));
  const inner = tf.add(
    diagonalMatrices(toValues),
    tf.add(tf.mul(turnedLeft, tf.expandDims(values, -2)), tf.mul(turnedRight, tf.expandDims(values, -1))),
  );
  const alongNear = matmul(left, matmul(inner, swapped(near)));
  if (left.shape.at(-2) === right.shape.at(-2)) return alongNear;
  const turned = swapped(toNear);
  let outside = tf.sub(turned, matmul(matmul(turned, near), swapped(near)));
  if (others > 0) {
    const rest = (x: tf.Tensor): tf.Tensor => everyNth(x, x.rank - 1, count, others, 1);
    outside = tf.sub(outside, matmul(matmul(swapped(near), rest(toRight)), swapped(rest(right))));
  }
  const inverted = tf.mul(left, tf.expandDims(safeReciprocal(values), -2));
  return tf.add(alongNear, matmul(inverted, outside));
}

/** Computes the pseudoinverse, in which small singular values count as zero. */
function pseudoInverse(call: KernelCall): tf.Tensor {
  const x = operandsOf(call, 1)[0];
  const [left, values, right] = decomposed(x);
  const given = call.config["rcond"] ?? null;
  const share = given === null ? 10 * Math.max(...x.shape.slice(-2)) * float32Epsilon : Number(given);
  const seen = tf.greater(values, tf.mul(max(values, [-1], true), share));
  const divisors = tf.where(seen, values, tf.fill(values.shape, Number.POSITIVE_INFINITY));
  return matmul(tf.div(right, tf.expandDims(divisors, -2)), swapped(left));
}

/** Computes the shortest `x` for which `a x` is nearest to `b`, a vector or a matrix. */
function leastSquares(call: KernelCall): tf.Tensor {
  const [a, b] = operandsOf(call, 2);
  const [left, values, right] = decomposed(a);
  const given = call.config["rcond"] ?? null;
  const share = given === null ? Math.max(...a.shape) * float32Epsilon : Number(given);
  const seen = tf.greaterEqual(values, tf.mul(max(values, [-1], true), share < 0 ? float32Epsilon : share));
  const inverted = tf.where(
    seen,
    tf.reciprocal(tf.where(seen, values, tf.onesLike(values))),
    tf.zerosLike(values),
  );
  const columns = b.rank === 1 ? tf.expandDims(b, -1) : b;
  const parts = tf.mul(tf.expandDims(inverted, -1), matmul(swapped(left), columns));
  const result = matmul(right, parts);
  return b.rank === 1 ? tf.reshape(result, [-1]) : result;
}
