/** @file Functions of keras.ops that treat a tensor as a whole, including its batch (`keras/src/ops/numpy.py`). */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import { padAxis } from "../axes.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { arrayParts, diagonalOf } from "./arrays.ts";
import { isClose } from "./elementwise.ts";
import { swapped } from "./matrix-products.ts";
import { argumentOf, ofOne, ofTwo, operandsOf, tensorList } from "./operands.ts";

export const acrossBatchKernels: Readonly<Record<string, Kernel>> = {
  "ops.Ravel": ofOne(flat),
  "ops.Flipud": ofOne((x) => tf.reverse(x, 0)),
  "ops.Size": ofOne((x) => tf.scalar(x.size, "int32")),
  "ops.Ndim": ofOne((x) => tf.scalar(x.rank, "int32")),
  "ops.Vstack": (call) => tf.concat(tensorList(argumentOf(call, 0, "xs")), 0),
  "ops.Vsplit": (call) => arrayParts(operandsOf(call, 1)[0], 0, call.config),
  "ops.Diag": (call) => {
    const x = operandsOf(call, 1)[0];
    const offset = numberAt(call.config, "k");
    return x.rank === 1 ? diagonalMatrix(x, offset) : diagonalOf(x, 0, 1, offset);
  },
  "ops.Diagflat": (call) => diagonalMatrix(flat(operandsOf(call, 1)[0]), numberAt(call.config, "k")),
  "ops.Meshgrid": meshgrid,
  "ops.Outer": ofTwo((a, b) => tf.mul(tf.reshape(a, [-1, 1]), tf.reshape(b, [1, -1]))),
  "ops.Vdot": ofTwo((a, b) => tf.sum(tf.mul(flat(a), flat(b)))),
  "ops.Kron": ofTwo(kronecker),
  "ops.Corrcoef": ofOne(correlations),
  "ops.Vander": ({ inputs, config }) => {
    const x = firstInput(inputs);
    const count = config["N"] == null ? sizeAt(x.shape, 0) : numberAt(config, "N");
    const powers = [tf.onesLike(x)];
    while (powers.length < count) powers.push(tf.mul(powers.at(-1)!, x));
    return tf.stack(isTrueAt(config, "increasing") ? powers : powers.reverse(), 1);
  },
  "ops.PSNR": (call) => {
    const [a, b] = operandsOf(call, 2);
    const decibels = tf.mul(tf.log(tf.mean(tf.square(tf.sub(a, b)))), -10 * Math.LOG10E);
    return tf.add(decibels, 20 * Math.log10(numberAt(call.config, "max_val")));
  },
  "ops.AllClose": (call) => tf.all(isClose(call)),
};

function flat(x: tf.Tensor): tf.Tensor {
  return tf.reshape(x, [-1]);
}

/** Puts a vector on a diagonal, `offset` above the main one, of a matrix of zeros. */
function diagonalMatrix(vector: tf.Tensor, offset: number): tf.Tensor {
  const size = vector.size;
  const square = tf.where(
    tf.cast(tf.eye(size), "bool"),
    tf.broadcastTo(vector, [size, size]),
    tf.zeros([size, size]),
  );
  const right = padAxis(square, 1, Math.max(0, offset), Math.max(0, -offset));
  return padAxis(right, 0, Math.max(0, -offset), Math.max(0, offset));
}

/** Spreads the values of each operand along an axis of its own. `xy` exchanges the first two axes. */
function meshgrid(call: KernelCall): { outputs: tf.Tensor[] } {
  const vectors = tensorList(call.args).map(flat);
  const order = vectors.map((_, index) => index);
  if (call.config["indexing"] === "xy" && order.length > 1) order.splice(0, 2, 1, 0);
  const shape = order.map((index) => vectors[index]!.size);
  const outputs = vectors.map((vector, index) => {
    const own = order.map((at) => (at === index ? vector.size : 1));
    return tf.broadcastTo(tf.reshape(vector, own), shape as [number]);
  });
  return { outputs };
}

/** Multiplies each value of `a` by the whole of `b`. The shorter shape is extended by leading ones. */
function kronecker(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const rank = Math.max(a.rank, b.rank);
  const sizesOf = (x: tf.Tensor): number[] => [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
  const [left, right] = [sizesOf(a), sizesOf(b)];
  const sum = tf.mul(
    tf.reshape(
      a,
      left.flatMap((size) => [size, 1]),
    ),
    tf.reshape(
      b,
      right.flatMap((size) => [1, size]),
    ),
  );
  return tf.reshape(
    sum,
    left.map((size, axis) => size * right[axis]!),
  );
}

/** Computes Pearson's correlations between the rows of a matrix. */
function correlations(x: tf.Tensor): tf.Tensor {
  const apart = tf.sub(x, tf.mean(x, -1, true));
  const products = tf.div(
    tf.matMul(apart as tf.Tensor2D, swapped(apart) as tf.Tensor2D),
    sizeAt(x.shape, -1) - 1,
  );
  const deviations = tf.sqrt(diagonalOf(products, 0, 1, 0));
  const scale = tf.mul(tf.reshape(deviations, [-1, 1]), tf.reshape(deviations, [1, -1]));
  return tf.clipByValue(tf.div(products, scale), -1, 1);
}
