/** @file Matrix products on the WebAssembly backend, which is fast only for a single pair that is not transposed. */

import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import { wrap } from "./replace-kernel.ts";

interface Attributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** The number of multiplications in one pair below which splitting a batch costs more than it saves. */
const smallProduct = 20_000;

export function registerMatrixProduct(): void {
  wrap("BatchMatMul", (call, original) => {
    const [a, b] = [call.inputs["a"] as tf.Tensor, call.inputs["b"] as tf.Tensor];
    const { transposeA, transposeB } = call.attrs as unknown as Attributes;
    const multiply = (left: tf.Tensor, right: tf.Tensor): tf.Tensor =>
      original({
        ...call,
        inputs: { a: left, b: ofOneShape(right) },
        attrs: { transposeA: false, transposeB: false },
      }) as tf.Tensor;
    const [batchA, batchB] = [batchOf(a), batchOf(b)];
    if (batchA === 1 && batchB === 1 && a.shape.length === b.shape.length) {
      if (!transposeA && !transposeB && hasOneShape(b)) return original(call);
      return tf.tidy(() => ownTensor(multiply(turned(a, transposeA), turned(b, transposeB))));
    }
    const product = (a.size / batchA) * (transposeB ? sizeAt(b.shape, -2) : sizeAt(b.shape, -1));
    if (product < smallProduct) return original(call);
    return tf.tidy(() =>
      batched(turned(a, transposeA), turned(b, transposeB), (x, y) => ownTensor(multiply(x, y))),
    );
  });
}

/** The shape that the data of each second operand has been multiplied in. */
const multipliedShapes = new WeakMap<object, string>();

/**
 * Tells if the data of a second operand has been multiplied in its present shape alone. The backend keeps what it has
 * prepared of it by the data, and would take a reshaped matrix for the one before.
 */
function hasOneShape({ dataId, shape }: tf.Tensor): boolean {
  const known = multipliedShapes.get(dataId) ?? shape.join();
  multipliedShapes.set(dataId, known);
  return known === shape.join();
}

function ofOneShape(operand: tf.Tensor): tf.Tensor {
  return hasOneShape(operand)
    ? operand
    : tf.slice(
        operand,
        operand.shape.map(() => 0),
        operand.shape,
      );
}

/** Makes a tensor of a kernel's result, which a tidy then releases. */
function ownTensor(info: tf.TensorInfo): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(info);
}

function batchOf(tensor: tf.Tensor): number {
  return tensor.shape.slice(0, -2).reduce((all, size) => all * size, 1);
}

function turned(tensor: tf.Tensor, transpose: boolean): tf.Tensor {
  if (!transpose) return tensor;
  const last = tensor.rank - 1;
  return tf.transpose(tensor, [...Array.from({ length: last - 1 }, (_, axis) => axis), last, last - 1]);
}

function batched(a: tf.Tensor, b: tf.Tensor, multiply: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): tf.Tensor {
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const count = batch.reduce((all, size) => all * size, 1);
  const [as, bs] = [matricesOf(a, batch), matricesOf(b, batch)];
  const products = Array.from({ length: count }, (_, index) => multiply(as(index), bs(index)));
  return tf.reshape(tf.stack(products), [...batch, sizeAt(a.shape, -2), sizeAt(b.shape, -1)]);
}

/** Returns a function that reads the matrices of a batch one by one, as if they were broadcast to `batch`. */
function matricesOf(tensor: tf.Tensor, batch: readonly number[]): (index: number) => tf.Tensor {
  const own = tensor.shape.slice(0, -2);
  const [rows, columns] = tensor.shape.slice(-2) as [number, number];
  const whole = own.length === batch.length && own.every((size, axis) => size === batch[axis]);
  const full = whole ? tensor : tf.broadcastTo(tensor, [...batch, rows, columns] as never);
  const list = tf.reshape(full, [-1, rows, columns]) as tf.Tensor3D;
  return (index) => tf.reshape(tf.slice(list, [index, 0, 0], [1, rows, columns]), [rows, columns]);
}
