import type { Weights } from "../checkpoint.ts";
import { readsLater } from "../engine/webgpu/repeatable.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { lossInputs } from "../topology/layer-graph.ts";
import { inferenceForm } from "../topology/rewrites/inference-form.ts";
import { pushStrides } from "../topology/rewrites/push-strides.ts";
import { callsThatStayActive } from "../topology/stays-active.ts";
import type { Program } from "./program.ts";
import { programBetween } from "./program.ts";
import { type ContextOf, inferenceContext } from "./run-program.ts";

/**
 * A whole model in inference form with the weights it runs on. These are derived from the checkpoint's and never saved.
 */
export interface InferenceProgram {
  readonly program: Program;
  readonly weights: Weights;
  /**
   * Returns the context of each call. A call uses the batch's statistics if the file says `training=True` and its Keras
   * honors that.
   */
  readonly contextOf: ContextOf;
}

/**
 * Removes what inference does not need: positions that nobody reads, inactive layers, and normalizations that fold into
 * a convolution or Dense. The result is exact but for rounding. Inputs and outputs are those of the graph in its order,
 * followed by its activity penalties.
 */
export function inferenceProgram(graph: LayerGraph, weights: Weights): InferenceProgram {
  const active = new Set(callsThatStayActive(graph).normalizations.map((node) => node.layer));
  const isStored = ({ layer }: GraphNode): boolean => !active.has(layer);
  const pushed = pushStrides(graph, { canPushThrough: isStored }).graph;
  const form = inferenceForm(pushed, weights, {
    intoSums: readsLater(),
    foldable: (path) => !active.has(path),
    silenced: () => true,
    kept: [],
  });
  const inputs = form.graph.inputs.map(({ ref }) => ref);
  const program = programBetween(form.graph, inputs, lossInputs(form.graph));
  return { program, weights: form.weights, contextOf: inferenceContextOf(form.graph) };
}

/** Returns the context of each call of a graph in inference: of the batch's statistics where the file says `training=True`. */
export function inferenceContextOf(graph: LayerGraph): ContextOf {
  const byBatch = new Set(callsThatStayActive(graph).normalizations);
  return (node: GraphNode, layer: GraphLayer) => {
    const context = inferenceContext(node, layer);
    return byBatch.has(node) ? { ...context, statistics: "batch" as const } : context;
  };
}
