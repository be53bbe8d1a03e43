import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import { headsOf } from "../topology/head-of.ts";
import { type GraphNode, type LayerGraph, layerAt, nodeAt } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { heldSplits, rowMemoryBytes, rowPlaces } from "./kept-rows.ts";
import type { Partition } from "./partition.ts";
import { partition } from "./partition.ts";
import type { PlannedCost } from "./plan.ts";
import type { BatchSeconds, EngineSpeed, MeasuredWork } from "./predicted-seconds.ts";
import {
  batchSeconds,
  paddedSeconds,
  predictedSpeed,
  scaled,
  secondsOf,
  trainedValues,
} from "./predicted-seconds.ts";
import { inferenceBytes, stepBytes, valuesOf } from "./step-bytes.ts";
import { forwardWork, sumOfWork } from "./work.ts";

/** Conditions on which the cost of a run depends besides the model and the cut. */
export interface CostConditions {
  /** Number of samples that an epoch trains on. */
  readonly trainSamples: number;
  /** Number of samples that are evaluated after an epoch. */
  readonly validationSamples: number;
  readonly batchSize: number;
  /** Tensors that the optimizer keeps for each weight: 2 for Adam, 1 for momentum, 0 for plain SGD. */
  readonly optimizerSlots: number;
  readonly speed: EngineSpeed;
  readonly measured?: MeasuredWork;
  /** Factor on the seconds that the speed predicts, as another cut of the model has shown it. Defaults to 1. */
  readonly slowdown?: number;
  /** True if samples are decoded while the engine computes. Defaults to false: one after the other. */
  readonly overlaps?: boolean;
  /** Bytes of a cached value: 2 for float16. Defaults to 4. */
  readonly bytesPerValue?: 2 | 4;
  /**
   * Views of each training sample that the static part computes; 0 for fresh ones in each epoch, of which none is kept.
   * Defaults to 1, the sample itself.
   */
  readonly views?: number;
  /** False if features are computed again in each epoch. Defaults to true: the static part is computed once. */
  readonly cached?: boolean;
  /** Number of samples and views whose features are in the cache already. Defaults to 0. */
  readonly cachedSamples?: number;
  /** True for arrays, whose features stay in memory. Defaults to false. */
  readonly inMemory?: boolean;
  /** Cut before this one, whose features are computed anyway: only what lies between costs time. */
  readonly after?: Partition;
  /** Resident memory of the process in bytes before the run, with the model read. */
  readonly residentBytes?: number;
  /** Memory in bytes that the process takes besides what the plan counts: decoder, script engine, kernels. Defaults to 0. */
  readonly workingBytes?: number;
  /** Memory of the largest call of the static part, as a multiple of what it reads and writes. Defaults to 1.5. */
  readonly kernelCopies?: number;
  /** Copies of the trained weights at the end of a run that come on top, where the engine gives no memory back. Defaults to 0. */
  readonly copiesOnTop?: number;
  /** Memory in bytes of a TensorFlow graph besides its tensors. Defaults to 0. */
  readonly graphBytes?: number;
  /** Batches of the static part from which on it runs as a graph. Defaults to none. */
  readonly graphBatches?: number;
  /** True if training steps run as a graph. Defaults to false. */
  readonly stepsAsGraph?: boolean;
  /** True if tensors lie on a GPU, which keeps weights and slots of an update until its loss is known. Defaults to false. */
  readonly onGpu?: boolean;
  /** Number of samples that every batch of the static part is padded to. Defaults to 1 for its time, 16 for its memory. */
  readonly extractionBatch?: number;
}

/**
 * Predicts the cost of a run. Full training, with which the run is compared, trains every weight that can train.
 */
