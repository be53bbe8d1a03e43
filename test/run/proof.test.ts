import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { Weights } from "../../src/checkpoint.ts";
import { hashFrozenWeights, proofOf } from "../../src/run/proof.ts";
import { float32Tensor } from "../../src/tensor.ts";

const weights = (values: Readonly<Record<string, readonly number[]>>): Weights =>
  new Map(
    Object.entries(values).map(([path, data]) => [
      path,
      [{ name: "kernel", ...float32Tensor(Float32Array.from(data), [data.length]) }],
    ]),
  );

test("each weight that nothing may move is hashed by its bytes, under its layer and name", () => {
  const hashes = hashFrozenWeights(weights({ a: [1, 2], b: [3] }), new Map([["b", new Set(["kernel"])]]));
  const expected = createHash("sha256")
    .update(Buffer.from(Float32Array.of(1, 2).buffer))
    .digest("hex");
  expect([...hashes]).toEqual([["a/kernel", expected]]);
});

test("a view into a larger buffer is hashed by its own bytes alone", () => {
  const view = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  const viewed = new Map([["a", [{ name: "kernel", ...float32Tensor(view, [2]) }]]]);
  expect(hashFrozenWeights(viewed, new Map())).toEqual(hashFrozenWeights(weights({ a: [1, 2] }), new Map()));
});

test("the proof fails when one bit of one weight moved, and names it", () => {
  const before = hashFrozenWeights(weights({ a: [1, 2], b: [0] }), new Map());
  const after = hashFrozenWeights(weights({ a: [1, 2], b: [-0] }), new Map());
  expect(proofOf(before, before).unchanged).toBe(true);
  const proof = proofOf(before, after);
  expect(proof.unchanged).toBe(false);
  expect(proof.weights.filter((weight) => weight.before !== weight.after).map(({ name }) => name)).toEqual([
    "b/kernel",
  ]);
});

test("a weight that is gone fails the proof", () => {
  const before = hashFrozenWeights(weights({ a: [1], b: [2] }), new Map());
  const after = hashFrozenWeights(weights({ a: [1] }), new Map());
  expect(proofOf(before, after).unchanged).toBe(false);
});
