/** Losses and metrics as functions, beside Keras's of the same formula, which the situations compare with Keras. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Checkpoint, CustomLoss, CustomMetric, Json, Metric, Tensor } from "../../src/index.ts";
import { arrayDataset, createTrainer, evaluate, finetune, readCheckpoint } from "../../src/index.ts";
import { scratch } from "../hdf5/temporary.ts";

function tensor(shape: readonly number[], seed: number): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const data = Float32Array.from({ length: size }, (_, index) => Math.sin(7.3 * index + seed));
  return { dtype: "float32", shape, data };
}

/** A model of `x` `[4]` with two linear outputs, `left` `[2]` and `right` `[3]`. */
function twoOutputs(): Checkpoint {
  const layer = (className: string, name: string, config: Record<string, Json>, from?: string): Json => {
    const history = {
      class_name: "__keras_tensor__",
      config: { shape: [null, 4], dtype: "float32", keras_history: [from ?? "", 0, 0] },
    };
    return {
      ...{ module: "keras.layers", class_name: className, registered_name: null, name },
      config: { name, trainable: true, dtype: "float32", ...config },
      inbound_nodes: from ? [{ args: [history], kwargs: {} }] : [],
    };
  };
  const modelConfig = {
    ...{ module: "keras.src.models.functional", class_name: "Functional", registered_name: "Functional" },
    config: {
      ...{ name: "pair", trainable: true, input_layers: [["x", 0, 0]] },
      layers: [
        layer("InputLayer", "x", { batch_shape: [null, 4] }),
        layer("Dense", "left", { units: 2 }, "x"),
        layer("Dense", "right", { units: 3 }, "x"),
      ],
      output_layers: [
        ["left", 0, 0],
        ["right", 0, 0],
      ],
    },
  };
  const weights = new Map(
    (
      [
        ["left", 2],
        ["right", 3],
      ] as const
    ).map(([name, units], index) => [
      name,
      [
        { name: "kernel", ...tensor([4, units], index) },
        { name: "bias", ...tensor([units], index + 5) },
      ],
    ]),
  );
  return { format: "keras", kerasVersion: "3.15.1", modelConfig, weights, notes: {} };
}

const inputs = tensor([6, 4], 1);
const targets = { left: tensor([6, 2], 2), right: tensor([6, 3], 3) };
const squares: CustomLoss = function squares(truth, output, ops) {
  return ops.mean(ops.square(ops.sub(output, truth)), -1);
};
const farthest: CustomMetric = function farthest({ data: truth }, { shape, data }) {
  const [samples = 1, width = 1] = shape;
  return Array.from({ length: samples }, (_, row) =>
    Math.max(
      ...Array.from({ length: width }, (_, unit) =>
        Math.abs((data[row * width + unit] ?? 0) - (truth[row * width + unit] ?? 0)),
      ),
    ),
  );
};
/** The number of samples, as a record: a figure that is no mean. */
const seen: Metric = {
  name: "seen",
  direction: "up",
  start: () => {
    let samples = 0;
    return {
      add: ({ outputs }) => {
        samples += outputs.shape[0] ?? 0;
      },
      result: () => samples,
    };
  },
};

/** The sum of all outputs. */
const seenSum: Metric = {
  name: "sum",
  direction: "up",
  start: () => {
    let sum = 0;
    return {
      add: ({ outputs }) => {
        for (const value of Array.from(outputs.data)) sum += value;
      },
      result: () => sum,
    };
  },
};

