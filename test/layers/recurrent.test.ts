import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import type { KernelContext } from "../../src/layers/kernel.ts";
import type { Cell } from "../../src/layers/recurrent/cells.ts";
import { cellOf } from "../../src/layers/recurrent/cells.ts";
import type { HiddenOutput } from "../../src/layers/recurrent/loop.ts";
import { walk } from "../../src/layers/recurrent/loop.ts";

beforeAll(async () => {
  await ensureEngine();
});

const [batch, time, depth, units] = [4, 6, 3, 5];

const masks: Record<string, readonly (readonly number[])[] | undefined> = {
  "no mask": undefined,
  "padding on the right": [
    [1, 1, 1, 1, 0, 0],
    [1, 0, 0, 0, 0, 0],
    [1, 1, 1, 0, 0, 0],
    [1, 1, 0, 0, 0, 0],
  ],
  "gaps, and a sequence that is hidden": [
    [1, 0, 1, 1, 0, 1],
    [0, 0, 1, 1, 0, 0],
    [0, 0, 0, 0, 0, 0],
    [1, 1, 1, 1, 1, 1],
  ],
  "all hidden": Array.from({ length: batch }, () => [0, 0, 0, 0, 0, 0]),
};

const standard = { units, activation: "tanh", recurrent_activation: "sigmoid", dropout: 0.5 };
const cells: Record<string, readonly [string, object, Record<string, number[]>]> = {
  LSTM: ["LSTMCell", {}, { kernel: [depth, 20], recurrent_kernel: [units, 20], bias: [20] }],
  "LSTM without a bias": ["LSTMCell", {}, { kernel: [depth, 20], recurrent_kernel: [units, 20] }],
  GRU: [
    "GRUCell",
    { reset_after: true },
    { kernel: [depth, 15], recurrent_kernel: [units, 15], bias: [2, 15] },
  ],
  "GRU without a bias": [
    "GRUCell",
    { reset_after: true },
    { kernel: [depth, 15], recurrent_kernel: [units, 15] },
  ],
  SimpleRNN: ["SimpleRNNCell", {}, { kernel: [depth, 5], recurrent_kernel: [units, 5], bias: [5] }],
};

const context: KernelContext = {
  training: true,
  statistics: "stored",
  random: { nextSeed: () => 7 },
  keras: 3,
};

function random(shape: readonly number[], seed: number): tf.Tensor {
  return tf.randomNormal([...shape], 0.1, 0.7, "float32", seed);
}

function farthest(got: tf.Tensor, expected: tf.Tensor): number {
  expect(got.shape).toEqual(expected.shape);
  return tf.tidy(() => tf.max(tf.abs(tf.sub(got, expected))).dataSync()[0]!);
}

describe.each(Object.entries(cells))("%s over a whole sequence", (_, [className, more, shapes]) => {
  const ways = Object.entries(masks).flatMap(([mask, rows]) =>
    (["zeros", "previous", "state"] as const).flatMap((hidden) =>
      [false, true].map((backwards) => ({ mask, rows, hidden, backwards })),
    ),
  );

  it.each(ways)(
    "equals the loop over steps in values and gradients: $mask, masked steps output $hidden, backwards $backwards",
    ({ rows, hidden, backwards }: { rows: unknown; hidden: HiddenOutput; backwards: boolean }) => {
      const weights = Object.fromEntries(
        Object.entries(shapes).map(([name, shape], index) => [name, random(shape, 20 + index)]),
      );
      const x = random([batch, time, depth], 1);
      const mask = rows ? tf.tensor(rows as number[][], [batch, time], "bool") : undefined;
      const make = (): Cell => cellOf({ className, config: { ...standard, ...more } }, weights, context);
      const starts = Array.from({ length: make().stateCount }, (__, index) =>
        random([batch, units], 40 + index),
      );
      const sources = [x, ...starts, ...Object.values(weights)];
      const taken = (cellFor: () => Cell) => {
        const recording = record(() => {
          const { last, outputs, states } = walk(cellFor(), x, starts, { backwards, mask, hidden });
          return [outputs(), last, ...states];
        }, sources);
        const dys = recording.result.map(({ shape }, index) => random(shape, 60 + index));
        return [...recording.result, ...recording.gradients(recording.result, dys, sources)];
      };
      const whole = taken(() => {
        const cell = make();
        expect(cell.whole).toBeDefined();
        return cell;
      });
      const stepwise = taken(() => {
        const { whole: _whole, ...cell } = make();
        return cell;
      });
      whole.forEach((tensor, index) => {
        const expected = stepwise[index] ?? tf.zerosLike(tensor!);
        expect(farthest(tensor!, expected), `tensor ${index}`).toBeLessThan(1e-5);
      });
    },
  );
});
