import type { Weights } from "../../checkpoint.ts";
import {
  type GraphLayer,
  type GraphNode,
  type LayerGraph,
  layersByPath,
  refKey,
  type TensorRef,
} from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import { foldActivations } from "./fold-activation.ts";
import type { RewriteOptions, RewrittenGraph } from "./fold-batch-norm.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { mergeLinearDense } from "./merge-linear-dense.ts";
import { followed, renumbered } from "./renumber.ts";

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

/** Give their input back unless active in training (`keras/src/layers/regularization`, `keras/src/applications/convnext.py`). */
const silentInInference = new Set([
  "ActivityRegularization",
  "AlphaDropout",
  "Dropout",
  "GaussianDropout",
  "GaussianNoise",
  "SpatialDropout1D",
  "SpatialDropout2D",
  "SpatialDropout3D",
  "StochasticDepth",
]);

export interface WithoutIdentities {
  readonly graph: LayerGraph;
  /** The caller's `kept`, in its order, in the new graph. */
  readonly kept: readonly TensorRef[];
}

/**
 * The graph without the calls that give their input back: Identity, a linear Activation, and Dropout's and noise's where
 * `silenced` says that the call is never active. Readers read the input instead.
 */
export function withoutIdentities(
  graph: LayerGraph,
  options: { readonly silenced: (node: GraphNode) => boolean; readonly kept: readonly TensorRef[] },
): WithoutIdentities {
  const layers = layersByPath(graph);
  const redirects = new Map<string, TensorRef>();
  const nodes = graph.nodes.filter((node) => {
    const gone = isIdentity(layers.get(node.layer)!, node, options.silenced);
    if (gone) redirects.set(refKey({ node: node.index, output: 0 }), node.inputs[0]!);
    return !gone;
  });
  if (redirects.size === 0) return { graph, kept: options.kept };
  const redirect = (ref: TensorRef): TensorRef => followed(redirects, ref);
  const { graph: shorter, moved } = renumbered(graph, { nodes, layers: graph.layers, redirect });
  return { graph: shorter, kept: options.kept.map(moved) };
}

function isIdentity(layer: GraphLayer, node: GraphNode, silenced: (node: GraphNode) => boolean): boolean {
  if (node.inputs.length !== 1) return false;
  if (layer.className === "Identity") return true;
  if (layer.className === "Activation") return isLinear(layer.config);
  return silentInInference.has(layer.className) && silenced(node);
}
