/** @file Refuses a run before it begins, where one of its tensors is larger than a buffer of the GPU. */
import type { EngineInfo } from "../engine/engine-info.ts";
import { MachineError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import type { ModelTensor } from "../freeze/largest-tensor.ts";
import { largestTensor } from "../freeze/largest-tensor.ts";
import { formatBytes } from "../freeze/number-text.ts";
import { optionName } from "../options.ts";
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
      const largest = largestTensor(graph, shapes, part.nodes, part.rows);
      if (largest && largest.bytes > limit) throw tooLarge(largest, part.rows, limit);
    }
  }
}

function tooLarge({ layer, weight, bytes }: ModelTensor, rows: number, limit: number): MachineError {
  const [what, advice] =
    weight === null
      ? [`${layer}: output of ${rows} samples`, `Lower ${optionName("batchSize")}, or use another engine.`]
      : [`${layer}/${weight}`, "Use another engine."];
  return new MachineError(
    `${what}: expected at most ${formatBytes(limit)}, which one buffer of this GPU holds, got ${formatBytes(bytes)}. ${advice}`,
    "tensor-too-large",
    weight === null ? "batchSize" : "engine",
  );
}
