import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import { headsOf } from "../topology/head-of.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { Partition } from "./partition.ts";
import { partition } from "./partition.ts";
import type { PlannedCost } from "./plan.ts";
import { inferenceBytes, stepBytes, valuesOf } from "./step-bytes.ts";

/** What the engine was measured to do. */
export interface EngineSpeed {
  /** In the convolutions and matmuls of a forward pass. */
  readonly multiplyAddsPerSecond: number;
  /** Read and written by what is no contraction: activations, sums, pooling, the optimizer. */
  readonly bytesPerSecond: number;
  /** Of cached features read; no time where absent. */
  readonly cacheBytesPerSecond?: number;
  /** To read, decode and resize one picture; none where absent. */
  readonly secondsPerImage?: number;
}

/** What a run's cost depends on besides the model and the cut. */
export interface CostQuestion {
  /** Trained on in an epoch. */
  readonly trainImages: number;
  /** Evaluated after an epoch. */
  readonly validationImages: number;
  readonly batchSize: number;
  /** Tensors that the optimizer keeps for each weight: 2 for Adam, 1 for momentum, 0 for plain SGD. */
  readonly optimizerSlots: number;
  readonly speed: EngineSpeed;
  /** Bytes of a cached value: 4, or 2 for float16. */
  readonly bytesPerValue?: 2 | 4;
  /** Whether the static part is computed once and kept; true. */
  readonly cached?: boolean;
  /** Resident bytes of the process before the run, the model read. */
  readonly residentBytes?: number;
  /** Pictures that the static part takes at a time; 16. */
  readonly extractionBatch?: number;
}

/** The work of one image: multiply-adds in contractions, bytes that all else reads and writes. */
interface Work {
  readonly multiplyAdds: number;
  readonly bytes: number;
}

/**
 * The cost of a run. Forward counts once; backward counts once more for the gradients of inputs where something before them
 * trains, and once for those of weights. The whole model is one in which every weight that can trains.
 */
export function plannedCost(
  graph: LayerGraph,
  parts: Partition,
  shapes: readonly NodeShapes[],
  question: CostQuestion,
): PlannedCost {
  const { speed, trainImages, validationImages, batchSize, optimizerSlots } = question;
  const costs = nodeCosts(graph, shapes);
  const isStatic = (node: GraphNode): boolean => parts.sides[node.index] === "static";
  const whole = wholeTraining(graph);
  const trunk = sum(graph.nodes.filter(isStatic).map((node) => inferenceWork(costs, node)));
  const tail = graph.nodes.filter((node) => !isStatic(node));
  const seconds = ({ multiplyAdds, bytes }: Work): number =>
    multiplyAdds / speed.multiplyAddsPerSecond + bytes / speed.bytesPerSecond;
  const epoch = (nodes: readonly GraphNode[], trainable: ReadonlyMap<string, readonly string[]>): number => {
    const forward = seconds(sum(nodes.map((node) => costs[node.index]!)));
    const step = seconds(trainingWork(nodes, costs, trainable));
    const update = optimizerBytes(graph, trainable, optimizerSlots) / speed.bytesPerSecond;
    return trainImages * step + validationImages * forward + Math.ceil(trainImages / batchSize) * update;
  };
  const images = trainImages + validationImages;
  const decoding = images * (speed.secondsPerImage ?? 0);
  const cached = (question.cached ?? true) && readsFeatures(graph, parts);
  const cacheBytes = cached ? images * frontierBytes(graph, parts, shapes, question.bytesPerValue ?? 4) : 0;
  const reading = speed.cacheBytesPerSecond ? cacheBytes / speed.cacheBytesPerSecond : 0;
  const extraction = images * seconds(trunk) + decoding;
  const epochSeconds = epoch(tail, parts.trainableWeights) + (cached ? reading : extraction);
  const memory = { batchSize, optimizerSlots };
  const step = stepBytes(graph, shapes, {
    ...memory,
    nodes: tail,
    trainable: parts.trainableWeights,
    onStoredStatistics: (path) => !parts.batchStatistics.has(path),
  });
  const processBytes = (residentBytes: number): number => {
    const once = inferenceBytes(graph, shapes, graph.nodes.filter(isStatic), question.extractionBatch ?? 16);
    const bestWeights = 2 * 4 * trainedValues(graph, parts.trainableWeights);
    return residentBytes + Math.max(once, step + bestWeights);
  };
  return {
    multiplyAdds: {
      static: sum(graph.nodes.filter(isStatic).map((node) => costs[node.index]!)).multiplyAdds,
      dynamic: sum(tail.map((node) => costs[node.index]!)).multiplyAdds,
    },
    epochRatio: epochSeconds / (epoch(graph.nodes, whole) + decoding),
    extractionSeconds: cached ? extraction : 0,
    epochSeconds,
    cacheBytes,
    cachePays: cacheBytes === 0 || reading <= extraction,
    headCut: headCut(graph, shapes, images * (question.bytesPerValue ?? 4)),
    stepBytes: step,
    wholeStepBytes: stepBytes(graph, shapes, {
      ...memory,
      nodes: graph.nodes,
      trainable: whole,
      onStoredStatistics: () => parts.batchStatistics.size === 0,
    }),
    ...(question.residentBytes !== undefined && { processBytes: processBytes(question.residentBytes) }),
  };
}

