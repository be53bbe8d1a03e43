import { dense } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { product } from "../axes.ts";

/** Multiplies matrices like `numpy.matmul`: leading dimensions broadcast, and vectors count as a row or a column. */
export function matmul(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  if (a.rank > 1 && b.rank === 2) return dense(a, b);
  const left = a.rank === 1 ? tf.expandDims(a, 0) : a;
  const right = b.rank === 1 ? tf.expandDims(b, -1) : b;
  const lead = tf.broadcast_util.assertAndGetBroadcastShape(
    left.shape.slice(0, -2),
    right.shape.slice(0, -2),
  );
  const stacked = (x: tf.Tensor): tf.Tensor3D => {
    const matrix = x.shape.slice(-2);
    const spread = tf.broadcastTo(x, [...lead, ...matrix] as [number]);
    return tf.reshape(spread, [product(lead), ...matrix] as [number, number, number]);
  };
  const result = tf.matMul(stacked(left), stacked(right));
  const shape = [...lead, sizeAt(left.shape, -2), sizeAt(right.shape, -1)];
  return tf.reshape(result, vectorFree(shape, a.rank === 1, b.rank === 1));
}

/** Exchanges the last two axes. */
export function swapped(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

function vectorFree(shape: readonly number[], row: boolean, column: boolean): number[] {
  return shape.filter(
    (_, axis) => !(row && axis === shape.length - 2) && !(column && axis === shape.length - 1),
  );
}

/** Computes a sum of products by index letters, `"bij,bkj->bik"`, of one tensor or two. */
export function einsum(equation: string, operands: readonly tf.Tensor[]): tf.Tensor {
  const [left = "", output = ""] = equation.replaceAll(" ", "").split("->");
  const letters = left.split(",");
  const terms: Term[] = operands.map((tensor, index) => ({ tensor, letters: [...letters[index]!] }));
  const wanted = [...output];
  const [first, second] = terms;
  if (!first) throw new Error(`einsum ${equation}: no operands`);
  if (!second) return ordered(summedTo(first, wanted), wanted);
  const a = summedTo(first, [...wanted, ...second.letters]);
  const b = summedTo(second, [...wanted, ...first.letters]);
  const shared = a.letters.filter((letter) => b.letters.includes(letter));
  const batch = shared.filter((letter) => wanted.includes(letter));
  const inner = shared.filter((letter) => !wanted.includes(letter));
  const rows = a.letters.filter((letter) => !shared.includes(letter));
  const columns = b.letters.filter((letter) => !shared.includes(letter));
  const sizes = new Map([...sizesOf(a), ...sizesOf(b)]);
  const extent = (names: readonly string[]): number => product(names.map((name) => sizes.get(name)!));
  const lefts = tf.reshape(ordered(a, [...batch, ...rows, ...inner]), [
    extent(batch),
    extent(rows),
    extent(inner),
  ]);
  const rights = tf.reshape(ordered(b, [...batch, ...inner, ...columns]), [
    extent(batch),
    extent(inner),
    extent(columns),
  ]);
  const names = [...batch, ...rows, ...columns];
  const result = tf.reshape(
    tf.matMul(lefts as tf.Tensor3D, rights as tf.Tensor3D),
    names.map((name) => sizes.get(name)!),
  );
  return ordered({ tensor: result, letters: names }, wanted);
}

interface Term {
  readonly tensor: tf.Tensor;
  readonly letters: readonly string[];
}

/** Sums over letters that are not wanted. */
function summedTo({ tensor, letters }: Term, wanted: readonly string[]): Term {
  const lost = letters.flatMap((letter, axis) => (wanted.includes(letter) ? [] : [axis]));
  if (lost.length === 0) return { tensor, letters };
  return { tensor: tf.sum(tensor, lost), letters: letters.filter((_, axis) => !lost.includes(axis)) };
}

function ordered({ tensor, letters }: Term, wanted: readonly string[]): tf.Tensor {
  const order = wanted.map((letter) => letters.indexOf(letter));
  return order.every((axis, position) => axis === position) ? tensor : tf.transpose(tensor, order);
}

function sizesOf({ tensor, letters }: Term): [string, number][] {
  return letters.map((letter, axis) => [letter, sizeAt(tensor.shape, axis)]);
}
