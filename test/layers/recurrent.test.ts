import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { canScan } from "../../src/engine/graph/scan.ts";
import { record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import type { KernelContext } from "../../src/layers/kernel.ts";
import type { Cell } from "../../src/layers/recurrent/cell.ts";
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
const recurrentDropout = { dropout: 0.5, recurrent_dropout: 0.3 };
const shapes = {
  SimpleRNN: { kernel: [depth, 5], recurrent_kernel: [units, 5], bias: [5] },
  LSTM: { kernel: [depth, 20], recurrent_kernel: [units, 20], bias: [20] },
  GRU: { kernel: [depth, 15], recurrent_kernel: [units, 15], bias: [2, 15] },
  "GRU, reset before": { kernel: [depth, 15], recurrent_kernel: [units, 15], bias: [15] },
};
const { bias: _lstm, ...lstmWithoutBias } = shapes.LSTM;
const { bias: _gru, ...gruWithoutBias } = shapes.GRU;

type Case = readonly [string, object, Record<string, number[]>];

/** Cells that every engine takes as a whole. */
const cells: Record<string, Case> = {
  LSTM: ["LSTMCell", {}, shapes.LSTM],
  "LSTM without a bias": ["LSTMCell", {}, lstmWithoutBias],
  GRU: ["GRUCell", { reset_after: true }, shapes.GRU],
  "GRU without a bias": ["GRUCell", { reset_after: true }, gruWithoutBias],
  SimpleRNN: ["SimpleRNNCell", {}, shapes.SimpleRNN],
  "A stack": [
    "StackedRNNCells",
    {
      cells: [
        { class_name: "LSTMCell", config: { name: "first", ...standard } },
        { class_name: "SimpleRNNCell", config: { name: "second", ...standard } },
      ],
    },
    {
      "cells/lstm_cell/kernel": [depth, 20],
      "cells/lstm_cell/recurrent_kernel": [units, 20],
      "cells/lstm_cell/bias": [20],
      "cells/simple_rnn_cell/kernel": [units, 5],
      "cells/simple_rnn_cell/recurrent_kernel": [units, 5],
      "cells/simple_rnn_cell/bias": [5],
    },
  ],
};

/** Cells that an engine takes as a whole if it runs graphs. */
const cellsInGraphs: Record<string, Case> = {
  "GRU, reset before": ["GRUCell", { reset_after: false }, shapes["GRU, reset before"]],
  "LSTM, recurrent dropout": ["LSTMCell", recurrentDropout, shapes.LSTM],
  "GRU, recurrent dropout": ["GRUCell", { reset_after: true, ...recurrentDropout }, shapes.GRU],
  "GRU, reset before, recurrent dropout": [
    "GRUCell",
    { reset_after: false, ...recurrentDropout },
    shapes["GRU, reset before"],
  ],
  "SimpleRNN, recurrent dropout": ["SimpleRNNCell", recurrentDropout, shapes.SimpleRNN],
  "LSTM gate by gate": ["LSTMCell", { implementation: 1 }, shapes.LSTM],
  "GRU of other functions": [
    "GRUCell",
    { reset_after: true, activation: "relu", recurrent_activation: "hard_sigmoid" },
    shapes.GRU,
  ],
  "GRU whose gates are a softmax": [
    "GRUCell",
    { reset_after: true, recurrent_activation: "softmax" },
    shapes.GRU,
  ],
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

const everyCell = Object.entries({ ...cells, ...cellsInGraphs });

describe.each(everyCell)("%s over a whole sequence", (name, [className, more, weightShapes]) => {
  const ways = Object.entries(masks).flatMap(([mask, rows]) =>
    (["zeros", "previous", "state"] as const).flatMap((hidden) =>
      [false, true].map((backwards) => ({ mask, rows, hidden, backwards })),
    ),
  );
  // Other cells differ in what a step computes, not in how steps are ordered.
  const possible = ways.filter(({ hidden, mask }) =>
    className !== "StackedRNNCells" && name in cells
      ? true
      : hidden === "previous" && (mask === "no mask" || mask.startsWith("gaps")),
  );

  it.each(possible)(
    "equals the loop over steps in values and gradients: $mask, masked steps output $hidden, backwards $backwards",
    ({ rows, hidden, backwards }: { rows: unknown; hidden: HiddenOutput; backwards: boolean }) => {
      const weights = Object.fromEntries(
        Object.entries(weightShapes).map(([weight, shape], index) => [weight, random(shape, 20 + index)]),
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
          return [outputs(), last, ...states()];
        }, sources);
        const dys = recording.result.map(({ shape }, index) => random(shape, 60 + index));
        return [...recording.result, ...recording.gradients(recording.result, dys, sources)];
      };
      const whole = taken(() => {
        const cell = make();
        expect(cell.whole !== undefined).toBe(name in cells || canScan());
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
