/**
 * @file Functions of keras.ops on the matrices in the last two axes, and products over named axes
 * (`keras/src/ops/linalg.py`, `numpy.py`).
 */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, stringAt } from "../../topology/config-values.ts";
import { einsumLetters, tensordotAxes } from "../../topology/specs/ops-contractions.ts";
import { axisOf } from "../axes.ts";
import type { Kernel } from "../kernel.ts";
import { eliminated, lowerFactor } from "../numerics/elimination.ts";
import { within } from "./arrays.ts";
import { einsum, matmul, swapped } from "./matrix-products.ts";
import { ofOne, ofTwo, operandsOf, tensorList } from "./operands.ts";

export const linearAlgebraKernels: Readonly<Record<string, Kernel>> = {
  "ops.Einsum": (call) => {
    const operands = tensorList(call.args);
    const { terms, output } = einsumLetters(
      stringAt(call.config, "subscripts"),
      operands.map(({ shape }) => shape),
    );
    return einsum(`${terms.join(",")}->${output}`, operands);
  },
  "ops.Inner": ofTwo((a, b) => contracted(a, b, [a.rank - 1], [b.rank - 1])),
  "ops.Tensordot": (call) => {
    const [a, b] = operandsOf(call, 2);
    const [left, right] = tensordotAxes(call.config["axes"], a.rank);
    return contracted(a, b, left, right);
  },
  "ops.Cross": ofTwo(cross),
  "ops.Det": ofOne(determinant),
  "ops.Logdet": ofOne((matrix) => tf.log(determinant(matrix))),
  "ops.Slogdet": (call) => {
    const size = determinant(operandsOf(call, 1)[0]);
    return { outputs: [tf.sign(size), tf.log(tf.abs(size))] };
  },
  "ops.CDist": ofTwo((a, b) => {
    const apart = tf.sub(tf.expandDims(a, -2), tf.expandDims(b, -3));
    return tf.sqrt(tf.sum(tf.square(apart), -1));
  }),
  "ops.Inv": ofOne(inverse),
  "ops.Cholesky": (call) => {
    const lower = cholesky(operandsOf(call, 1)[0]);
    return isTrueAt(call.config, "upper") ? swapped(lower) : lower;
  },
  "ops.CholeskyInverse": (call) => {
    const upper = isTrueAt(call.config, "upper");
    const factor = within(operandsOf(call, 1)[0], (row, column) => (upper ? column >= row : column <= row));
    const inverted = inverse(factor);
    return upper ? matmul(inverted, swapped(inverted)) : matmul(swapped(inverted), inverted);
  },
  "ops.Solve": ofTwo((a, b) => solved(inverse(a), b)),
  "ops.SolveTriangular": (call) => {
    const [a, b] = operandsOf(call, 2);
    const lower = isTrueAt(call.config, "lower");
    return solved(inverse(within(a, (row, column) => (lower ? column <= row : column >= row))), b);
  },
};

/** Sums products over pairs of axes. */
function contracted(
  a: tf.Tensor,
  b: tf.Tensor,
  left: readonly number[],
  right: readonly number[],
): tf.Tensor {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const first = a.shape.map(() => letters.shift()!);
  const second = b.shape.map(() => letters.shift()!);
  left.forEach((axis, index) => {
    second[axisOf(right[index]!, b.rank)] = first[axisOf(axis, a.rank)]!;
  });
  const kept = [...first, ...second].filter(
    (letter, _, all) => all.indexOf(letter) === all.lastIndexOf(letter),
  );
  return einsum(`${first.join("")},${second.join("")}->${kept.join("")}`, [a, b]);
}

/** Computes the cross product of three-dimensional vectors along the last axis. */
function cross(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const [a0, a1, a2] = tf.split(a, 3, a.rank - 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const [b0, b1, b2] = tf.split(b, 3, b.rank - 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const minor = (p: tf.Tensor, q: tf.Tensor, r: tf.Tensor, s: tf.Tensor): tf.Tensor =>
    tf.sub(tf.mul(p, q), tf.mul(r, s));
  return tf.concat([minor(a1, b2, a2, b1), minor(a2, b0, a0, b2), minor(a0, b1, a1, b0)], -1);
}

/** Solves by a given inverse. A `b` of one rank less is a vector. */
function solved(inverted: tf.Tensor, b: tf.Tensor): tf.Tensor {
  if (b.rank === inverted.rank) return matmul(inverted, b);
  return tf.squeeze(matmul(inverted, tf.expandDims(b, -1)), [-1]);
}

/** Computes on each matrix in double precision in JavaScript: no backend has an operation for it. */
function eachMatrix(
  x: tf.Tensor,
  outputShape: readonly number[],
  compute: (matrix: Float64Array, size: number) => ArrayLike<number>,
): tf.Tensor {
  const size = sizeAt(x.shape, -1);
  const values = x.dataSync();
  const area = size * size;
  const results = Array.from({ length: values.length / area }, (_, index) =>
    compute(Float64Array.from(values.subarray(index * area, (index + 1) * area)), size),
  );
  return tf.tensor(Float32Array.from(results.flatMap((result) => Array.from(result))), [...outputShape]);
}

/** Computes the inverse. Its gradient is `-inverse^T dy inverse^T`. */
function inverse(x: tf.Tensor): tf.Tensor {
  const invert = tf.customGrad((matrix, save) => {
    const result = eachMatrix(
      matrix as tf.Tensor,
      x.shape,
      (values, size) => eliminated(values, size).inverse,
    );
    (save as tf.GradSaveFunc)([result]);
    return {
      value: result,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const turned = swapped(saved[0]!);
        return tf.neg(matmul(turned, matmul(dy, turned)));
      },
    };
  });
  return invert(x);
}

/** Computes the determinant. Its gradient is itself times the transposed inverse. */
function determinant(x: tf.Tensor): tf.Tensor {
  const compute = tf.customGrad((matrix, save) => {
    const given = matrix as tf.Tensor;
    const result = eachMatrix(given, x.shape.slice(0, -2), (values, size) => [
      eliminated(values, size).determinant,
    ]);
    const inverted = eachMatrix(given, x.shape, (values, size) => eliminated(values, size).inverse);
    (save as tf.GradSaveFunc)([result, inverted]);
    return {
      value: result,
      gradFunc: (dy: tf.Tensor, [value, inverted]: tf.Tensor[]) =>
        tf.mul(swapped(inverted!), tf.reshape(tf.mul(dy, value!), [...x.shape.slice(0, -2), 1, 1])),
    };
  });
  return compute(x);
}

/** Computes the lower factor of a positive definite matrix. Its gradient is symmetric, as in TensorFlow. */
function cholesky(x: tf.Tensor): tf.Tensor {
  const factor = tf.customGrad((matrix, save) => {
    const result = eachMatrix(matrix as tf.Tensor, x.shape, lowerFactor);
    (save as tf.GradSaveFunc)([result]);
    return {
      value: result,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const lower = saved[0]!;
        const inverted = eachMatrix(lower, x.shape, (values, size) => eliminated(values, size).inverse);
        const inner = within(matmul(swapped(lower), dy), (row, column) => column <= row);
        const halved = tf.mul(inner, tf.sub(1, tf.mul(tf.eye(sizeAt(x.shape, -1)), 0.5)));
        const gradient = matmul(matmul(swapped(inverted), halved), inverted);
        return tf.mul(tf.add(gradient, swapped(gradient)), 0.5);
      },
    };
  });
  return factor(x);
}