describe("a loss as a function", () => {
  test.each([
    ["both outputs", squares, "mean_squared_error"],
    ["one output by name", { left: squares }, { left: "mean_squared_error" }],
    [
      "a mixture",
      { left: "mean_absolute_error", right: squares },
      { left: "mean_absolute_error", right: "mean_squared_error" },
    ],
  ] as const)(
    "of %s trains as Keras's of the same formula, with weights of samples",
    async (_, own, kerasLoss) => {
      const sampleWeights = { left: tensor([6], 9), right: tensor([6], 10) };
      const results = await Promise.all(
        [own, kerasLoss].map(async (loss) => {
          const trainer = await createTrainer(twoOutputs(), {
            freeze: [],
            optimizer: "SGD",
            learningRate: 0.1,
            loss,
          });
          const first = await trainer.trainOnBatch(inputs, targets, { sampleWeights });
          const second = await trainer.trainOnBatch(inputs, targets);
          const weights = [...trainer.checkpoint().weights.values()]
            .flat()
            .map(({ data }) => [...(data as Float32Array)]);
          trainer.dispose();
          return { first, second, weights };
        }),
      );
      expect(results[0]).toEqual(results[1]);
    },
  );

  test("evaluates as Keras's, with a function and a record as metrics", async () => {
    const data = arrayDataset(inputs, targets);
    const own = await evaluate(twoOutputs(), data, {
      loss: squares,
      metrics: { left: [farthest, seen], right: ["mae"] },
    });
    const kerasOwn = await evaluate(twoOutputs(), data, { loss: "mse", metrics: { right: ["mae"] } });
    expect(own.loss).toBeCloseTo(kerasOwn.loss, 6);
    expect(own.metrics["right_mae"]).toBe(kerasOwn.metrics["right_mae"]);
    expect(own.metrics["left_seen"]).toBe(6);
    expect(Number(own.metrics["left_farthest"])).toBeGreaterThan(0);
  });

  test("in a run: the plan names it, and a warning says that Keras opens the written file uncompiled", async () => {
    const out = join(scratch(), "run");
    const warnings: string[] = [];
    const { history, task } = await finetune({
      ...{ model: twoOutputs(), data: arrayDataset(inputs, targets), out, epochs: 1, freeze: [] },
      loss: { left: squares, right: "mse" },
      metrics: { left: [farthest], right: [] },
      onProgress: (event) => {
        if (event.kind === "warning") warnings.push(event.message);
      },
    });
    expect(task.outputs.map(({ loss }) => loss)).toEqual([squares, "mse"]);
    expect(history[0]).toHaveProperty("left_farthest");
    expect(warnings).toContain(
      "The written file does not name the loss squares: Keras has no word for it. Keras opens the file uncompiled.",
    );
    expect(warnings).toContainEqual(expect.stringMatching(/does not name the metric farthest/));
    expect((await readCheckpoint(join(out, "model.keras"))).trainingConfig).toBeUndefined();
  });

  test("a metric of one's own may be the figure that tells the best epoch, in its own direction", async () => {
    const run = (direction: "up" | "down") =>
      finetune({
        ...{ model: twoOutputs(), data: arrayDataset(inputs, targets), epochs: 3, freeze: [], loss: "mse" },
        metrics: { left: [{ ...seenSum, direction }] },
        monitor: "left_sum",
      });
    const [rising, sinking] = [await run("up"), await run("down")];
    const sums = rising.history.map((epoch) => Number(epoch["left_sum"]));
    expect(rising.bestEpoch).toBe(sums.indexOf(Math.max(...sums)) + 1);
    expect(sinking.bestEpoch).toBe(sums.indexOf(Math.min(...sums)) + 1);
    expect(rising.bestEpoch).not.toBe(sinking.bestEpoch);
  });

  test("that gives no value per sample is refused by its name", async () => {
    const whole: CustomLoss = function whole(truth, output, ops) {
      return ops.mean(ops.abs(ops.sub(output, truth)), 0);
    };
    const trainer = await createTrainer(twoOutputs(), { freeze: [], loss: whole });
    await expect(trainer.trainOnBatch(inputs, targets)).rejects.toThrow(
      /loss whole: expected one value per sample, a tensor \[6\] or \[6, …\], got shape \[2\]/,
    );
    trainer.dispose();
  });

  test("a metric that gives neither a number nor one per sample is refused by its name", async () => {
    const odd: CustomMetric = function odd() {
      return [1, 2, 3, 4];
    };
    const data = arrayDataset(inputs, targets);
    await expect(evaluate(twoOutputs(), data, { loss: "mse", metrics: { left: [odd] } })).rejects.toThrow(
      /metric odd: expected a number, or one for each of 6 samples, got 4 of them/,
    );
  });
});
