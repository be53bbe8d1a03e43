import { engineInfo } from "../engine/backend.ts";
import { MachineError } from "../errors.ts";
import type { ModelTensor } from "../freeze/largest-tensor.ts";
import { largestTensor, requireFits } from "../freeze/largest-tensor.ts";
import { formatBytes } from "../freeze/number-text.ts";
import { inferenceBytes } from "../freeze/step-bytes.ts";
import { optionName } from "../options.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { concreteShapes } from "../topology/concrete-shapes.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** Limits of the samples that run together. */
export interface BatchLimits {
  /** Samples that run together. Defaults to 32. */
  readonly batchSize?: number | undefined;
  /** Bytes of memory that the process may take: fewer samples run together where it is little. Unlimited by default. */
  readonly memory?: number | undefined;
}

/** Share of the memory that may be predicted to be taken: kernels take buffers that nobody counts. */
const predictedShare = 0.8;

/**
 * Returns how many samples run together in inference: as many as asked, halved until each tensor fits into a buffer of the engine's GPU,
 * and all into what the process, with the model in it, leaves of the memory.
 * @param sampleSize `[height, width]` of images, where the model leaves it open.
 * @throws {MachineError} where not even one sample fits.
 */
export function batchSizeWithin(
  graph: LayerGraph,
  { batchSize = 32, memory }: BatchLimits,
  sampleSize?: readonly [number, number],
): number {
  const limit = engineInfo()?.largestTensor;
  if (memory === undefined && limit === undefined) return batchSize;
  const shapes = concreteShapes(graph, sampleSize);
  const buffered = limit === undefined ? batchSize : rowsInBuffers(graph, shapes, batchSize, limit);
  return memory === undefined ? buffered : rowsInMemory(graph, shapes, buffered, memory);
}

/** Returns a number of rows, halved until each weight and output of the model fits into a buffer of so many bytes. */
export function rowsInBuffers(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  batchSize: number,
  limit: number,
): number {
  const largestOf = (rows: number): ModelTensor | null => largestTensor(graph, shapes, graph.nodes, rows);
  let rows = batchSize;
  while (rows > 1 && (largestOf(rows)?.bytes ?? 0) > limit) rows = rows >> 1;
  requireFits(largestOf(rows), rows, limit);
  return rows;
}

function rowsInMemory(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  batchSize: number,
  memory: number,
): number {
  const bytesOf = (rows: number): number => inferenceBytes(graph, shapes, graph.nodes, rows);
  const taken = process.memoryUsage.rss();
  let rows = batchSize;
  const needed = (): number => (taken + bytesOf(rows) - bytesOf(0)) / predictedShare;
  while (rows > 1 && needed() > memory) rows = rows >> 1;
  if (needed() <= memory) return rows;
  throw new MachineError(
    `${optionName("memory")}: expected ${formatBytes(needed())} or more, which the model needs for one sample, got ${formatBytes(memory)}. Give it as much.`,
    "memory-too-small",
    "memory",
  );
}
