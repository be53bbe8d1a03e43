import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { Optimizer } from "../../src/training/optimizer.ts";
import { createOptimizer } from "../../src/training/optimizer.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
import { updateRule } from "../../src/training/optimizers/classes.ts";

beforeAll(async () => {
  await ensureEngine();
});

const random = (seed: number): tf.Tensor => tf.randomNormal([3, 4], 0, 1, "float32", seed);
const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync().slice() as Float32Array;

const optimizers = [
  { class_name: "SGD", config: {} },
  { class_name: "SGD", config: { momentum: 0.9 } },
  { class_name: "SGD", config: { momentum: 0.9, nesterov: true } },
  { class_name: "RMSprop", config: {} },
  { class_name: "RMSprop", config: { momentum: 0.9 } },
  { class_name: "RMSprop", config: { centered: true } },
  { class_name: "RMSprop", config: { centered: true, momentum: 0.5 } },
  { class_name: "Adam", config: {} },
  { class_name: "Adam", config: { amsgrad: true } },
  { class_name: "Adagrad", config: {} },
];

function optimizerOf(argument: (typeof optimizers)[number], holder: Record<string, tf.Tensor>): Optimizer {
  const config = optimizerConfig(argument, 0.01);
  return createOptimizer(config, {
    weights: new Map([["layer", holder]]),
    trainable: new Map([["layer", Object.keys(holder)]]),
  });
}

function step(optimizer: Optimizer, gradient: tf.Tensor, ...names: string[]): void {
  optimizer.beginStep();
  for (const name of names) optimizer.apply("layer", name, gradient);
  optimizer.endStep();
}

describe.each(
  optimizers.map(
    (argument) => [`${argument.class_name} ${JSON.stringify(argument.config)}`, argument] as const,
  ),
)("%s", (_title, argument) => {
  it("moves a variable as Keras's formula does", () => {
    const holder = { kernel: random(9) };
    const rule = updateRule(optimizerConfig(argument, 0.01), { path: "layer/kernel", shape: [3, 4] });
    let variable = holder.kernel.clone() as tf.Tensor;
    let slots = Object.fromEntries(
      Object.entries(rule.slots).map(([name, { shape, initial }]) => [
        name,
        initial === "variable" ? variable.clone() : tf.fill([...shape], initial),
      ]),
    );
    const optimizer = optimizerOf(argument, holder);
    for (const at of [1, 2, 3, 4]) {
      const gradient = random(at);
      ({ variable, slots } = rule.apply({ variable, gradient, slots, learningRate: 0.01, step: at }) as {
        variable: tf.Tensor;
        slots: Record<string, tf.Tensor>;
      });
      step(optimizer, gradient, "kernel");
    }
    const expected = values(variable);
    values(holder.kernel).forEach((value, index) => {
      expect(value).toBeCloseTo(expected[index]!, 5);
    });
    optimizer.dispose();
  });

  it("moves each of two variables of one shape as it moves it alone", () => {
    const together = { kernel: random(1), other: random(2) };
    const alone = { kernel: random(1) };
    const [both, one] = [optimizerOf(argument, together), optimizerOf(argument, alone)];
    for (const at of [3, 4, 5]) {
      step(both, random(at), "other", "kernel");
      step(one, random(at), "kernel");
    }
    expect(values(together.kernel)).toEqual(values(alone.kernel));
    for (const optimizer of [both, one]) optimizer.dispose();
  });

  it("leaves alone what others hold of the variable", () => {
    const holder = { kernel: random(9) };
    const optimizer = optimizerOf(argument, holder);
    const held = holder.kernel.clone();
    const before = values(held);
    step(optimizer, random(1), "kernel");
    const later = holder.kernel.clone();
    const between = values(later);
    step(optimizer, random(2), "kernel");
    expect(values(held)).toEqual(before);
    expect(values(later)).toEqual(between);
    optimizer.dispose();
  });

  it("follows a variable that was replaced between two updates", () => {
    const holder = { kernel: random(9) };
    const optimizer = optimizerOf(argument, holder);
    step(optimizer, random(1), "kernel");
    holder.kernel = tf.keep(tf.add(holder.kernel, 1));
    const replaced = values(holder.kernel);
    optimizer.beginStep(0);
    optimizer.apply("layer", "kernel", tf.zeros([3, 4]));
    optimizer.endStep();
    values(holder.kernel).forEach((value, index) => {
      expect(Math.abs(value - replaced[index]!)).toBeLessThan(0.1);
    });
    optimizer.dispose();
  });

  it("leaves no tensor behind", () => {
    const gradient = random(1);
    const holder = { kernel: random(9) };
    const before = tf.memory().numTensors;
    const optimizer = optimizerOf(argument, holder);
    for (let repetition = 0; repetition < 12; repetition++) step(optimizer, gradient, "kernel");
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
