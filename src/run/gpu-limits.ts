/** @file Refuses a run before it begins, where one of its tensors is larger than a buffer of the GPU. */
import type { EngineInfo } from "../engine/engine-info.ts";
import type { CutModel } from "../features/cut.ts";
import { largestTensor, requireFits } from "../freeze/largest-tensor.ts";
import { concreteShapes } from "../topology/concrete-shapes.ts";

/** The rows of a run's batches. */
interface BatchRows {
  readonly extraction: number;
  readonly step: number;
}

/**
 * Checks that the largest tensor of each cut fits into a buffer of the engine's GPU. `sampleSize` is `[height, width]`.
 * @throws {MachineError} that names the layer, and the weight if it is one.
 */
export function requireTensorsFit(
  { largestTensor: limit }: EngineInfo,
  cuts: readonly CutModel[],
  rows: BatchRows,
  sampleSize?: readonly [number, number],
): void {
  if (limit === undefined) return;
  for (const { graph, partition } of cuts) {
    const shapes = concreteShapes(graph, sampleSize);
    const isStatic = (index: number): boolean => partition.sides[index] === "static";
    const parts = [
      { nodes: graph.nodes.filter(({ index }) => isStatic(index)), rows: rows.extraction },
      { nodes: graph.nodes.filter(({ index }) => !isStatic(index)), rows: rows.step },
    ];
    for (const part of parts) {
      requireFits(largestTensor(graph, shapes, part.nodes, part.rows), part.rows, limit);
    }
  }
}
