import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import { headsOf } from "../topology/head-of.ts";
import {
  type GraphLayer,
  type GraphNode,
  type LayerGraph,
  layerAt,
  layerLookup,
  nodeAt,
} from "../topology/layer-graph.ts";
import { inputShapes } from "../topology/layer-spec.ts";
import { specOf } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { Partition } from "./partition.ts";
import { partition } from "./partition.ts";
import type { PlannedCost } from "./plan.ts";
import { inferenceBytes, stepBytes, valuesOf } from "./step-bytes.ts";

/** Measured speed of the engine. */
export interface EngineSpeed {
  /** Multiply-adds per second in the convolutions and matrix products of a forward pass. */
  readonly multiplyAddsPerSecond: number;
  /** Bytes per second that elementwise work reads and writes: activations, sums, pooling, the optimizer. */
  readonly bytesPerSecond: number;
  /** Bytes of cached features read per second. Reading takes no time if absent. */
  readonly cacheBytesPerSecond?: number;
  /** Seconds to read, decode and resize one sample. Defaults to 0. */
  readonly secondsPerSample?: number;
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
  /** Bytes of a cached value: 2 for float16. Defaults to 4. */
  readonly bytesPerValue?: 2 | 4;
  /**
   * Views of each training sample that the static part computes; 0 for fresh ones in each epoch, of which none is kept.
   * Defaults to 1, the sample itself.
   */
  readonly views?: number;
  /** True if the static part is computed once and cached. Defaults to true. */
  readonly cached?: boolean;
  /** Resident memory of the process in bytes before the run, with the model read. */
  readonly residentBytes?: number;
  /** Number of samples that the static part computes at a time. Defaults to 16. */
  readonly extractionBatch?: number;
}

/** Work for one sample: multiply-adds of contractions, and bytes that all other work reads and writes. */
interface Work {
  readonly multiplyAdds: number;
  readonly bytes: number;
}

const noWork: Work = { multiplyAdds: 0, bytes: 0 };

/**
 * Predicts the cost of a run. A call costs one forward pass, another one for the gradient of its inputs if something
 * before it trains, and another one for the gradients of its weights. Full training, with which the run is compared,
 * trains every weight that can train.
 */
