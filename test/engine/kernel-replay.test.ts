import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { recordKernels } from "../../src/engine/kernel-replay.ts";
import { record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  await ensureEngine();
});

const valuesOf = (tensors: readonly tf.Tensor[]) => tensors.map((tensor) => Array.from(tensor.dataSync()));

/** Returns what a computation gives for other inputs, by its replay and by itself, and releases everything. */
function both(
  compute: (inputs: readonly tf.Tensor[]) => tf.Tensor[],
  first: readonly number[],
  then: readonly number[],
): { readonly replayed: number[][]; readonly called: number[][] } {
  const before = tf.memory().numTensors;
  const [one, other] = [first, then].map((values) => [tf.tensor([...values])]) as [tf.Tensor[], tf.Tensor[]];
  const { results, replay } = recordKernels(one, () => tf.tidy(() => compute(one)));
  tf.dispose([...results]);
  replay.run(one).forEach((tensor) => {
    tensor.dispose();
  });
  const replayed = replay.run(other);
  const called = tf.tidy(() => compute(other));
  const found = { replayed: valuesOf(replayed), called: valuesOf(called) };
  tf.dispose([one, other, replayed, called]);
  replay.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return found;
}

describe("a replay of kernels", () => {
  test("computes other inputs as the computation does, with its gradients and the numbers that it makes itself", () => {
    const { replayed, called } = both(
      ([x]) => {
        const input = x as tf.Tensor;
        const recording = record(
          () => tf.sum(tf.relu(tf.mul(tf.add(input, tf.tensor([1, -2, 3])), input))),
          [input],
        );
        const one = tf.ones([]);
        const [slope] = recording.gradients([recording.result], [one], [input]);
        return [recording.result, slope as tf.Tensor, tf.fill([2], 7)];
      },
      [1, 2, 3],
      [-4, 5, 0.5],
    );
    expect(replayed).toEqual(called);
    expect(replayed[2]).toEqual([7, 7]);
  });

  test("gives handles of its own where a result is an input or another result", () => {
    const { replayed, called } = both(
      ([x]) => {
        const twice = tf.mul(x as tf.Tensor, 2);
        return [(x as tf.Tensor).clone(), twice, twice.clone()];
      },
      [1, 2],
      [3, 4],
    );
    expect(replayed).toEqual(called);
  });

  test("is given anew what a computation takes", () => {
    const x = tf.tensor([1, 2]);
    const taken: tf.Tensor[] = [];
    const { results, replay } = recordKernels([x], (take) =>
      tf.tidy(() => {
        const drawn = tf.keep(take(() => tf.tensor([10, 20])));
        taken.push(drawn);
        return [tf.add(x, drawn)];
      }),
    );
    const other = tf.tensor([30, 40]);
    expect(valuesOf([...results, ...replay.run([x, other])])).toEqual([
      [11, 22],
      [31, 42],
    ]);
    tf.dispose([x, other, ...taken]);
    replay.dispose();
  });

  test("is refused where a computation looks at values, or reads a tensor that it is not given", () => {
    const [x, foreign] = [tf.tensor([1, 2]), tf.tensor([3, 4])];
    const recorded = (compute: () => tf.Tensor[]) => () => recordKernels([x], () => tf.tidy(compute));
    expect(recorded(() => [tf.mul(x, tf.square(x).dataSync()[0] ?? 0)])).toThrow("looks at values");
    expect(recorded(() => [tf.add(x, foreign)])).toThrow("not given");
    expect(valuesOf([tf.add(x, foreign)])).toEqual([[4, 6]]);
    tf.dispose([x, foreign]);
  });
});
