import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, Weights } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { LossArgument } from "../../src/task/losses/loss-argument.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { BatchFigures } from "../../src/training/judged-batch.ts";
import { objectiveWith } from "../task/objective.ts";
import type { Asked } from "./both-ways.ts";
import { tailOf } from "./both-ways.ts";
import { batchOf, drawingLayers, network } from "./step-network.ts";

beforeAll(async () => {
  await ensureEngine();
});

interface Steps {
  readonly figures: readonly BatchFigures[];
  readonly weights: Weights;
  readonly replays: number;
}

/** Takes a step for each seed. */
async function stepsOf(
  replays: boolean,
  checkpoint: Checkpoint,
  seeds: readonly number[],
  asked: Asked = {},
): Promise<Steps> {
  const before = tf.memory().numTensors;
  const tail = tailOf(checkpoint, asked, { replays });
  const figures: BatchFigures[] = [];
  for (const seed of seeds) {
    const batch = batchOf(seed);
    figures.push(await tail.trainOnBatch(batch));
    tf.dispose([...batch.features]);
  }
  const taken = { figures, weights: tail.state().weights, replays: tail.replays };
  tail.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return taken;
}

describe("a training step that calls the kernels of the first again", () => {
  test.each([["no layer", {}], ...Object.entries(drawingLayers)])(
    "gives the bits of calls, where %s draws numbers anew in each step",
    async (className, config) => {
      const between =
        className === "no layer" ? [] : [{ class_name: className, config: { name: "noise", ...config } }];
      const checkpoint = network(...between);
      const seeds = [1, 2, 3, 4, 5, 6];
      const [replayed, called] = [
        await stepsOf(true, checkpoint, seeds),
        await stepsOf(false, checkpoint, seeds),
      ];
      expect([replayed.replays, called.replays]).toEqual([1, 0]);
      expect(replayed.figures).toEqual(called.figures);
      expect(replayed.weights).toEqual(called.weights);
    },
  );

  test.each([
    "RMSprop",
    { class_name: "SGD", config: { momentum: 0.9, global_clipnorm: 0.1 } },
    { class_name: "Adam", config: { clipnorm: 0.1, use_ema: true, gradient_accumulation_steps: 2 } },
  ])("moves weights by %j as calls do", async (optimizer) => {
    const seeds = [1, 2, 3, 4, 5];
    const [replayed, called] = [
      await stepsOf(true, network(), seeds, { optimizer }),
      await stepsOf(false, network(), seeds, { optimizer }),
    ];
    expect(replayed.weights).toEqual(called.weights);
  });

  test("is recorded for each shape and objective, and leaves the weights where the loss is not finite", async () => {
    const tail = tailOf(network(), {});
    const objective = objectiveWith(layerGraph(network()), "mean_squared_error");
    const [whole, part] = [batchOf(1), batchOf(2, 3)];
    const three = [whole, part, { ...whole, objective }];
    const losses: number[] = [];
    for (const batch of [...three, ...three, ...three]) losses.push((await tail.trainOnBatch(batch, 0)).loss);
    expect(tail.replays).toBe(3);
    expect(losses.slice(6)).toEqual(losses.slice(3, 6));
    const bad = { ...whole, features: [tf.mul(whole.features[0] as tf.Tensor, Number.NaN)] };
    const { weights } = tail.state();
    expect((await tail.trainOnBatch(bad, 0.01, "finite")).loss).toBeNaN();
    expect(tail.state().weights.get("last")).toEqual(weights.get("last"));
    tf.dispose([...whole.features, ...part.features, ...bad.features]);
    tail.dispose();
  });

  test("is not recorded where the loss is a function, or the batch is large", async () => {
    const loss: LossArgument = (targets, outputs, ops) => ops.mean(ops.square(ops.sub(outputs, targets)), -1);
    expect((await stepsOf(true, network(), [1, 1], { loss })).replays).toBe(0);
    const tail = tailOf(network(), {});
    const large = batchOf(1, 200_000);
    await tail.trainOnBatch(large);
    await tail.trainOnBatch(large);
    expect(tail.replays).toBe(0);
    tf.dispose([...large.features]);
    tail.dispose();
  });
});
