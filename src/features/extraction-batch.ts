import type { EngineInfo } from "../engine/engine-info.ts";
import { largestTensor } from "../freeze/largest-tensor.ts";
import { inferenceBytes } from "../freeze/step-bytes.ts";
import { concreteShapes } from "../topology/concrete-shapes.ts";
import type { CutModel } from "./cut.ts";

/** Rows that run together: few on WebAssembly, which gains nothing from more, and many on a GPU, which has units for them. */
const batchSizes = { native: 16, webgpu: 32, wasm: 8 } as const;

/** Share of a run's memory that a batch of its extraction may take. The rest is for the process, the weights and the steps. */
const extractionShare = 0.1;

/** Returns the number of rows that every batch of an extraction is padded to, where memory does not limit it. */
export function extractionBatch(engine: EngineInfo): number {
  return batchSizes[engine.name];
}

/**
 * Returns the number of rows that every batch of an extraction is padded to: the engine's own, halved until a batch takes no more than
 * its share of `memory`, in bytes, null for no limit, and each of its tensors fits into a buffer of a GPU. It follows from the model, the
 * size of its samples, `[height, width]`, the memory and the engine alone, because features of another batch size may differ in their last bits and have another key in the cache.
 */
export function extractionBatchWithin(
  memory: number | null,
  engine: EngineInfo,
  { graph, partition }: CutModel,
  sampleSize?: readonly [number, number],
): number {
  const shapes = concreteShapes(graph, sampleSize);
  const nodes = graph.nodes.filter((node) => partition.sides[node.index] === "static");
  let rows = extractionBatch(engine);
  const allowed = memory === null ? Infinity : extractionShare * memory;
  const buffer = engine.largestTensor ?? Infinity;
  const isTooLarge = (): boolean =>
    (allowed < Infinity && inferenceBytes(graph, shapes, nodes, rows) > allowed) ||
    (buffer < Infinity && (largestTensor(graph, shapes, nodes, rows)?.bytes ?? 0) > buffer);
  while (rows > 1 && isTooLarge()) rows /= 2;
  return rows;
}
