/** @file Norms of vectors and matrices (`keras/src/backend/tensorflow/linalg.py`, norm). */
import type { Json } from "../../checkpoint.ts";
import { max } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { inverseOrder } from "../axes.ts";
import { singularValues } from "./spectral-decompositions.ts";

/**
 * Computes the norm of vectors along one axis or of matrices along two axes. Reduced axes are kept with size 1. Returns
 * undefined for an order that Keras does not have.
 */
export function norm(x: tf.Tensor, axes: readonly number[], order: Json): tf.Tensor | undefined {
  if (order === null || order === "fro" || (order === 2 && axes.length === 1)) {
    return tf.sqrt(tf.sum(tf.square(x), [...axes], true));
  }
  if (axes.length === 1) return typeof order === "number" ? vectorNorm(tf.abs(x), axes, order) : undefined;
  if (axes.length === 2) return matrixNorm(x, axes as readonly [number, number], order);
  return undefined;
}

function vectorNorm(size: tf.Tensor, axes: readonly number[], order: number): tf.Tensor {
  if (order === Number.POSITIVE_INFINITY) return max(size, axes, true);
  if (order === Number.NEGATIVE_INFINITY) return least(size, axes);
  if (order === 0) return tf.sum(tf.cast(tf.notEqual(size, 0), "float32"), [...axes], true);
  return tf.pow(tf.sum(tf.pow(size, order), [...axes], true), 1 / order);
}

/** Computes the largest or smallest sum of a row or column, or a function of the singular values. */
function matrixNorm(
  x: tf.Tensor,
  [row, column]: readonly [number, number],
  order: Json,
): tf.Tensor | undefined {
  const sums = (axis: number): tf.Tensor => tf.sum(tf.abs(x), axis, true);
  switch (order) {
    case 1:
      return max(sums(row), [column], true);
    case -1:
      return least(sums(row), [column]);
    case Number.POSITIVE_INFINITY:
      return max(sums(column), [row], true);
    case Number.NEGATIVE_INFINITY:
      return least(sums(column), [row]);
    case 2:
      return ofSingularValues(x, row, column, (values) => max(values, [values.rank - 1], true));
    case -2:
      return ofSingularValues(x, row, column, (values) => least(values, [values.rank - 1]));
    case "nuc":
      return ofSingularValues(x, row, column, (values) => tf.sum(values, -1, true));
    default:
      return undefined;
  }
}

function ofSingularValues(
  x: tf.Tensor,
  row: number,
  column: number,
  reduce: (values: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== row && axis !== column);
  const order = [...others, row, column];
  const values = reduce(singularValues(tf.transpose(x, order)));
  return tf.transpose(tf.expandDims(values, -1), inverseOrder(order));
}

function least(x: tf.Tensor, axes: readonly number[]): tf.Tensor {
  return tf.neg(max(tf.neg(x), axes, true));
}
