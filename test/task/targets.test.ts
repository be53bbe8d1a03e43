import { expect, test } from "vitest";
import type { Loss } from "../../src/task/losses/loss.ts";
import { lossOf } from "../../src/task/losses/loss.ts";
import { areOfPositions, classCount, targetsFor } from "../../src/task/targets.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import { float32Tensor } from "../../src/tensor.ts";

const sparse = lossOf("sparse_categorical_crossentropy");
const oneHot = lossOf("categorical_crossentropy");
/** Targets for an output of this shape. */
const taken = (targets: Tensor, shape: Shape, loss: Loss) =>
  targetsFor(targets, { name: "out", shape, loss });
const given = (...shape: number[]) =>
  float32Tensor(new Float32Array(shape.reduce((size, length) => size * length, 1)), shape);

test.each([
  [given(4), [null, 3]],
  [given(4, 1), [null, 3]],
  [given(4, 3), [null, 3, 3]],
  [given(4, 5, 1), [null, 5, 3]],
])("class indices of one a sample or one a position are taken as they are: %#", (targets, output) => {
  expect(taken(targets, output, sparse).shape).toEqual(targets.shape);
});

test("a last dimension of 1 is added where the output has it", () => {
  expect(taken(given(4), [null, 1], lossOf("binary_crossentropy")).shape).toEqual([4, 1]);
  expect(taken(given(4, 5), [null, 5, 1], lossOf("mean_squared_error")).shape).toEqual([4, 5, 1]);
});

test("targets that the loss does not take are refused with the shape that it takes", () => {
  expect(() => taken(given(4, 3), [null, 3], sparse)).toThrow(/class indices \[N\], got \[4,3\]/);
  expect(() => taken(given(4), [null, 5, 3], sparse)).toThrow(/class indices \[N,5\], got \[4\]/);
  expect(() => taken(given(4), [null, 3], oneHot)).toThrow(/expected \[N,3\], got \[4\]/);
  expect(() => taken(given(4, 5), [null, 5, 3], oneHot)).toThrow(/expected \[N,5,3\], got \[4,5\]/);
  expect(() => taken(given(4, 2, 3), [null, null, 4], oneHot)).toThrow(/expected \[N,any,4\]/);
});

test("one-hot targets tell as many classes apart as their last dimension is long", () => {
  expect(classCount(given(4, 7))).toBe(7);
  expect(classCount(given(4, 5, 3))).toBe(3);
  expect(classCount(given(4))).toBe(2);
});

test("targets are of positions where they have the output's, and of samples elsewhere", () => {
  expect(areOfPositions(given(4, 5), [null, 5, 3])).toBe(true);
  expect(areOfPositions(given(4, 5, 3), [null, null, 3])).toBe(true);
  expect(areOfPositions(given(4, 3), [null, 5, 3])).toBe(false);
  expect(areOfPositions(given(4), [null, 7, 7, 64])).toBe(false);
  expect(areOfPositions(given(4, 3), [null, 3])).toBe(false);
});