export function plannedCost(
  graph: LayerGraph,
  parts: Partition,
  shapes: readonly NodeShapes[],
  conditions: CostConditions,
): PlannedCost {
  const { speed, trainSamples, validationSamples, batchSize, optimizerSlots } = conditions;
  const workOf = forwardWork(graph, shapes);
  const isStatic = (node: GraphNode): boolean => parts.sides[node.index] === "static";
  const whole = wholeTraining(graph);
  const trunk = sum(graph.nodes.filter(isStatic).map((node) => inferenceWork(workOf(node))));
  const tail = graph.nodes.filter((node) => !isStatic(node));
  const seconds = ({ multiplyAdds, bytes }: Work): number =>
    multiplyAdds / speed.multiplyAddsPerSecond + bytes / speed.bytesPerSecond;
  const epoch = (nodes: readonly GraphNode[], trainable: ReadonlyMap<string, readonly string[]>): number => {
    const forward = seconds(sum(nodes.map(workOf)));
    const step = seconds(trainingWork(nodes, workOf, trainable));
    const update = optimizerBytes(graph, trainable, optimizerSlots) / speed.bytesPerSecond;
    return trainSamples * step + validationSamples * forward + Math.ceil(trainSamples / batchSize) * update;
  };
  const { views = 1 } = conditions;
  const samples = trainSamples + validationSamples;
  const decoding = samples * (speed.secondsPerSample ?? 0);
  const cached = (conditions.cached ?? true) && computesAhead(graph, parts);
  const bytesPerValue = conditions.bytesPerValue ?? 4;
  const kept = cached ? trainSamples * views + validationSamples : 0;
  const cacheBytes = kept * frontierBytes(parts, shapes, bytesPerValue);
  const reading = speed.cacheBytesPerSecond ? cacheBytes / speed.cacheBytesPerSecond : 0;
  const perSample = seconds(trunk) + (speed.secondsPerSample ?? 0);
  const extraction = kept * perSample;
  const everyEpoch = cached ? (views === 0 ? trainSamples : 0) : samples;
  const read = views === 0 ? reading : (reading * samples) / Math.max(kept, 1);
  const epochSeconds = epoch(tail, parts.trainableWeights) + (cached ? read : 0) + everyEpoch * perSample;
  const memory = { batchSize, optimizerSlots };
  const step = stepBytes(graph, shapes, {
    ...memory,
    nodes: tail,
    trainable: parts.trainableWeights,
    onStoredStatistics: (path) => !parts.batchStatistics.has(path),
  });
  const processBytes = (residentBytes: number): number => {
    const once = inferenceBytes(
      graph,
      shapes,
      graph.nodes.filter(isStatic),
      conditions.extractionBatch ?? 16,
    );
    const bestWeights = 2 * 4 * trainedValues(graph, parts.trainableWeights);
    return residentBytes + Math.max(once, step + bestWeights);
  };
  return {
    multiplyAdds: {
      static: sum(graph.nodes.filter(isStatic).map(workOf)).multiplyAdds,
      dynamic: sum(tail.map(workOf)).multiplyAdds,
    },
    epochRatio: epochSeconds / (epoch(graph.nodes, whole) + decoding),
    extractionSeconds: cached ? extraction : 0,
    ...(views === 0 && { freshViewSeconds: trainSamples * perSample }),
    epochSeconds,
    cacheBytes,
    cachePays: cacheBytes === 0 || reading <= extraction,
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

/** Returns a function that gives the work of a call in a forward pass. */
function forwardWork(graph: LayerGraph, shapes: readonly NodeShapes[]): (node: GraphNode) => Work {
  const layerOf = layerLookup(graph);
  const works = graph.nodes.map((node) => {
    const inputs = node.inputs.map((ref) => shapeAt(shapes, ref));
    const outputs = shapes[node.index] ?? [];
    if (inputs.length === 0) return noWork;
    const multiplyAdds = contraction(layerOf(node.layer), node, inputs, outputs);
    return {
      multiplyAdds,
      bytes: 4 * [...inputs, ...outputs].reduce((count, shape) => count + valuesOf(shape), 0),
    };
  });
  return (node) => works[node.index] ?? noWork;
}

/** Returns the multiply-adds of a call, 0 if its layer contracts nothing or a shape is unknown. */
function contraction(
  layer: GraphLayer,
  node: GraphNode,
  inputs: readonly (Shape | null)[],
  outputs: NodeShapes,
): number {
  const count = specOf(layer.className)?.multiplyAdds;
  if (!count || !inputs.every((shape) => shape !== null) || !outputs.every((shape) => shape !== null))
    return 0;
  const { config, keras } = layer;
  const { args, kwargs } = node;
  return count({ config, keras, inputs: inputShapes(inputs), outputs: inputShapes(outputs), args, kwargs });
}

function sum(works: readonly Work[]): Work {
  return works.reduce(
    (total, work) => ({
      multiplyAdds: total.multiplyAdds + work.multiplyAdds,
      bytes: total.bytes + work.bytes,
    }),
    noWork,
  );
}

/**
 * Returns the work in inference form. Most elementwise calls are folded into a contraction there, so half of the bytes
 * count.
 */
function inferenceWork({ multiplyAdds, bytes }: Work): Work {
  return { multiplyAdds, bytes: bytes / 2 };
}

/** Returns the work of a training step, forward and backward. */
function trainingWork(
  nodes: readonly GraphNode[],
  workOf: (node: GraphNode) => Work,
  trainable: ReadonlyMap<string, readonly string[]>,
): Work {
  const within = new Set(nodes.map((node) => node.index));
  const differentiable = new Set<number>();
  const works = nodes.map((node) => {
    const { multiplyAdds, bytes } = workOf(node);
    const trains = trainable.has(node.layer);
    const passesOn = everyRead(node).some((ref) => within.has(ref.node) && differentiable.has(ref.node));
    if (trains || passesOn) differentiable.add(node.index);
    const passes = 1 + (trains ? 1 : 0) + (passesOn ? 1 : 0);
    return { multiplyAdds: multiplyAdds * passes, bytes: bytes * (trains || passesOn ? 2.5 : 1) };
  });
  return sum(works);
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
