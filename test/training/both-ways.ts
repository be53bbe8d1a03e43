/** Steps of a network taken as graphs or as calls, and how far they are apart. */
import { expect } from "vitest";
import type { Checkpoint, Weights } from "../../src/checkpoint.ts";
import { tf } from "../../src/engine/tf.ts";
import { cutModel } from "../../src/features/cut.ts";
import type { LossArgument } from "../../src/task/losses/loss-argument.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { Batch } from "../../src/training/batch.ts";
import type { OptimizerArgument } from "../../src/training/optimizer-config.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
import type { Tail, TailOptions } from "../../src/training/tail.ts";
import { createTail } from "../../src/training/tail.ts";
import { objectiveWith } from "../task/objective.ts";

/** What a network is trained with. */
export interface Asked {
  readonly loss?: LossArgument;
  readonly optimizer?: OptimizerArgument;
}

/** Returns the network with nothing frozen, ready to be trained. */
export function tailOf(
  checkpoint: Checkpoint,
  { loss = "categorical_crossentropy", optimizer = "Adam" }: Asked,
  options: Pick<TailOptions, "replays" | "plannedSteps"> = {},
): Tail {
  const graph = layerGraph(checkpoint);
  return createTail({
    ...cutModel(graph, { frozen: new Set(), bnMode: "follow", newLayers: new Set() }),
    weights: checkpoint.weights,
    optimizer: optimizerConfig(optimizer, undefined, 0.01),
    objective: objectiveWith(graph, loss, ["accuracy"]),
    seed: 1,
    ...options,
  });
}

/** The steps that were taken. */
export interface Steps {
  readonly losses: readonly number[];
  readonly weights: Weights;
  readonly graphs: number;
}

/** Takes a step on each batch, which it releases, as graphs or as calls. */
export async function stepsOf(
  mode: "always" | "0",
  checkpoint: Checkpoint,
  batches: readonly Batch[],
  asked: Asked = {},
): Promise<Steps> {
  process.env["KERAS_FINETUNE_GRAPH"] = mode;
  const held = batches.reduce((count, { features }) => count + features.length, 0);
  const before = tf.memory().numTensors - held;
  const tail = tailOf(checkpoint, asked);
  const losses: number[] = [];
  for (const batch of batches) {
    losses.push((await tail.trainOnBatch(batch)).loss);
    tf.dispose([...batch.features]);
  }
  const { weights } = tail.state();
  const { graphs } = tail;
  tail.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return { losses, weights, graphs };
}

/** Requires the same losses and weights, to rounding. */
export function expectClose(graph: Steps, calls: Steps): void {
  graph.losses.forEach((loss, index) => {
    expect(Math.abs(loss - (calls.losses[index] ?? 0))).toBeLessThan(2e-6);
  });
  for (const [path, layer] of calls.weights) {
    layer.forEach(({ data, name }, index) => {
      const found = graph.weights.get(path)?.[index]?.data;
      const gaps = Array.from(data as Float32Array, (value, at) => Math.abs(value - Number(found?.[at])));
      expect(Math.max(...gaps), `${path}/${name}`).toBeLessThan(2e-5);
    });
  }
}
