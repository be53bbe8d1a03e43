import type { Weights } from "../../checkpoint.ts";
import type { GraphNode, LayerGraph } from "../layer-graph.ts";
import { foldActivations } from "./fold-activation.ts";
import type { RewriteOptions, RewrittenGraph } from "./fold-batch-norm.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { mergeLinearDense } from "./merge-linear-dense.ts";
import { withoutIdentities } from "./silence.ts";

export interface InferenceFormOptions extends RewriteOptions {
  /** Whether a call of Dropout or noise is never active, so that it gives its input back. */
  readonly silenced: (node: GraphNode) => boolean;
}

/**
 * What a static part runs: identities gone, then BatchNormalization folded, linear Dense merged and activations taken in, each of
 * which brings layers next to each other that the next one joins. Strides are pushed before, on the whole model.
 */
export function inferenceForm(
  graph: LayerGraph,
  weights: Weights,
  options: InferenceFormOptions,
): RewrittenGraph {
  const { foldable } = options;
  const lean = withoutIdentities(graph, options);
  const folded = foldBatchNorm(lean.graph, weights, { foldable, kept: lean.kept });
  const merged = mergeLinearDense(folded.graph, folded.weights, { foldable, kept: folded.kept });
  const taken = foldActivations(merged.graph, { foldable, kept: merged.kept });
  return { ...taken, weights: merged.weights };
}
