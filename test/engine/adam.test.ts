import { beforeAll, describe, expect, it } from "vitest";
import { adamAverages } from "../../src/engine/adam.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";

beforeAll(async () => {
  await ensureEngine();
});

const settings = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };

/** Adam by its definition, in double precision. */
function defined(start: Float32Array, gradients: readonly Float32Array[]): number[] {
  return Array.from(start, (value, index) => {
    let [variable, mean, square] = [value, 0, 0];
    gradients.forEach((gradient, at) => {
      const step = at + 1;
      mean = 0.9 * mean + 0.1 * gradient[index]!;
      square = 0.999 * square + 0.001 * gradient[index]! ** 2;
      const rate = (0.01 * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step);
      variable -= (rate * mean) / (Math.sqrt(square) + 1e-7);
    });
    return variable;
  });
}

const random = (seed: number): tf.Tensor => tf.randomNormal([3, 4], 0, 1, "float32", seed);
const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync().slice() as Float32Array;

describe("Adam's averages", () => {
  it("move a variable as Adam is defined", () => {
    const gradients = [1, 2, 3, 4].map(random);
    const start = values(random(9));
    const averages = adamAverages([3, 4]);
    let variable: tf.Tensor = tf.tensor(start.slice(), [3, 4]);
    gradients.forEach((gradient, index) => {
      variable = averages.apply(variable, gradient, { ...settings, step: index + 1 });
    });
    const expected = defined(start, gradients.map(values));
    values(variable).forEach((value, index) => {
      expect(value).toBeCloseTo(expected[index]!, 5);
    });
    averages.dispose();
  });

  it("leave alone what others hold of the variable", () => {
    const averages = adamAverages([3, 4]);
    const variable = random(9);
    const held = variable.clone();
    const before = values(held);
    const moved = averages.apply(variable, random(1), { ...settings, step: 1 });
    const later = moved.clone();
    const between = values(later);
    averages.apply(moved, random(2), { ...settings, step: 2 });
    expect(values(held)).toEqual(before);
    expect(values(later)).toEqual(between);
    averages.dispose();
  });

  it("follow a variable that was replaced between two updates", () => {
    const averages = adamAverages([3, 4]);
    const first = averages.apply(random(9), random(1), { ...settings, step: 1 });
    const replacement = tf.add(first, 1);
    const expected = values(replacement);
    const moved = averages.apply(replacement, random(1), { ...settings, learningRate: 0, step: 2 });
    expect(values(moved)).toEqual(expected);
    averages.dispose();
  });

  it("continue from given averages as if they had never stopped", () => {
    const whole = adamAverages([3, 4]);
    const once = whole.apply(random(9), random(1), { ...settings, step: 1 });
    const copy = tf.add(once, 0);
    const resumed = adamAverages([3, 4], whole.read());
    const expected = values(whole.apply(once, random(2), { ...settings, step: 2 }));
    expect(values(resumed.apply(copy, random(2), { ...settings, step: 2 }))).toEqual(expected);
    for (const averages of [whole, resumed]) averages.dispose();
  });

  it("leave no tensor behind", () => {
    const [variable, gradient] = [random(9), random(1)];
    const before = tf.memory().numTensors;
    const averages = adamAverages([3, 4]);
    let moved: tf.Tensor = variable.clone();
    for (let step = 1; step < 4; step++) moved = averages.apply(moved, gradient, { ...settings, step });
    averages.read();
    averages.dispose();
    moved.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
