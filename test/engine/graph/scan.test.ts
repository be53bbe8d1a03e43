import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../../src/engine/backend.ts";
import { canScan, scan } from "../../../src/engine/graph/scan.ts";
import type { StepFunction } from "../../../src/engine/graph/scan-plan.ts";
import { record } from "../../../src/engine/tape.ts";
import { tf } from "../../../src/engine/tf.ts";
import { activationNamed, activationNames } from "../../../src/layers/activation-functions.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";

beforeAll(async () => {
  await ensureEngine();
});

const [time, batch, units] = [4, 3, 2];
const random = (shape: readonly number[], seed: number): tf.Tensor =>
  tf.randomNormal([...shape], 0, 1, "float32", seed);

/** A step whose weight's gradient is a product, whose bias's is a sum of rows, and whose scale's is added step by step. */
const stepWith =
  (activation: (x: tf.Tensor) => tf.Tensor): StepFunction =>
  ({ sequences: [x], states: [h], weights: [kernel, scale], factors: [factor] }) => {
    const product = tf.matMul(tf.mul(h!, factor!) as tf.Tensor2D, kernel as tf.Tensor2D);
    const next = activation(tf.add(x!, tf.mul(product, scale!)));
    return { outputs: [next, product], states: [next] };
  };

const inputs = () => ({
  sequences: [random([time, batch, units], 1)],
  states: [random([batch, units], 2)],
  weights: [random([units, units], 3), random([units], 4)],
  factors: [random([batch, units], 5)],
});

/** Returns the outputs of every step and the last states by a loop over the steps. */
function loopedBy(
  step: StepFunction,
  { sequences, states, ...same }: ReturnType<typeof inputs>,
): readonly tf.Tensor[] {
  const taken: (readonly tf.Tensor[])[] = [];
  let current: readonly tf.Tensor[] = states;
  for (const x of tf.unstack(sequences[0]!)) {
    const { outputs, states: next } = step({ sequences: [x], states: current, ...same });
    taken.push(outputs);
    current = next;
  }
  return [0, 1].map((index) => tf.stack(taken.map((outputs) => outputs[index]!))).concat(current);
}

function expectNear(whole: readonly number[][], byStep: readonly number[][]): void {
  whole.forEach((values, index) => {
    values.forEach((value, place) => {
      expect(Math.abs(value - byStep[index]![place]!), `tensor ${index}`).toBeLessThan(1e-5);
    });
  });
}

it("runs on the native engine and on no other", () => {
  expect(canScan()).toBe(isNative);
});

describe.runIf(isNative)("a scan", () => {
  /** Returns outputs, last states and the gradients of everything but factors. */
  const computed = (run: (given: ReturnType<typeof inputs>) => readonly tf.Tensor[]): readonly number[][] =>
    tf.tidy(() => {
      const given = inputs();
      const sources = [...given.sequences, ...given.states, ...given.weights];
      const recording = record(() => [...run(given)], sources);
      const dys = recording.result.map(({ shape }, index) => random(shape, 10 + index));
      const gradients = recording.gradients(recording.result, dys, sources);
      return [...recording.result, ...gradients].map((tensor) => [
        ...tensor!.dataSync(),
      ]) as unknown as tf.TensorContainer;
    }) as unknown as number[][];

  it.each(activationNames().filter((name) => !["glu", "sparsemax"].includes(name)))(
    "equals the loop in values and gradients: %s",
    (name) => {
      const step = stepWith(activationNamed(name, 3));
      const whole = computed((given) => {
        const { outputs, states } = scan({ ...given, name, step });
        return [...outputs, ...states];
      });
      expectNear(
        whole,
        computed((given) => loopedBy(step, given)),
      );
    },
  );

  it.each([
    ["the last state", (all: readonly tf.Tensor[]) => all.slice(2)],
    ["the first output", (all: readonly tf.Tensor[]) => all.slice(0, 1)],
    ["an output that no state is computed from", (all: readonly tf.Tensor[]) => all.slice(1, 2)],
  ] as const)("equals the loop in its gradients where only %s has one", (_, chosen) => {
    const step = stepWith((x) => tf.tanh(x));
    const whole = computed((given) => {
      const { outputs, states } = scan({ ...given, name: "chosen", step });
      return chosen([...outputs, ...states]);
    });
    expectNear(
      whole,
      computed((given) => chosen(loopedBy(step, given))),
    );
  });

  it.each([1, 3])("takes %i steps where it is told so, and gives zeros for those behind", (count) => {
    const step = stepWith((x) => tf.tanh(x));
    const whole = computed((given) => {
      const { outputs, states } = scan({ ...given, name: "counted", step, count: tf.scalar(count, "int32") });
      return [...outputs, ...states];
    });
    const padded = (steps: tf.Tensor): tf.Tensor =>
      tf.pad(steps, [[0, time - count], ...steps.shape.slice(1).map((): [number, number] => [0, 0])]);
    expectNear(
      whole,
      computed((given) => {
        const sequences = given.sequences.map((sequence) => tf.slice(sequence, 0, count));
        const [output, product, state] = loopedBy(step, { ...given, sequences });
        return [padded(output!), padded(product!), state!];
      }),
    );
  });

  it("runs for any number of steps in one program, and leaves no tensor behind", () => {
    const step = stepWith((x) => tf.tanh(x));
    const run = (steps: number): number[] =>
      tf.tidy(() => {
        const { states } = scan({
          ...inputs(),
          sequences: [random([steps, batch, units], 1)],
          name: "any length",
          step,
        });
        return states[0]!.shape;
      });
    run(1);
    const before = tf.memory().numTensors;
    expect([run(2), run(7)]).toEqual([
      [batch, units],
      [batch, units],
    ]);
    expect(computed((given) => scan({ ...given, name: "any length", step }).outputs)).toHaveLength(6);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses a step that reads other tensors than it is given, or looks at values", () => {
    const other = random([batch, units], 9);
    const reading: StepFunction = ({ states: [h] }) => ({ outputs: [h!], states: [tf.add(h!, other)] });
    expect(() => scan({ ...inputs(), name: "another", step: reading })).toThrow("not given");
    const looking: StepFunction = ({ states: [h] }) => ({
      outputs: [h!],
      states: [tf.mul(h!, h!.dataSync()[0]!)],
    });
    expect(() => scan({ ...inputs(), name: "a look", step: looking })).toThrow("looks at values");
  });
});
