import type { Shape } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layerLookup } from "../topology/layer-graph.ts";
import { inputShapes } from "../topology/layer-spec.ts";
import { specOf } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { valuesOf } from "./step-bytes.ts";

/** Work of some calls. */
export interface Work {
  /** Multiply-adds of contractions for one sample. */
  readonly multiplyAdds: number;
  /** Bytes that all other work reads and writes for one sample. */
  readonly bytes: number;
  /** Operations of the engine for one batch, whatever its size. */
  readonly operations: number;
}

const noWork: Work = { multiplyAdds: 0, bytes: 0, operations: 0 };

/** Operations of one step of a recurrent cell: a product, a split, sums, gates. An LSTM has 12.6 of them. */
const operationsOfStep = 13;

/** Returns a function that gives the work of a call in a forward pass. */
export function forwardWork(graph: LayerGraph, shapes: readonly NodeShapes[]): (node: GraphNode) => Work {
  const layerOf = layerLookup(graph);
  const works = graph.nodes.map((node) => {
    const inputs = node.inputs.map((ref) => shapeAt(shapes, ref));
    const outputs = shapes[node.index] ?? [];
    if (inputs.length === 0) return noWork;
    const layer = layerOf(node.layer);
    return {
      multiplyAdds: contraction(layer, node, inputs, outputs),
      bytes: 4 * [...inputs, ...outputs].reduce((count, shape) => count + valuesOf(shape), 0),
      operations: operationsOf(layer, inputs),
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

/** Returns the operations of a call: a recurrent layer has some for each of its steps. */
function operationsOf({ className }: GraphLayer, [first]: readonly (Shape | null)[]): number {
  const steps = first?.[1] ?? 1;
  if (/^(?:LSTM|GRU|SimpleRNN|RNN|ConvLSTM\dD)$/u.test(className)) return operationsOfStep * steps;
  return className === "Bidirectional" ? 2 * operationsOfStep * steps : 2;
}

/** Returns the work of several calls together. */
export function sumOfWork(works: readonly Work[]): Work {
  return works.reduce(
    (total, work) => ({
      multiplyAdds: total.multiplyAdds + work.multiplyAdds,
      bytes: total.bytes + work.bytes,
      operations: total.operations + work.operations,
    }),
    noWork,
  );
}

/**
 * Returns the work in inference form. Most elementwise calls are folded into a contraction there, so half of the bytes
 * count.
 */
export function inferenceWork({ bytes, ...work }: Work): Work {
  return { ...work, bytes: bytes / 2 };
}

/**
 * Returns the work of a training step, forward and backward. A call costs one forward pass, another one for the gradient of its
 * inputs if something before it trains, and another one for the gradients of its weights.
 */
export function trainingWork(
  nodes: readonly GraphNode[],
  workOf: (node: GraphNode) => Work,
  trainable: ReadonlyMap<string, readonly string[]>,
): Work {
  const within = new Set(nodes.map((node) => node.index));
  const differentiable = new Set<number>();
  const works = nodes.map((node) => {
    const { multiplyAdds, bytes, operations } = workOf(node);
    const trains = trainable.has(node.layer);
    const passesOn = everyRead(node).some((ref) => within.has(ref.node) && differentiable.has(ref.node));
    if (trains || passesOn) differentiable.add(node.index);
    const passes = 1 + (trains ? 1 : 0) + (passesOn ? 1 : 0);
    return {
      multiplyAdds: multiplyAdds * passes,
      bytes: bytes * (trains || passesOn ? 2.5 : 1),
      operations: operations * (trains || passesOn ? 2 : 1),
    };
  });
  return sumOfWork(works);
}
