import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { LossArgument } from "../../src/task/losses/loss-argument.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { Batch } from "../../src/training/batch.ts";
import type { TrainingState } from "../../src/training/state.ts";
import { stepCounts } from "../../src/training/step-graph.ts";
import type { Tail } from "../../src/training/tail.ts";
import { objectiveWith } from "../task/objective.ts";
import type { Asked } from "./both-ways.ts";
import { expectClose, stepsOf, tailOf } from "./both-ways.ts";
import { smallPhase, trainSmall } from "./small-run.ts";
import { batchOf, drawingLayers, network } from "./step-network.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";

beforeAll(async () => {
  await ensureEngine();
});

afterEach(() => {
  delete process.env["KERAS_FINETUNE_GRAPH"];
});

function batches(seeds: readonly number[]): Batch[] {
  return seeds.map((seed) => batchOf(seed));
}

test("the steps of a size follow from samples, batch size and epochs", () => {
  expect([...stepCounts(20, 6, 4)]).toEqual([
    [2, 4],
    [6, 12],
  ]);
  expect(stepCounts(18, 6, 4).get(6)).toBe(12);
  expect(stepCounts(4, 6, 5).get(4)).toBe(5);
});

describe.runIf(isNative)("a training step as one graph", () => {
  test.each(Object.entries(drawingLayers))(
    "draws the numbers of %s anew in each step, those that calls draw",
    async (className, config) => {
      const checkpoint = network({ class_name: className, config: { name: "noise", ...config } });
      const still: Asked = { optimizer: { class_name: "SGD", config: { learning_rate: 0 } } };
      const seeds = [7, 7, 7];
      const [graph, calls] = [
        await stepsOf("always", checkpoint, batches(seeds), still),
        await stepsOf("0", checkpoint, batches(seeds), still),
      ];
      expect([graph.graphs, calls.graphs]).toEqual([1, 0]);
      expectClose(graph, calls);
      expect(new Set(graph.losses).size).toBe(3);
      const moving = [1, 2, 3, 4, 5];
      expectClose(
        await stepsOf("always", checkpoint, batches(moving)),
        await stepsOf("0", checkpoint, batches(moving)),
      );
    },
  );

  test("takes the targets and weights of each batch, and moves weights and statistics as calls do", async () => {
    const seeds = [1, 2, 3, 4, 5, 6];
    for (const optimizer of [
      "SGD",
      { class_name: "Adam", config: { clipnorm: 0.1, use_ema: true, gradient_accumulation_steps: 2 } },
    ]) {
      const graph = await stepsOf("always", network(), batches(seeds), { optimizer });
      expect(graph.graphs).toBe(1);
      expectClose(graph, await stepsOf("0", network(), batches(seeds), { optimizer }));
    }
  });

  test("stays calls where a layer draws in another way, where the loss is a function, and by default", async () => {
    const reshaped = (name: string, target: readonly number[]): JsonObject => ({
      class_name: "Reshape",
      config: { name, target_shape: [...target] },
    });
    const flipped = network(
      reshaped("as image", [5, 2, 1]),
      { class_name: "RandomFlip", config: { name: "flip", mode: "horizontal" } },
      reshaped("as row", [10]),
    );
    expect((await stepsOf("always", flipped, batches([1, 1]))).graphs).toBe(0);
    const loss: LossArgument = (targets, outputs, ops) => ops.mean(ops.square(ops.sub(outputs, targets)), -1);
    expect((await stepsOf("always", network(), batches([1, 1]), { loss })).graphs).toBe(0);
    delete process.env["KERAS_FINETUNE_GRAPH"];
    const tail = tailOf(network(), {});
    const batch = batchOf(1);
    await tail.trainOnBatch(batch);
    expect(tail.graphs).toBe(0);
    tf.dispose([...batch.features]);
    tail.dispose();
  });

  test("is made anew for another shape, and computes each batch by its own objective", async () => {
    process.env["KERAS_FINETUNE_GRAPH"] = "always";
    const tail = tailOf(network(), {});
    const objective = objectiveWith(layerGraph(network()), "mean_squared_error");
    const [whole, part] = [batchOf(1), batchOf(2, 3)];
    const losses: number[] = [];
    for (const batch of [whole, part, { ...whole, objective }, whole, part, { ...whole, objective }])
      losses.push((await tail.trainOnBatch(batch, 0)).loss);
    expect(tail.graphs).toBe(3);
    for (const index of [0, 1, 2]) expect(losses[index + 3]).toBeCloseTo(losses[index] ?? Number.NaN, 6);
    expect(new Set(losses.slice(0, 3)).size).toBe(3);
    tf.dispose([...whole.features, ...part.features]);
    tail.dispose();
  });

  test("begins after as many steps as make it worthwhile where their number is unknown, to the same bits after a stop", async () => {
    const long = network(
      ...Array.from({ length: 24 }, (_, index) => ({
        class_name: "Activation",
        config: { name: `a${index}`, activation: "tanh" },
      })),
    );
    const stepped = async (tail: Tail, seeds: readonly number[]): Promise<void> => {
      for (const seed of seeds) {
        const batch = batchOf(seed);
        await tail.trainOnBatch(batch);
        tf.dispose([...batch.features]);
      }
    };
    const seeds = Array.from({ length: 28 }, (_, index) => index);
    const tails = [
      tailOf(long, {}, { plannedSteps: "unknown" }),
      tailOf(long, {}, { plannedSteps: "unknown" }),
    ];
    const [straight, resumed] = tails as [Tail, Tail];
    await stepped(straight, seeds.slice(0, 24));
    expect(straight.graphs).toBe(0);
    await stepped(straight, seeds.slice(24, 26));
    expect(straight.graphs).toBe(1);
    resumed.restore(structuredClone(straight.state()));
    await stepped(straight, seeds.slice(26));
    await stepped(resumed, seeds.slice(26));
    expect(resumed.graphs).toBe(1);
    expect(resumed.state().weights).toEqual(straight.state().weights);
    for (const tail of tails) tail.dispose();
  });

  test("leaves the weights where the loss is not finite", async () => {
    process.env["KERAS_FINETUNE_GRAPH"] = "always";
    const tail = tailOf(network(), {});
    const good = batchOf(1);
    await tail.trainOnBatch(good, 0.01, "finite");
    const { features, targets } = batchOf(2);
    const [first] = features;
    const bad = { features: [tf.mul(first as tf.Tensor, Number.NaN)], targets };
    const kernel = () => Array.from(tail.state().weights.get("last")?.[0]?.data as Float32Array);
    const before = kernel();
    const { loss } = await tail.trainOnBatch(bad, 0.01, "finite");
    expect(loss).toBeNaN();
    expect(tail.graphs).toBe(1);
    expect(kernel()).toEqual(before);
    expect((await tail.firstNonFinite(bad))?.path).toBe("first");
    tf.dispose([...good.features, ...features, ...bad.features]);
    tail.dispose();
  });

  test("ends with the same bits where the run is stopped and goes on", async () => {
    process.env["KERAS_FINETUNE_GRAPH"] = "always";
    const phase = smallPhase({ epochs: 4 });
    const states: TrainingState[] = [];
    const keep = {
      name: "keep",
      epochEnd: (_: unknown, { state }: { state(): TrainingState }) => void states.push(state()),
    };
    const straight = await trainSmall([phase], [keep]);
    expect(states).toHaveLength(4);
    for (const from of states.slice(0, 3)) {
      const resumed = await trainSmall([phase], [{ name: "keep" }], { from: structuredClone(from) });
      expect(resumed.weights).toEqual(straight.weights);
    }
  });
});
