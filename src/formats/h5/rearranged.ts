import { elementCount, sizeAt, type Tensor, type TensorData } from "../../tensor.ts";
import type { StoredWeight } from "../stored-weights.ts";

/**
 * Returns the weight with its axes reordered when it is read: `[2, 3, 1, 0]` turns out, in, rows, columns into rows,
 * columns, in, out.
 */
export function transposed(stored: StoredWeight, axes: readonly number[]): StoredWeight {
  const strides = stridesOf(stored.shape);
  return gathered(
    stored,
    axes.map((axis) => sizeAt(stored.shape, axis)),
    axes.map((axis) => sizeAt(strides, axis)),
    0,
  );
}

/** Returns the weight reversed along its first `count` axes. */
export function reversed(stored: StoredWeight, count: number): StoredWeight {
  const strides = stridesOf(stored.shape);
  const offset = strides.reduce(
    (sum, stride, axis) => (axis < count ? sum + stride * (sizeAt(stored.shape, axis) - 1) : sum),
    0,
  );
  return gathered(
    stored,
    stored.shape,
    strides.map((stride, axis) => (axis < count ? -stride : stride)),
    offset,
  );
}

/** Returns the weight without an axis of length 1. */
export function squeezed(stored: StoredWeight, axis: number): StoredWeight {
  const shape = stored.shape.toSpliced(axis, 1);
  return { ...stored, shape, read: () => ({ ...stored.read(), shape }) };
}

/** Joins weights along the last axis. Their shapes must agree in all other axes. */
export function joinedLast(parts: readonly StoredWeight[]): StoredWeight {
  const [first, ...rest] = parts;
  if (!first) throw new Error("joinedLast: expected at least one weight");
  const width = parts.reduce((sum, part) => sum + (part.shape.at(-1) ?? 1), 0);
  const shape = [...first.shape.slice(0, -1), width];
  const read = (): Tensor => {
    const [one, ...others] = [first.read(), ...rest.map((part) => part.read())] as const;
    const data = emptyLike(one.data, elementCount(shape));
    let start = 0;
    for (const tensor of [one, ...others]) {
      const own = tensor.shape.at(-1) ?? 1;
      for (let row = 0; row * own < tensor.data.length; row += 1) {
        for (let column = 0; column < own; column += 1) {
          data[row * width + start + column] = tensor.data[row * own + column]!;
        }
      }
      start += own;
    }
    return { dtype: one.dtype, shape, data };
  };
  return { ...first, shape, read };
}

function stridesOf(shape: readonly number[]): readonly number[] {
  return shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
}

/**
 * Returns the weight whose element at each index of `shape` is the stored one at `offset` plus the index times
 * `strides`.
 */
function gathered(
  stored: StoredWeight,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): StoredWeight {
  const read = (): Tensor => {
    const { dtype, data } = stored.read();
    const out = emptyLike(data, data.length);
    const index = shape.map(() => 0);
    let source = offset;
    for (let at = 0; at < out.length; at += 1) {
      out[at] = data[source]!;
      for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
        source += strides[axis]!;
        if (++index[axis]! < shape[axis]!) break;
        source -= strides[axis]! * shape[axis]!;
        index[axis] = 0;
      }
    }
    return { dtype, shape, data: out };
  };
  return { ...stored, shape, read };
}

/** Elements are copied between arrays of the same kind, which the compiler cannot infer. */
type Elements = { [index: number]: number | bigint; readonly length: number } & TensorData;

function emptyLike(data: TensorData, length: number): Elements {
  const kind = data.constructor as new (length: number) => Elements;
  return new kind(length);
}