export function plannedCost(
  graph: LayerGraph,
  parts: Partition,
  shapes: readonly NodeShapes[],
  conditions: CostConditions,
): PlannedCost {
  const {
    trainSamples,
    validationSamples,
    batchSize,
    optimizerSlots,
    measured,
    cachedSamples = 0,
  } = conditions;
  const { cacheBytesPerSecond, secondsPerSample: decoding = 0 } = conditions.speed;
  const workOf = forwardWork(graph, shapes);
  const isStatic = (node: GraphNode): boolean => parts.sides[node.index] === "static";
  const isKnown = (node: GraphNode): boolean => conditions.after?.sides[node.index] === "static";
  const whole = wholeTraining(graph);
  const trunk = graph.nodes.filter(isStatic);
  const tail = graph.nodes.filter((node) => !isStatic(node));
  const speed = predictedSpeed(graph, workOf, conditions);
  const staticSeconds = speed.inference(trunk.filter((node) => !isKnown(node)));
  const slowdown = measuredSlowdown(speed.inference(trunk), speed.forward(tail), conditions);
  const part = measured?.static ?? scaled(staticSeconds, slowdown);
  const epoch = (step: BatchSeconds, forward: BatchSeconds): number =>
    secondsOf(step, trainSamples, batchSize) + secondsOf(forward, validationSamples, batchSize);
  const tailEpoch = measured
    ? epoch(measured.step, measured.forward) + (measured.perEpoch ?? 0)
    : slowdown * epoch(speed.step(tail, parts.trainableWeights), speed.forward(tail));
  const wholeEpoch = slowdown * epoch(speed.step(graph.nodes, whole), speed.forward(graph.nodes));
  const forward = measured?.forward ?? scaled(speed.forward(tail), slowdown);
  const { views = 1 } = conditions;
  const samples = trainSamples + validationSamples;
  const computes = computesAhead(graph, parts);
  const bytesPerValue = conditions.bytesPerValue ?? 4;
  const kept = trainSamples * views + validationSamples;
  const rows = rowPlaces(parts, shapes, kept);
  const isKept = computes && (conditions.cached ?? true);
  const splits = [
    { samples: trainSamples, rows: trainSamples * views },
    { samples: validationSamples, rows: validationSamples },
  ];
  const rowBytes = kept > 0 ? rows.bytes / kept : 0;
  const fits = heldSplits(splits.map((split) => split.rows * rowBytes));
  const held = computes || views === 0 ? [] : splits.filter((_, index) => fits[index]);
  const open = splits.filter((split) => !held.includes(split));
  const openSamples = open.reduce((sum, split) => sum + split.samples, 0);
  const cacheBytes = isKept ? kept * frontierBytes(parts, shapes, bytesPerValue) : 0;
  const reading = cacheBytesPerSecond ? cacheBytes / cacheBytesPerSecond : 0;
  const rowsAtOnce = conditions.extractionBatch ?? 1;
  /** Returns the seconds to read and compute some samples of one split. */
  const computing = (count: number): number => {
    const computed = paddedSeconds(part, count, rowsAtOnce);
    if (!conditions.overlaps) return computed + count * decoding;
    // The first batch is decoded before anything is computed.
    const first = Math.min(count, rowsAtOnce);
    return first * decoding + Math.max(computed, (count - first) * decoding);
  };
  const missing = Math.max(0, kept - cachedSamples);
  const missingSplits = missing === kept ? splits.map((split) => split.rows) : [missing];
  // Pixels that are too many to hold are read once to know which files can be used, and again in each epoch.
  const computedOnce = isKept ? missingSplits : held.map((split) => split.rows);
  const extraction =
    computedOnce.reduce((sum, count) => sum + computing(count), 0) + (isKept ? 0 : openSamples * decoding);
  const everyEpoch = isKept ? (views === 0 ? trainSamples : 0) : openSamples;
  const read = views === 0 ? reading : (reading * samples) / Math.max(kept, 1);
  const epochSeconds = tailEpoch + (isKept ? read : 0) + computing(everyEpoch);
  const memory = { batchSize, optimizerSlots };
  const step = stepBytes(graph, shapes, {
    ...memory,
    nodes: tail,
    trainable: parts.trainableWeights,
    onStoredStatistics: (path) => !parts.batchStatistics.has(path),
  });
  const trained = 4 * trainedValues(graph, parts.trainableWeights);
  const { extractionBatch = 16, kernelCopies, onGpu = false, graphBytes = 0 } = conditions;
  const { graphBatches = Number.POSITIVE_INFINITY } = conditions;
  const trunkGraph = Math.ceil(missing / extractionBatch) >= graphBatches && computes ? graphBytes : 0;
  const once = inferenceBytes(graph, shapes, trunk, extractionBatch, kernelCopies) + trunkGraph;
  const updating = step + (onGpu ? (1 + optimizerSlots) * trained : 0);
  const processBytes = (residentBytes: number): number => {
    // Weights and optimizer of the best epoch wait in a file where they are many.
    const best = (1 + optimizerSlots) * trained;
    const copies = (best > rowMemoryBytes ? 0 : best) + (conditions.copiesOnTop ?? 0) * trained;
    const isWhole = conditions.inMemory || rows.onDisk === 0;
    const inMemory = isWhole ? rows.bytes : held.reduce((sum, split) => sum + split.rows * rowBytes, 0);
    // A graph gives the gradients of all weights together, where each is otherwise released before the next is computed.
    const graph = conditions.stepsAsGraph === true ? graphBytes + trained : 0;
    return (
      residentBytes + (conditions.workingBytes ?? 0) + inMemory + Math.max(once, updating + copies + graph)
    );
  };
  const multiplyAdds = (nodes: readonly GraphNode[]): number => sumOfWork(nodes.map(workOf)).multiplyAdds;
  return {
    multiplyAdds: { static: multiplyAdds(trunk), dynamic: multiplyAdds(tail) },
    epochRatio: epochSeconds / (wholeEpoch + samples * decoding),
    extractionSeconds: extraction,
    ...(views === 0 && { freshViewSeconds: computing(trainSamples) }),
    epochSeconds,
    judgingSeconds: secondsOf(forward, validationSamples, batchSize),
    sampleSeconds: decoding + batchSeconds(part, 1) + batchSeconds(forward, 1),
    cacheBytes,
    keptSamples: isKept ? kept : 0,
    cachedSamples,
    rowBytes: isKept && !conditions.inMemory ? rows.onDisk : 0,
    cachePays: cacheBytes === 0 || reading <= computing(kept),
    headCut: headCut(graph, shapes, samples * bytesPerValue),
    stepBytes: step,
    wholeStepBytes: stepBytes(graph, shapes, {
      ...memory,
      nodes: graph.nodes,
      trainable: whole,
      onStoredStatistics: () => parts.batchStatistics.size === 0,
    }),
    ...(onGpu && { gpuBytes: Math.max(once, updating) }),
    ...(conditions.residentBytes !== undefined && { processBytes: processBytes(conditions.residentBytes) }),
  };
}

