import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import { activationName } from "../topology/head-of.ts";
import type { GraphNode, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { layersByPath, refKey } from "../topology/layer-graph.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { normalizedConvolutions } from "../topology/rewrites/normalized-convolutions.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";

interface Step {
  readonly nodes: readonly GraphNode[];
  readonly trainable: ReadonlyMap<string, readonly string[]>;
  readonly batchSize: number;
  readonly optimizerSlots: number;
  /** Whether a normalization uses, in training, the statistics it has stored. */
  readonly onStoredStatistics: (path: string) => boolean;
}

/**
 * Bytes that live at the peak of a training step over `nodes`: what the backward pass reads again (inputs of trained layers,
 * outputs of activations, both sides of a product), what enters, the largest call in flight, and the weights with their
 * optimizer state and the largest gradient.
 */
export function stepBytes(graph: LayerGraph, shapes: readonly NodeShapes[], step: Step): number {
  const sizeOf = (ref: TensorRef): number => valuesOf(shapeAt(shapes, ref));
  const outputs = graph.outputs.map(({ ref }) => ref);
  const pairs = normalizedConvolutions({ graph, nodes: step.nodes, outputs }, step.onStoredStatistics);
  const unmade = new Set([...pairs.keys()].map((node) => refKey({ node, output: 0 })));
  const kept = keptTensors(graph, step).filter((ref) => !unmade.has(refKey(ref)));
  const entering = enteringTensors(graph, step.nodes);
  const held = new Map([...entering, ...kept].map((ref) => [refKey(ref), sizeOf(ref)] as const));
  const activations = total(held.values()) + largestCall(shapes, step.nodes);
  return 4 * (step.batchSize * activations + weightValues(graph, step));
}

/** Bytes that live when `nodes` run once in inference: their weights, as they are and folded, and the largest call in flight. */
export function inferenceBytes(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  nodes: readonly GraphNode[],
  batchSize: number,
): number {
  const step = { nodes, trainable: new Map(), optimizerSlots: 0 };
  return 4 * (batchSize * largestCall(shapes, nodes) + 2 * weightValues(graph, step));
}

/** What the largest call of one sample reads and writes, in values. */
function largestCall(shapes: readonly NodeShapes[], nodes: readonly GraphNode[]): number {
  const inFlight = nodes.map((node) =>
    [...everyRead(node), ...outputsOf(node)].reduce(
      (values, ref) => values + valuesOf(shapeAt(shapes, ref)),
      0,
    ),
  );
  return Math.max(0, ...inFlight);
}

/** Tensors that the backward pass reads again. */
function keptTensors(graph: LayerGraph, { nodes, trainable }: Step): TensorRef[] {
  const layers = layersByPath(graph);
  const differentiable = new Set<number>();
  return nodes.flatMap((node) => {
    const layer = layers.get(node.layer)!;
    const reads = everyRead(node);
    const trains = trainable.has(node.layer);
    if (!trains && !reads.some((ref) => differentiable.has(ref.node))) return [];
    differentiable.add(node.index);
    const readsInputs = trains || /Multiply|Dot|Maximum|Minimum|^MaxPooling|Attention/u.test(layer.className);
    const readsOutputs = activationName(layer) !== "linear" || layer.className.startsWith("MaxPooling");
    return [...(readsInputs ? reads : []), ...(readsOutputs ? outputsOf(node) : [])];
  });
}

/** Tensors that the nodes read and do not compute: a model input enters even where its node is one of them. */
function enteringTensors(graph: LayerGraph, nodes: readonly GraphNode[]): TensorRef[] {
  const computed = new Set(nodes.map((node) => node.index));
  for (const { ref } of graph.inputs) computed.delete(ref.node);
  return nodes.flatMap((node) => everyRead(node).filter((ref) => !computed.has(ref.node)));
}

/** All weights of the nodes' layers, the slots of those that train, and the largest layer's gradient. */
function weightValues(
  graph: LayerGraph,
  { nodes, trainable, optimizerSlots }: Pick<Step, "nodes" | "trainable" | "optimizerSlots">,
): number {
  const specs = weightSpecsOf(graph);
  let values = 0;
  let largest = 0;
  for (const path of new Set(nodes.map((node) => node.layer))) {
    const names = trainable.get(path) ?? [];
    let trained = 0;
    for (const { name, shape } of specs.get(path) ?? []) {
      values += elementCount(shape);
      if (names.includes(name)) trained += elementCount(shape);
    }
    values += optimizerSlots * trained;
    largest = Math.max(largest, trained);
  }
  return values + largest;
}

function outputsOf(node: GraphNode): TensorRef[] {
  return node.outputs.map((_, output) => ({ node: node.index, output }));
}

/** Values of one sample; none where the shape is unknown. */
export function valuesOf(shape: Shape | null): number {
  return shape === null ? 0 : elementCount(shape.slice(1).map((size) => size ?? 0));
}

function total(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
