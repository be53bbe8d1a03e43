import { elementCount } from "../tensor.ts";
import type { GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { Work } from "./work.ts";
import { inferenceWork, sumOfWork, trainingWork } from "./work.ts";

/** Measured speed of the engine. */
export interface EngineSpeed {
  /** Multiply-adds per second in the convolutions and matrix products of a forward pass. */
  readonly multiplyAddsPerSecond: number;
  /** Bytes per second that elementwise work reads and writes: activations, sums, pooling, the optimizer. */
  readonly bytesPerSecond: number;
  /** Seconds of an operation on next to nothing. Defaults to 0. */
  readonly secondsPerOperation?: number;
  /** Bytes of cached features read per second. Reading takes no time if absent. */
  readonly cacheBytesPerSecond?: number;
  /** Seconds to read, decode and resize one sample, in a row of many. Defaults to 0. */
  readonly secondsPerSample?: number;
}

/** Seconds of one part of the model on a batch. */
export interface BatchSeconds {
  /** Seconds of a batch, whatever its size. */
  readonly perBatch: number;
  /** Seconds for each sample of the batch. */
  readonly perSample: number;
}

/** Seconds that were measured on a few samples. They take the place of those that the engine's speed predicts. */
export interface MeasuredWork {
  /** Static part; absent where what was computed before leaves another part. */
  readonly static?: BatchSeconds;
  /** Training step of the dynamic part. */
  readonly step: BatchSeconds;
  /** Dynamic part in inference. */
  readonly forward: BatchSeconds;
  /** Seconds of an epoch besides its batches, as for the check that all weights are finite. Defaults to 0. */
  readonly perEpoch?: number;
}

/** Predicts the seconds of some calls. */
export interface PredictedSpeed {
  /** Calls in inference form. */
  readonly inference: (nodes: readonly GraphNode[]) => BatchSeconds;
  readonly forward: (nodes: readonly GraphNode[]) => BatchSeconds;
  readonly step: (
    nodes: readonly GraphNode[],
    trainable: ReadonlyMap<string, readonly string[]>,
  ) => BatchSeconds;
}

/** Operations of a step beside the model's calls: batches, losses, metrics and callbacks. */
const operationsAround = 100;

/** Returns functions that give the seconds of some calls as the engine's speed predicts them. */
export function predictedSpeed(
  graph: LayerGraph,
  workOf: (node: GraphNode) => Work,
  { speed, optimizerSlots }: { readonly speed: EngineSpeed; readonly optimizerSlots: number },
): PredictedSpeed {
  const seconds = ({ multiplyAdds, bytes, operations }: Work): BatchSeconds => ({
    perBatch: operations * (speed.secondsPerOperation ?? 0),
    perSample: multiplyAdds / speed.multiplyAddsPerSecond + bytes / speed.bytesPerSecond,
  });
  const forward = (nodes: readonly GraphNode[]): Work => sumOfWork(nodes.map(workOf));
  const around = operationsAround * (speed.secondsPerOperation ?? 0);
  return {
    inference: (nodes) => seconds(inferenceWork(forward(nodes))),
    forward: (nodes) => seconds(forward(nodes)),
    step: (nodes, trainable) => {
      const { perBatch, perSample } = seconds(trainingWork(nodes, workOf, trainable));
      // An update reads weights, gradients and slots and writes weights and slots.
      const updateBytes = 4 * trainedValues(graph, trainable) * (3 + 2 * optimizerSlots);
      return { perBatch: perBatch + updateBytes / speed.bytesPerSecond + around, perSample };
    },
  };
}

/** Returns the seconds of one batch of `size` samples. */
export function batchSeconds({ perBatch, perSample }: BatchSeconds, size: number): number {
  return perBatch + size * perSample;
}

/** Returns the seconds of `samples` samples in batches of `batchSize`, the last of which may be smaller. */
export function secondsOf({ perBatch, perSample }: BatchSeconds, samples: number, batchSize: number): number {
  return samples * perSample + Math.ceil(samples / batchSize) * perBatch;
}

/** Returns the seconds of `samples` samples in batches that are all padded to `batchSize`. */
export function paddedSeconds(part: BatchSeconds, samples: number, batchSize: number): number {
  return Math.ceil(samples / batchSize) * batchSeconds(part, batchSize);
}

/** Multiplies both parts. */
export function scaled({ perBatch, perSample }: BatchSeconds, factor: number): BatchSeconds {
  return { perBatch: factor * perBatch, perSample: factor * perSample };
}

/** Returns the number of values in the weights of the given names. */
export function trainedValues(graph: LayerGraph, trainable: ReadonlyMap<string, readonly string[]>): number {
  const specs = weightSpecsOf(graph);
  let values = 0;
  for (const [path, names] of trainable) {
    for (const spec of specs.get(path) ?? [])
      if (names.includes(spec.name)) values += elementCount(spec.shape);
  }
  return values;
}
