import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { bestWeights } from "../../src/training/callbacks/best-weights.ts";
import type { Callback, Moment } from "../../src/training/callbacks/callback.ts";
import { monitorOf } from "../../src/training/callbacks/monitor.ts";
import { patience } from "../../src/training/callbacks/stopping.ts";
import { smallExamples, smallPhase, trainSmall } from "./small-run.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe("the loop", () => {
  test("calls the callbacks in the order of the list at every moment, and awaits what they return", async () => {
    const calls: string[] = [];
    const recorder = (name: string): Callback => {
      const note = async (what: string): Promise<void> => {
        await new Promise((resolve) => setTimeout(resolve, name === "first" ? 3 : 0));
        calls.push(`${name} ${what}`);
      };
      return {
        name,
        begin: () => note("begin"),
        examples: (epoch, given) => note(`examples ${epoch}`).then(() => given),
        learningRate: ({ step }, rate) => note(`rate ${step}`).then(() => rate),
        stepEnd: ({ step }) => note(`step ${step}`),
        epochEnd: ({ epoch }) => note(`epoch ${epoch}`),
        end: () => note("end"),
      };
    };
    await trainSmall(
      [smallPhase({ epochs: 1, examples: smallExamples(8, 1) })],
      [recorder("first"), recorder("second")],
    );
    const moments = ["begin", "examples 1", "rate 1", "step 1", "rate 2", "step 2", "epoch 1", "end"];
    expect(calls).toEqual(moments.flatMap((moment) => [`first ${moment}`, `second ${moment}`]));
  });

  test("counts phases, epochs, steps and iterations, and releases every tensor", async () => {
    const before = tf.memory().numTensors;
    const moments: Moment[] = [];
    const counter: Callback = { name: "counter", stepEnd: (moment) => void moments.push(moment) };
    const trained = await trainSmall([smallPhase({ epochs: 2 }), smallPhase({ epochs: 1 })], [counter]);
    expect(moments).toHaveLength(12);
    expect(moments.map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]);
    expect(moments[6]).toEqual({ phase: 1, epoch: 2, step: 3, steps: 4, iteration: 6 });
    expect(moments.at(-1)).toEqual({ phase: 2, epoch: 3, step: 4, steps: 4, iteration: 3 });
    expect(trained.history.map(({ epoch, phase }) => [epoch, phase])).toEqual([
      [1, 1],
      [2, 1],
      [3, 2],
    ]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test("gives an epoch's figures as one flat record, validation figures with val_", async () => {
    const { history } = await trainSmall([smallPhase({ epochs: 1 })], []);
    expect(Object.keys(history[0]!)).toEqual([
      "epoch",
      "phase",
      "loss",
      "accuracy",
      "val_loss",
      "val_accuracy",
      "lr",
      "seconds",
    ]);
    const without = await trainSmall([smallPhase({ epochs: 1, validation: false })], []);
    expect(Object.keys(without.history[0]!)).not.toContain("val_loss");
  });

  test("a callback exchanges the samples of an epoch and sets the rate of a step", async () => {
    const rates: number[] = [];
    const samples: number[] = [];
    const { history } = await trainSmall(
      [smallPhase({ epochs: 2 })],
      [
        { name: "fewer", examples: (epoch, given) => (epoch === 2 ? smallExamples(6, 5) : given) },
        { name: "half", learningRate: ({ iteration }, rate) => (iteration === 4 ? rate / 2 : rate) },
        {
          name: "watch",
          stepEnd: (_, figures) => {
            rates.push(figures.lr);
            samples.push(figures.samples);
          },
        },
      ],
    );
    expect(samples).toEqual([6, 6, 6, 2, 6]);
    expect(rates).toEqual([0.01, 0.01, 0.01, 0.01, 0.005]);
    expect(history.map(({ lr }) => lr)).toEqual([0.01, 0.005]);
  });

  test("stop ends the run, end-phase the phase, after every callback has seen the epoch", async () => {
    const seen: number[] = [];
    const watch: Callback = { name: "watch", epochEnd: ({ epoch }) => void seen.push(epoch) };
    const phases = [smallPhase({ epochs: 5 }), smallPhase({ epochs: 3 })];
    const ended = await trainSmall(phases, [
      { name: "patient", epochEnd: ({ epoch }) => (epoch === 2 ? "end-phase" : undefined) },
      watch,
    ]);
    expect(ended.history.map(({ phase }) => phase)).toEqual([1, 1, 2, 2, 2]);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    const stopped = await trainSmall(phases, [
      { name: "stopper", epochEnd: async ({ epoch }) => (epoch === 2 ? "stop" : undefined) },
    ]);
    expect(stopped.history).toHaveLength(2);
  });

  test("what epochEnd returns beside a verdict says nothing", async () => {
    const returning = [false, 7, "go on", null] as unknown[];
    const callbacks = returning.map((value, index) => ({
      name: `returns ${index}`,
      epochEnd: () => value as undefined,
    }));
    expect((await trainSmall([smallPhase({ epochs: 2 })], callbacks)).history).toHaveLength(2);
  });

  test("two callbacks of one name are refused before the first step", async () => {
    const twice = { name: "mine" };
    await expect(trainSmall([smallPhase({ epochs: 1 })], [twice, { ...twice }])).rejects.toThrow(
      'callbacks: expected a name for each, got "mine" twice. Rename one of them.',
    );
  });

  test("what a callback throws ends the run and keeps the completed epochs", async () => {
    const failing: Callback = {
      name: "failing",
      stepEnd: ({ epoch }) => {
        if (epoch === 2) throw new Error("no more");
      },
    };
    let ended = 0;
    const trained = await trainSmall(
      [smallPhase({ epochs: 3 })],
      [failing, { name: "end", end: () => void ended++ }],
    );
    expect(trained.history).toHaveLength(1);
    expect((trained.stopped as Error).message).toBe("no more");
    expect(ended).toBe(1);
  });
});

