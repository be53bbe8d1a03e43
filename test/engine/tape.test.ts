import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { gradients, record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  await ensureEngine();
});

/** A function with sharing, broadcasting, several outputs of one operation, a cast, and a part that leads nowhere. */
function tangle(x: tf.Tensor2D, w: tf.Tensor2D, b: tf.Tensor1D): tf.Tensor {
  const hidden = tf.add(tf.matMul(x, w), b);
  const [left, right] = tf.split(tf.tanh(hidden), 2, 1);
  const gated = tf.mul(left!, tf.sigmoid(right!));
  tf.exp(hidden);
  const squared = tf.mul(gated, gated);
  return tf.add(
    tf.sub(squared, tf.mean(tf.concat([gated, left!], 1), 1, true)),
    tf.cast(tf.scalar(2, "int32"), "float32"),
  );
}

function inputs(): [tf.Tensor2D, tf.Tensor2D, tf.Tensor1D] {
  return [
    tf.randomNormal([3, 5], 0, 1, "float32", 1) as tf.Tensor2D,
    tf.randomNormal([5, 8], 0, 1, "float32", 2) as tf.Tensor2D,
    tf.randomNormal([8], 0, 1, "float32", 3) as tf.Tensor1D,
  ];
}

const bits = (tensor: tf.Tensor | null): number[] => [...new Uint32Array(tensor!.dataSync().slice().buffer)];

describe("a recording", () => {
  it("returns tfjs's gradients to the bit", () => {
    const sources = inputs();
    const outputGradient = tf.randomNormal([3, 4], 0, 1, "float32", 4);
    const expected = tf.grads((...xs: tf.Tensor[]) => tangle(...(xs as typeof sources)))(
      sources,
      outputGradient,
    );
    const recording = record(() => tangle(...sources));
    const got = recording.gradients([recording.result], [outputGradient], sources);
    got.forEach((gradient, index) => {
      expect(bits(gradient)).toEqual(bits(expected[index]!));
    });
  });

  it("leaves no tensors but its result and the gradients", () => {
    const sources = inputs();
    const before = tf.memory().numTensors;
    const recording = record(() => tangle(...sources));
    const outputGradient = tf.ones(recording.result.shape);
    const got = recording.gradients([recording.result], [outputGradient], sources);
    recording.dispose();
    expect(tf.memory().numTensors - before).toBe(2 + got.length);
    expect(
      outputGradient.isDisposed || recording.result.isDisposed || sources.some((x) => x.isDisposed),
    ).toBe(false);
    for (const tensor of [outputGradient, recording.result, ...got]) tensor?.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("leaves no tensors if it is disposed without a backward pass or if the function throws", () => {
    const sources = inputs();
    const before = tf.memory().numTensors;
    const recording = record(() => tangle(...sources));
    recording.dispose();
    recording.result.dispose();
    const failing = (): tf.Tensor => {
      tangle(...sources);
      throw new Error("no");
    };
    expect(() => record(failing)).toThrow("no");
    expect(tf.memory().numTensors).toBe(before);
    expect(() => record(() => tangle(...sources)).dispose()).not.toThrow();
  });

  it("keeps only the tensors that the gradients of the given sources read", () => {
    const [x, w, b] = inputs();
    const run = (): tf.Tensor => tf.add(tf.mul(tf.square(x), tf.square(x)), tf.sum(b));
    const kept = (sources: boolean | tf.Tensor[]): number => {
      const before = tf.memory().numTensors;
      const recording = record(run, sources);
      const count = tf.memory().numTensors - before;
      recording.dispose();
      recording.result.dispose();
      return count;
    };
    const b2 = kept([b]);
    expect(kept(false)).toBe(1);
    expect(kept([w])).toBe(1);
    expect(b2).toBeLessThan(kept([x]));
  });

  it("returns null for a source on which no output depends", () => {
    const [x, w, b] = inputs();
    const recording = record(() => tf.square(x));
    const got = recording.gradients([recording.result], [tf.ones([3, 5])], [w, x, b]);
    expect(got.map((gradient) => gradient !== null)).toEqual([false, true, false]);
  });

  it("adds up the gradients of several outputs, of which an undefined one counts as zero", () => {
    const [x] = inputs();
    const run = (): tf.Tensor[] => [tf.square(x), tf.tanh(x), tf.exp(x)];
    const first = tf.randomNormal([3, 5], 0, 1, "float32", 5);
    const last = tf.randomNormal([3, 5], 0, 1, "float32", 6);
    const recording = record(run);
    const [got] = recording.gradients(recording.result, [first, undefined, last], [x]);
    const expected = tf.grad((y: tf.Tensor) => tf.add(tf.mul(tf.exp(y), last), tf.mul(tf.square(y), first)))(
      x,
    );
    const difference = tf.max(tf.abs(tf.sub(got!, expected))).dataSync()[0]!;
    expect(difference).toBeLessThan(1e-5);
  });

  it("returns the gradients of intermediate tensors and of an output that is itself a source", () => {
    const [x] = inputs();
    const recording = record(() => {
      const middle = tf.square(x);
      return { middle, end: tf.square(middle) };
    });
    const { middle, end } = recording.result;
    const ones = tf.ones([3, 5]);
    const [dMiddle, dEnd, dx] = recording.gradients([end], [ones], [middle, end, x]);
    expect(bits(dEnd!)).toEqual(bits(ones));
    expect(bits(dMiddle!)).toEqual(bits(tf.mul(tf.mul(middle, tf.scalar(2)), ones)));
    expect(dx!.shape).toEqual([3, 5]);
  });

  it("returns the same gradients after its inputs and outputs are disposed", () => {
    const [x, w, b] = inputs();
    const expected = tf.grad((y: tf.Tensor) => tangle(y as tf.Tensor2D, w, b))(x);
    const copy = tf.add(x, tf.scalar(0)) as tf.Tensor2D;
    const recording = record(() => tangle(copy, w, b));
    copy.dispose();
    recording.result.dispose();
    const [got] = recording.gradients([recording.result], [tf.ones([3, 4])], [copy]);
    expect(bits(got!)).toEqual(bits(expected));
  });

  it("returns separate tensors if a gradient function returns its incoming gradient itself", () => {
    const [x] = inputs();
    const passing = tf.customGrad((y) => ({ value: tf.mul(y as tf.Tensor, 1), gradFunc: (dy) => dy }));
    const before = tf.memory().numTensors;
    const recording = record(() => passing(passing(x)));
    const ones = tf.ones([3, 5]);
    const [got] = recording.gradients([recording.result], [ones], [x]);
    got!.dispose();
    expect(ones.isDisposed).toBe(false);
    ones.dispose();
    recording.result.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("the gradients of a function", () => {
  it("equal those of tf.variableGrads to the bit", () => {
    const [x, w, b] = inputs();
    const [wVariable, bVariable] = [tf.variable(w), tf.variable(b)];
    const loss = (): tf.Scalar =>
      tf.mean(tf.square(tangle(x, wVariable as tf.Tensor2D, bVariable as tf.Tensor1D)));
    const expected = tf.variableGrads(loss, [wVariable, bVariable]);
    const got = gradients(loss, [wVariable, bVariable]);
    expect(bits(got.value)).toEqual(bits(expected.value));
    [wVariable, bVariable].forEach((variable, index) => {
      expect(bits(got.gradients[index]!)).toEqual(bits(expected.grads[variable.name]!));
    });
  });
});
