import type { TensorRef } from "../topology/layer-graph.ts";

export type Side = "static" | "dynamic";

/** The graph cut in two: what runs once per image, and what runs at every step. */
export interface Partition {
  /** By node index. A static random layer runs as identity; a dynamic one is active in training. */
  readonly sides: readonly Side[];
  /** Static tensors that a dynamic node reads, in node order; model inputs among them where nothing is frozen before. */
  readonly frontier: readonly TensorRef[];
  /** Names of the weights that receive gradients, by layer path; layers without any are absent. */
  readonly trainableWeights: ReadonlyMap<string, readonly string[]>;
  /** Layers with moving statistics that use the batch's in a training step, and update them. All others use stored ones. */
  readonly batchStatistics: ReadonlySet<string>;
}