/** The frontier if the head alone trained, and its bytes at so many for each value. */
function headCut(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  bytesPerValue: number,
): NonNullable<PlannedCost["headCut"]> | null {
  const heads = headsOf(graph)?.map((head) => head.path);
  if (!heads) return null;
  const frozen = new Set(graph.layers.map((layer) => layer.path).filter((path) => !heads.includes(path)));
  const parts = partition(graph, { frozen, bnMode: "inference", newLayers: new Set() });
  const tensors = parts.frontier.map((ref) => graph.nodes[ref.node]!.layer);
  return {
    tensor: tensors.join(" + "),
    cacheBytes: frontierBytes(graph, parts, shapes, bytesPerValue),
  };
}

/** Every weight that a gradient may reach, by layer path. */
function wholeTraining(graph: LayerGraph): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...weightSpecsOf(graph)].flatMap(([path, specs]) => {
      const names = specs.filter((spec) => spec.trainable).map((spec) => spec.name);
      return names.length > 0 ? [[path, names] as const] : [];
    }),
  );
}

function nodeCosts(graph: LayerGraph, shapes: readonly NodeShapes[]): readonly Work[] {
  const layers = layersByPath(graph);
  return graph.nodes.map((node) => {
    const inputs = node.inputs.map((ref) => shapeAt(shapes, ref));
    const outputs = shapes[node.index]!;
    if (inputs.length === 0) return { multiplyAdds: 0, bytes: 0 };
    const multiplyAdds = contraction(layers.get(node.layer)!, node, inputs, outputs);
    return {
      multiplyAdds,
      bytes: 4 * [...inputs, ...outputs].reduce((count, shape) => count + valuesOf(shape), 0),
    };
  });
}

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
  return count({ config, keras, inputs, outputs, args: node.args, kwargs: node.kwargs });
}

function sum(works: readonly Work[]): Work {
  return works.reduce(
    (total, work) => ({
      multiplyAdds: total.multiplyAdds + work.multiplyAdds,
      bytes: total.bytes + work.bytes,
    }),
    { multiplyAdds: 0, bytes: 0 },
  );
}

/** In inference what has no contraction of its own is mostly folded into one; half of its passes are counted. */
function inferenceWork(costs: readonly Work[], node: GraphNode): Work {
  const { multiplyAdds, bytes } = costs[node.index]!;
  return { multiplyAdds, bytes: bytes / 2 };
}

function trainingWork(
  nodes: readonly GraphNode[],
  costs: readonly Work[],
  trainable: ReadonlyMap<string, readonly string[]>,
): Work {
  const within = new Set(nodes.map((node) => node.index));
  const differentiable = new Set<number>();
  const works = nodes.map((node) => {
    const { multiplyAdds, bytes } = costs[node.index]!;
    const trains = trainable.has(node.layer);
    const passesOn = everyRead(node).some((ref) => within.has(ref.node) && differentiable.has(ref.node));
    if (trains || passesOn) differentiable.add(node.index);
    const passes = 1 + (trains ? 1 : 0) + (passesOn ? 1 : 0);
    return { multiplyAdds: multiplyAdds * passes, bytes: bytes * (trains || passesOn ? 2.5 : 1) };
  });
  return sum(works);
}

/** Read and written in one update: weight, gradient and slots, and weight and slots again. */
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

/** Whether the tail reads anything but the model's inputs. */
function readsFeatures(graph: LayerGraph, parts: Partition): boolean {
  const inputs = inputNodes(graph);
  return parts.frontier.some((ref) => !inputs.has(ref.node));
}

/** Of one image; a model input that the tail reads is not kept, it is the picture. */
function frontierBytes(
  graph: LayerGraph,
  parts: Partition,
  shapes: readonly NodeShapes[],
  bytesPerValue: number,
): number {
  const inputs = inputNodes(graph);
  const kept = parts.frontier.filter((ref) => !inputs.has(ref.node));
  return kept.reduce((bytes, ref) => bytes + bytesPerValue * valuesOf(shapeAt(shapes, ref)), 0);
}

function inputNodes(graph: LayerGraph): ReadonlySet<number> {
  return new Set(graph.inputs.map((input) => input.ref.node));
}