/** Returns the factor between measured and predicted seconds of a forward pass through the whole model. */
function measuredSlowdown(
  trunk: BatchSeconds,
  tail: BatchSeconds,
  { measured, slowdown = 1, batchSize, extractionBatch = 16 }: CostConditions,
): number {
  if (!measured?.static) return slowdown;
  const whole = (first: BatchSeconds, second: BatchSeconds): number =>
    batchSeconds(first, extractionBatch) / extractionBatch + batchSeconds(second, batchSize) / batchSize;
  const predicted = whole(trunk, tail);
  return predicted > 0 ? whole(measured.static, measured.forward) / predicted : slowdown;
}

/** Returns the frontier of a cut right before the head, and its size for `bytesPerValue` bytes a value. */
function headCut(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  bytesPerValue: number,
): NonNullable<PlannedCost["headCut"]> | null {
  const heads = headsOf(graph)?.map((head) => head.path);
  if (!heads) return null;
  const frozen = new Set(graph.layers.map((layer) => layer.path).filter((path) => !heads.includes(path)));
  const parts = partition(graph, { frozen, bnMode: "inference", newLayers: new Set() });
  const tensors = parts.frontier.map((ref) => nodeAt(graph, ref.node).layer);
  return {
    tensor: tensors.join(" + "),
    cacheBytes: frontierBytes(parts, shapes, bytesPerValue),
  };
}

/** Returns the names of every weight that can train, by layer path. */
function wholeTraining(graph: LayerGraph): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...weightSpecsOf(graph)].flatMap(([path, specs]) => {
      const names = specs.filter((spec) => spec.trainable).map((spec) => spec.name);
      return names.length > 0 ? [[path, names] as const] : [];
    }),
  );
}

/**
 * Returns whether the static part does work that is worth keeping: it reads texts, or has a layer that multiplies by weights. What it makes
 * of pixels alone, as rescaling them, is as large as they are and made again in no time.
 */
export function computesAhead(graph: LayerGraph, { sides, frontier }: Partition): boolean {
  const inputs = new Set(graph.inputs.map((input) => input.ref.node));
  const readsTexts = [...inputs].some((index) => nodeAt(graph, index).outputs[0]?.dtype === "string");
  const works = graph.nodes.some(
    (node) =>
      sides[node.index] === "static" &&
      specOf(layerAt(graph, node.layer).className)?.multiplyAdds !== undefined,
  );
  return (readsTexts || works) && frontier.some((ref) => !inputs.has(ref.node));
}

/** Returns the bytes of one sample's frontier. */
function frontierBytes(parts: Partition, shapes: readonly NodeShapes[], bytesPerValue: number): number {
  return parts.frontier.reduce((bytes, ref) => bytes + bytesPerValue * valuesOf(shapeAt(shapes, ref)), 0);
}
