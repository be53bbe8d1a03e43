import { tf } from "../../../src/engine/tf.ts";
import type { GraphNode, LayerGraph, TensorRef } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import type { GraphMaker } from "./graph-maker.ts";
import {
  built,
  outputRefs,
  randomInputs,
  randomWeights,
  relativeDifference,
  valuesAt,
} from "./graph-maker.ts";

/** Options that allow a stride to move across every call. */
export const everywhere = { canPushThrough: (): boolean => true };

/** Runs the graph before and after the rewrite on the same weights and returns the largest relative difference. */
export function difference(graph: LayerGraph, pushed: LayerGraph, free = 9): number {
  const weights = randomWeights(graph, 5);
  const inputs = randomInputs(graph, 6, free);
  const before = valuesAt(graph, weights, inputs, outputRefs(graph));
  const after = valuesAt(pushed, weights, inputs, outputRefs(pushed));
  tf.dispose(inputs);
  return Math.max(...after.map((value, index) => relativeDifference(value, before[index]!)));
}

export function nodeOf(graph: LayerGraph, path: string): GraphNode {
  return graph.nodes.find((node) => node.layer === path)!;
}

export function shapeOf(graph: LayerGraph, path: string): unknown {
  return nodeOf(graph, path).outputs[0]!.shape;
}

export function stridesOf(graph: LayerGraph, path: string): unknown {
  return layerAt(graph, path).config["strides"];
}

/** Builds the layers that `first` writes, followed by a strided 1x1 convolution as their only reader. */
export function before1x1(size: number | null, make: (g: GraphMaker, x: TensorRef) => TensorRef): LayerGraph {
  return built((g) =>
    g.call(
      "last",
      "Conv2D",
      { filters: 3, kernel_size: 1, strides: 2 },
      make(g, g.input([null, size, size, 4])),
    ),
  );
}
