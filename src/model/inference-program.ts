import type { Weights } from "../checkpoint.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { inferenceForm } from "../topology/rewrites/inference-form.ts";
import { pushStrides } from "../topology/rewrites/push-strides.ts";
import type { Program } from "./program.ts";
import { programBetween } from "./program.ts";

/** A whole model in inference form, with the weights that it runs on: derived, never the ones to be saved. */
export interface InferenceProgram {
  readonly program: Program;
  readonly weights: Weights;
}

/**
 * The model without what inference does not need: positions that nobody reads, inactive layers, normalizations that fold into a
 * convolution or Dense. Exact but for rounding. Inputs and outputs are the graph's, in its order.
 */
export function inferenceProgram(graph: LayerGraph, weights: Weights): InferenceProgram {
  const pushed = pushStrides(graph, { canPushThrough: () => true }).graph;
  const form = inferenceForm(pushed, weights, { foldable: () => true, silenced: () => true, kept: [] });
  const { inputs, outputs } = form.graph;
  const program = programBetween(
    form.graph,
    inputs.map(({ ref }) => ref),
    outputs.map(({ ref }) => ref),
  );
  return { program, weights: form.weights };
}