describe("the callbacks of a run", () => {
  test("best-weights keeps the weights of the first epoch with the lowest val_loss", async () => {
    const before = tf.memory().numTensors;
    const best = bestWeights(monitorOf("val_loss"));
    const seen: number[][] = [];
    const watch: Callback = {
      name: "watch",
      epochEnd: (_, run) =>
        void seen.push([...(run.checkpoint().weights.get("out")![0]!.data as Float32Array)]),
    };
    const wild = smallPhase({ epochs: 6, optimizer: { class_name: "Adam", config: { learning_rate: 0.5 } } });
    const { history } = await trainSmall([wild], [best, watch]);
    const losses = history.map((epoch) => epoch.val_loss!);
    expect(best.epoch).toBe(losses.indexOf(Math.min(...losses)) + 1);
    expect(best.epoch).toBeLessThan(6);
    expect([...(best.weights()!.get("out")![0]!.data as Float32Array)]).toEqual(seen[best.epoch - 1]);
    best.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test("a metric that rises is best at its highest, and patience counts from the last improvement", async () => {
    const monitor = monitorOf("val_accuracy");
    expect(monitor.direction).toBe("max");
    const best = bestWeights(monitor);
    const { history } = await trainSmall([smallPhase({ epochs: 40 })], [best, patience(monitor, 3)]);
    const values = history.map((epoch) => epoch.val_accuracy!);
    expect(best.epoch).toBe(values.indexOf(Math.max(...values)) + 1);
    expect(history.length).toBe(best.epoch + 3);
    best.dispose();
  });

  test("patience with a minDelta that no epoch reaches ends each phase", async () => {
    const monitor = monitorOf("val_loss");
    const phases = [smallPhase({ epochs: 9 }), smallPhase({ epochs: 9 })];
    const { history } = await trainSmall(phases, [patience(monitor, 2, 10)]);
    expect(history.map(({ phase }) => phase)).toEqual([1, 1, 1, 2, 2, 2]);
  });

  test("a figure without a known direction is refused by name", () => {
    expect(() => monitorOf("val_beauty")).toThrow(/monitor: expected .* got "val_beauty"/);
    expect(["val_f1_score", "val_mean_io_u", "out_auc"].map((name) => monitorOf(name).direction)).toEqual([
      "max",
      "max",
      "max",
    ]);
    expect(
      ["val_mae", "out_loss", "val_mean_squared_error"].map((name) => monitorOf(name).direction),
    ).toEqual(["min", "min", "min"]);
  });
});
