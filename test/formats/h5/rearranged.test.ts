import { expect, test } from "vitest";
import { joinedLast, reversed, squeezed, transposed } from "../../../src/formats/h5/rearranged.ts";
import type { StoredWeight } from "../../../src/formats/stored-weights.ts";

/** Counts up from `first`, row-major. */
function counting(shape: readonly number[], first = 0): StoredWeight {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length }, (_, index) => first + index);
  return { name: "kernel", shape, dtype: "float32", read: () => ({ dtype: "float32", shape, data }) };
}

/** The value at an index of a counting tensor. */
function at(shape: readonly number[], index: readonly number[]): number {
  return index.reduce((position, own, axis) => position * shape[axis]! + own, 0);
}

function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, size) => all.flatMap((index) => Array.from({ length: size }, (_, own) => [...index, own])),
    [[]],
  );
}

test("axis i of a transposed weight is the stored weight's axis axes[i]", () => {
  const shape = [2, 3, 4, 5];
  const axes = [2, 3, 1, 0];
  const turned = transposed(counting(shape), axes);
  expect(turned.shape).toEqual([4, 5, 3, 2]);
  const { data } = turned.read();
  const wanted = indices(turned.shape).map((index) =>
    at(
      shape,
      shape.map((_, axis) => index[axes.indexOf(axis)]!),
    ),
  );
  expect([...data]).toEqual(wanted);
});

test("a reversed weight runs backwards along its first axes only", () => {
  const shape = [3, 2, 2];
  const { data } = reversed(counting(shape), 2).read();
  expect([...data]).toEqual(indices(shape).map(([a, b, c]) => at(shape, [2 - a!, 1 - b!, c!])));
});

test("each row of joined weights is the parts' rows side by side", () => {
  const joined = joinedLast([counting([2, 2]), counting([2, 1], 10), counting([2, 2], 20)]);
  expect(joined.shape).toEqual([2, 5]);
  expect([...joined.read().data]).toEqual([0, 1, 10, 20, 21, 2, 3, 11, 22, 23]);
});

test("a squeezed weight has the same numbers without the axis", () => {
  const line = squeezed(counting([3, 1, 2]), 1);
  expect(line.read().shape).toEqual([3, 2]);
  expect(line.read().data).toEqual(counting([3, 1, 2]).read().data);
});

test("a rearranged weight is not read before its values are wanted", () => {
  const untouchable: StoredWeight = {
    ...counting([2, 2]),
    read: () => {
      throw new Error("read");
    },
  };
  const turned = joinedLast([transposed(untouchable, [1, 0]), reversed(untouchable, 1)]);
  expect(turned.shape).toEqual([2, 4]);
  expect(() => turned.read()).toThrow("read");
});
