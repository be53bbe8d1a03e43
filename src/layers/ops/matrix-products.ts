import { nativeBackend } from "../../engine/native-engine.ts";
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
  const one = summedTo(first, [...wanted, ...second.letters]);
  const other = summedTo(second, [...wanted, ...first.letters]);
  const shared = one.letters.filter((letter) => other.letters.includes(letter));
  const batch = shared.filter((letter) => wanted.includes(letter));
  const inner = shared.filter((letter) => !wanted.includes(letter));
  const free = ({ letters: own }: Term): string[] => own.filter((letter) => !shared.includes(letter));
  const inOrder = (term: Term, next: Term): boolean =>
    sameOrder([...batch, ...free(term), ...free(next)], wanted);
  // The operand whose letters come first in the result makes its rows, so that the result need not be transposed.
  const [a, b] = inOrder(other, one) && !inOrder(one, other) ? [other, one] : [one, other];
  const sizes = new Map([...sizesOf(a), ...sizesOf(b)]);
  const rows = matrices(a, { batch, rows: free(a), columns: inner }, sizes);
  const columns = matrices(b, { batch, rows: inner, columns: free(b) }, sizes);
  const names = [...batch, ...free(a), ...free(b)];
  const result = tf.reshape(
    tf.matMul(rows.tensor, columns.tensor, rows.transposed, columns.transposed),
    names.map((name) => sizes.get(name)!),
  );
  return ordered({ tensor: result, letters: names }, wanted);
}

/** The letters of an operand by their part in a product of matrices. */
interface Parts {
  readonly batch: readonly string[];
  readonly rows: readonly string[];
  readonly columns: readonly string[];
}

/**
 * Returns an operand as matrices, `[batch, rows, columns]` or transposed, without the batch if no letter makes one. It is moved only
 * if it has neither order: TensorFlow multiplies transposed matrices as fast, and moves fastest where the last axis stays.
 */
function matrices(
  term: Term,
  { batch, rows, columns }: Parts,
  sizes: ReadonlyMap<string, number>,
): { readonly tensor: tf.Tensor; readonly transposed: boolean } {
  const extent = (names: readonly string[]): number => product(names.map((name) => sizes.get(name)!));
  const [plain, turned] = [
    [...batch, ...rows, ...columns],
    [...batch, ...columns, ...rows],
  ];
  const isTurned = sameOrder(turned, term.letters);
  const keepsLast = nativeBackend() !== undefined && turned.at(-1) === term.letters.at(-1);
  const transposed = !sameOrder(plain, term.letters) && (isTurned || keepsLast);
  const shape = transposed ? [extent(columns), extent(rows)] : [extent(rows), extent(columns)];
  const tensor = tf.reshape(
    ordered(term, transposed ? turned : plain),
    batch.length > 0 ? [extent(batch), ...shape] : shape,
  );
  return { tensor, transposed };
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
  return sameOrder(letters, wanted) ? tensor : tf.transpose(tensor, order);
}

function sameOrder(letters: readonly string[], others: readonly string[]): boolean {
  return letters.length === others.length && letters.every((letter, axis) => letter === others[axis]);
}

function sizesOf({ tensor, letters }: Term): [string, number][] {
  return letters.map((letter, axis) => [letter, sizeAt(tensor.shape, axis)]);
}
