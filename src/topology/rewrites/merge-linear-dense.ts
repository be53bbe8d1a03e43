import type { Weight, Weights } from "../../checkpoint.ts";
import { toFloat32 } from "../../tensor.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerLookup, refKey } from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import { named, plainWeights } from "./contraction-weights.ts";
import type { RewriteOptions, RewrittenGraph } from "./fold-batch-norm.ts";
import { called } from "./fold-batch-norm.ts";
import type { GraphEdges } from "./graph-edges.ts";
import { graphEdges } from "./graph-edges.ts";
import { renumbered } from "./renumber.ts";

/** Two Dense layers in a row that can become one. */
interface Pair {
  readonly first: GraphNode;
  readonly second: GraphNode;
  /** Weights of the two layers. */
  readonly parts: readonly [Parts, Parts];
  /** Multiply-adds that merging saves for each row of the input. */
  readonly saved: number;
}

/**
 * Merges each Dense with the linear Dense before it as long as that saves multiply-adds, the pair that saves most
 * first. Both must be foldable and called once, and the tensor between them has no other reader and is not kept.
 */
export function mergeLinearDense(
  graph: LayerGraph,
  weights: Weights,
  options: RewriteOptions,
): RewrittenGraph {
  let merged: RewrittenGraph = { graph, weights, kept: options.kept };
  for (let pair = bestPair(merged, options); pair; pair = bestPair(merged, options)) {
    merged = mergePair(merged, pair);
  }
  return merged;
}

function bestPair({ graph, weights, kept }: RewrittenGraph, { foldable }: RewriteOptions): Pair | undefined {
  const edges = graphEdges(graph);
  const layerOf = layerLookup(graph);
  const keptKeys = new Set(kept.map(refKey));
  const mergeable = (node: GraphNode): Parts | null =>
    layerOf(node.layer).className === "Dense" && foldable(node.layer) && edges.calls(node.layer).length === 1
      ? plainWeights(weights.get(node.layer) ?? [], "kernel")
      : null;
  return graph.nodes
    .flatMap((first): Pair[] => {
      const second = soleReader(edges, { node: first.index, output: 0 }, keptKeys);
      const before = second && isLinearDense(layerOf(first.layer)) ? mergeable(first) : null;
      const after = second && mergeable(second);
      if (!second || !before || !after) return [];
      const [inputs, hidden] = matrixSizes(before.kernel);
      const [, outputs] = matrixSizes(after.kernel);
      const saved = hidden * (inputs + outputs) - inputs * outputs;
      return [{ first, second, parts: [before, after], saved }];
    })
    .filter((pair) => pair.saved > 0)
    .reduce<Pair | undefined>((best, pair) => (best && best.saved >= pair.saved ? best : pair), undefined);
}

function soleReader(edges: GraphEdges, ref: TensorRef, kept: ReadonlySet<string>): GraphNode | undefined {
  const readers = edges.readers(ref);
  return readers.length === 1 && !edges.isOutput(ref) && !kept.has(refKey(ref)) ? readers[0] : undefined;
}

function isLinearDense(layer: GraphLayer): boolean {
  return isLinear(layer.config) && !layer.config["activity_regularizer"];
}

function mergePair({ graph, weights, kept }: RewrittenGraph, { first, second, parts }: Pair): RewrittenGraph {
  const derived = new Map(weights);
  derived.set(second.layer, product(...parts));
  const dropped = refKey({ node: first.index, output: 0 });
  const { graph: merged, moved } = renumbered(graph, {
    nodes: graph.nodes.filter((node) => node !== first),
    layers: graph.layers.map((layer) =>
      layer.path === second.layer ? { ...layer, config: { ...layer.config, use_bias: true } } : layer,
    ),
    redirect: (ref) => (refKey(ref) === dropped ? (first.inputs[0] ?? ref) : ref),
  });
  return { graph: merged, weights: called(merged, derived), kept: kept.map(moved) };
}

/** Weights of a Dense layer. */
interface Parts {
  readonly kernel: Weight;
  readonly bias: Weight | undefined;
}

/** Returns the weights of one layer: `(x A + a) B + b = x (A B) + (a B + b)`, summed in float64. */
function product(first: Parts, second: Parts): Weight[] {
  const [inputs, hidden] = matrixSizes(first.kernel);
  const [, outputs] = matrixSizes(second.kernel);
  const right = toFloat32(second.kernel);
  const kernel = rowsTimes(toFloat32(first.kernel), right, inputs, hidden, outputs);
  const carried = first.bias
    ? rowsTimes(toFloat32(first.bias), right, 1, hidden, outputs)
    : new Float64Array(outputs);
  const own = second.bias ? toFloat32(second.bias) : new Float32Array(outputs);
  const bias = Float32Array.from(carried, (value, at) => value + own[at]!);
  return [named("kernel", new Float32Array(kernel), [inputs, outputs]), named("bias", bias, [outputs])];
}

/** Multiplies matrices of shapes `[rows, inner]` and `[inner, columns]`. */
function rowsTimes(
  left: Float32Array,
  right: Float32Array,
  rows: number,
  inner: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let at = 0; at < inner; at += 1) {
      const factor = left[row * inner + at]!;
      for (let column = 0; column < columns; column += 1) {
        result[row * columns + column]! += factor * right[at * columns + column]!;
      }
    }
  }
  return result;
}

function matrixSizes({ shape: [rows = 0, columns = 0] }: Weight): [number, number] {
  return [rows, columns];
}
