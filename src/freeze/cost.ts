import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import { headsOf } from "../topology/head-of.ts";
import { type GraphNode, type LayerGraph, layerAt, nodeAt } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { heldBytes, rowPlaces } from "./kept-rows.ts";
import type { Partition } from "./partition.ts";
import { partition } from "./partition.ts";
import type { PlannedCost } from "./plan.ts";
import { inferenceBytes, stepBytes, valuesOf } from "./step-bytes.ts";
import type { Work } from "./work.ts";
import { forwardWork, inferenceWork, sumOfWork, trainingWork } from "./work.ts";

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
}

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
  /** Copies of the trained weights at the end of a run that come on top, where the engine gives no memory back. Defaults to 0. */
  readonly copiesOnTop?: number;
  /** True if states are saved, which holds copies of weights and optimizer beside those that train. Defaults to false. */
  readonly savesStates?: boolean;
  /** Number of samples that the static part computes at a time. Defaults to 16. */
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
    ? epoch(measured.step, measured.forward)
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
  const isHeld = !computes && views > 0 && rows.bytes <= heldBytes;
  const cacheBytes = isKept ? kept * frontierBytes(parts, shapes, bytesPerValue) : 0;
  const reading = cacheBytesPerSecond ? cacheBytes / cacheBytesPerSecond : 0;
  const computing = part.perSample + part.perBatch / (conditions.extractionBatch ?? 16);
  const perSample = conditions.overlaps ? Math.max(computing, decoding) : computing + decoding;
  const missing = Math.max(0, kept - cachedSamples);
  // Pixels that are too many to hold are read once to know which files can be used, and again in each epoch.
  const extraction = isKept || isHeld ? missing * perSample : samples * decoding;
  const everyEpoch = isKept || isHeld ? (views === 0 ? trainSamples : 0) : samples;
  const read = views === 0 ? reading : (reading * samples) / Math.max(kept, 1);
  const epochSeconds = tailEpoch + (isKept ? read : 0) + everyEpoch * perSample;
  const memory = { batchSize, optimizerSlots };
  const step = stepBytes(graph, shapes, {
    ...memory,
    nodes: tail,
    trainable: parts.trainableWeights,
    onStoredStatistics: (path) => !parts.batchStatistics.has(path),
  });
  const processBytes = (residentBytes: number): number => {
    const once = inferenceBytes(graph, shapes, trunk, conditions.extractionBatch ?? 16);
    const trained = 4 * trainedValues(graph, parts.trainableWeights);
    // A state holds the weights, the best epoch's, and the optimizer's.
    const state = conditions.savesStates ? (2 + optimizerSlots) * trained : 0;
    const copies = (2 + (conditions.copiesOnTop ?? 0)) * trained;
    const held = conditions.inMemory || rows.onDisk === 0 || isHeld ? rows.bytes : 0;
    return residentBytes + (conditions.workingBytes ?? 0) + held + Math.max(once, step + copies + state);
  };
  const multiplyAdds = (nodes: readonly GraphNode[]): number => sumOfWork(nodes.map(workOf)).multiplyAdds;
  return {
    multiplyAdds: { static: multiplyAdds(trunk), dynamic: multiplyAdds(tail) },
    epochRatio: epochSeconds / (wholeEpoch + samples * decoding),
    extractionSeconds: extraction,
    ...(views === 0 && { freshViewSeconds: trainSamples * perSample }),
    epochSeconds,
    judgingSeconds: secondsOf(forward, validationSamples, batchSize),
    cacheBytes,
    keptSamples: isKept ? kept : 0,
    cachedSamples,
    rowBytes: isKept && !conditions.inMemory ? rows.onDisk : 0,
    cachePays: cacheBytes === 0 || reading <= kept * perSample,
    headCut: headCut(graph, shapes, samples * bytesPerValue),
    stepBytes: step,
    wholeStepBytes: stepBytes(graph, shapes, {
      ...memory,
      nodes: graph.nodes,
      trainable: whole,
      onStoredStatistics: () => parts.batchStatistics.size === 0,
    }),
    ...(conditions.residentBytes !== undefined && { processBytes: processBytes(conditions.residentBytes) }),
  };
}

/** Operations of a step beside the model's calls: batches, losses, metrics and callbacks. */
const operationsAround = 100;

/** Returns functions that give the seconds of some calls as the engine's speed predicts them. */
function predictedSpeed(
  graph: LayerGraph,
  workOf: (node: GraphNode) => Work,
  { speed, optimizerSlots }: CostConditions,
): {
  readonly inference: (nodes: readonly GraphNode[]) => BatchSeconds;
  readonly forward: (nodes: readonly GraphNode[]) => BatchSeconds;
  readonly step: (
    nodes: readonly GraphNode[],
    trainable: ReadonlyMap<string, readonly string[]>,
  ) => BatchSeconds;
} {
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
      const update = optimizerBytes(graph, trainable, optimizerSlots) / speed.bytesPerSecond;
      return { perBatch: perBatch + update + around, perSample };
    },
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
    first.perSample + first.perBatch / extractionBatch + second.perSample + second.perBatch / batchSize;
  const predicted = whole(trunk, tail);
  return predicted > 0 ? whole(measured.static, measured.forward) / predicted : slowdown;
}

function scaled({ perBatch, perSample }: BatchSeconds, factor: number): BatchSeconds {
  return { perBatch: factor * perBatch, perSample: factor * perSample };
}

function secondsOf({ perBatch, perSample }: BatchSeconds, samples: number, batchSize: number): number {
  return samples * perSample + Math.ceil(samples / batchSize) * perBatch;
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

/** Returns the bytes of one update, which reads weights, gradients and slots and writes weights and slots. */
function optimizerBytes(
  graph: LayerGraph,
  trainable: ReadonlyMap<string, readonly string[]>,
  slots: number,
): number {
  return 4 * trainedValues(graph, trainable) * (3 + 2 * slots);
}

function trainedValues(graph: LayerGraph, trainable: ReadonlyMap<string, readonly string[]>): number {
  const specs = weightSpecsOf(graph);
  let values = 0;
  for (const [path, names] of trainable) {
    for (const spec of specs.get(path) ?? [])
      if (names.includes(spec.name)) values += elementCount(spec.shape);
  }
  return values;
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
