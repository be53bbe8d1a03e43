import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import { activationName } from "../topology/head-of.ts";
import type { GraphNode, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { layerLookup, refKey } from "../topology/layer-graph.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { normalizedConvolutions } from "../topology/rewrites/normalized-convolutions.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";

/** A training step over some calls of the graph. */
interface Step {
  readonly nodes: readonly GraphNode[];
  readonly trainable: ReadonlyMap<string, readonly string[]>;
  readonly batchSize: number;
  readonly optimizerSlots: number;
  /** Returns whether the normalization layer at a path uses stored statistics in training. */
  readonly onStoredStatistics: (path: string) => boolean;
}

/**
 * Returns the peak memory of a training step in bytes: tensors that the backward pass reads again (inputs of trained
 * layers, outputs of activations, both sides of a product), tensors that enter, the largest call in progress, and the
 * weights with their optimizer state and the largest gradient.
 */
export function stepBytes(graph: LayerGraph, shapes: readonly NodeShapes[], step: Step): number {
  const sizeOf = (ref: TensorRef): number => valuesOf(shapeAt(shapes, ref));
  const outputs = graph.outputs.map(({ ref }) => ref);
  const pairs = normalizedConvolutions({ graph, nodes: step.nodes, outputs }, step.onStoredStatistics);
  const unmade = new Set([...pairs.keys()].map((node) => refKey({ node, output: 0 })));
  const kept = keptTensors(graph, step).filter((ref) => !unmade.has(refKey(ref)));
  const entering = enteringTensors(graph, step.nodes);
  const held = new Map([...entering, ...kept].map((ref) => [refKey(ref), sizeOf(ref)] as const));
  const activations = total(held.values()) + largestCall(graph, shapes, step.nodes, temporaries.step);
  return 4 * (step.batchSize * activations + weightValues(graph, step));
}

/**
 * Returns the peak memory in bytes of running `nodes` once in inference: their weights, and the largest call in progress, which kernels and their allocator take `kernelCopies` times.
 */
export function inferenceBytes(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  nodes: readonly GraphNode[],
  batchSize: number,
  kernelCopies: number = 1.5,
): number {
  const step = { nodes, trainable: new Map(), optimizerSlots: 0 };
  const largest = largestCall(graph, shapes, nodes, temporaries.inference);
  return 4 * (batchSize * kernelCopies * largest + weightValues(graph, step));
}

/**
 * Tensors of the size of its output that an activation like swish makes on the way: the sigmoid, and in the backward pass products
 * of it with the gradient and the input.
 */
const temporaries = { inference: 1, step: 4 } as const;

/** Returns the number of values that the largest call reads and writes for one sample, with the temporary ones. */
function largestCall(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  nodes: readonly GraphNode[],
  temporary: number,
): number {
  const layerOf = layerLookup(graph);
  const sizeOf = (refs: readonly TensorRef[]): number =>
    refs.reduce((values, ref) => values + valuesOf(shapeAt(shapes, ref)), 0);
  const inFlight = nodes.map((node) => {
    const extra = inputActivations.has(activationName(layerOf(node.layer))) ? temporary : 0;
    return sizeOf(everyRead(node)) + (1 + extra) * sizeOf(outputsOf(node));
  });
  return Math.max(0, ...inFlight);
}

/** Activations whose gradient is computed from their input. */
const inputActivations: ReadonlySet<string> = new Set(["swish", "silu", "gelu", "mish", "hard_swish"]);

/** Returns the tensors that the backward pass reads again. */
function keptTensors(graph: LayerGraph, { nodes, trainable }: Step): TensorRef[] {
  const layerOf = layerLookup(graph);
  const differentiable = new Set<number>();
  return nodes.flatMap((node) => {
    const layer = layerOf(node.layer);
    const reads = everyRead(node);
    const trains = trainable.has(node.layer);
    if (!trains && !reads.some((ref) => differentiable.has(ref.node))) return [];
    differentiable.add(node.index);
    const readsInputs =
      trains ||
      inputActivations.has(activationName(layer)) ||
      /Multiply|Dot|Maximum|Minimum|^MaxPooling|Attention/u.test(layer.className);
    const readsOutputs = activationName(layer) !== "linear" || layer.className.startsWith("MaxPooling");
    return [...(readsInputs ? reads : []), ...(readsOutputs ? outputsOf(node) : [])];
  });
}

/**
 * Returns the tensors that the calls read but do not compute. A model input counts even if its call is one of them.
 */
function enteringTensors(graph: LayerGraph, nodes: readonly GraphNode[]): TensorRef[] {
  const computed = new Set(nodes.map((node) => node.index));
  for (const { ref } of graph.inputs) computed.delete(ref.node);
  return nodes.flatMap((node) => everyRead(node).filter((ref) => !computed.has(ref.node)));
}

/**
 * Returns the number of values in all weights of the called layers, the optimizer slots of those that train, and the
 * largest gradient.
 */
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

/** Returns the number of values of one sample, 0 if the shape is unknown. */
export function valuesOf(shape: Shape | null): number {
  return shape === null ? 0 : elementCount(shape.slice(1).map((size) => size ?? 0));
}

function total(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
