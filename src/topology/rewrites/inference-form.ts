import type { Weights } from "../../checkpoint.ts";
import {
  type GraphLayer,
  type GraphNode,
  type LayerGraph,
  layerLookup,
  refKey,
  type TensorRef,
} from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import type { FoldActivationOptions } from "./fold-activation.ts";
import { foldActivations } from "./fold-activation.ts";
import type { RewrittenGraph } from "./fold-batch-norm.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { mergeLinearDense } from "./merge-linear-dense.ts";
import { followed, renumbered } from "./renumber.ts";

/** Options of {@link inferenceForm}. */
export interface InferenceFormOptions extends FoldActivationOptions {
  /** Returns whether a call of Dropout or noise is never active and therefore the identity. */
  readonly silenced: (node: GraphNode) => boolean;
}

/**
 * Rewrites a graph for inference: removes identities, folds BatchNormalization, merges linear Dense layers and folds
 * activations, in this order because each step makes layers adjacent that the next one joins. Strides are pushed
 * before, on the whole model.
 */
export function inferenceForm(
  graph: LayerGraph,
  weights: Weights,
  options: InferenceFormOptions,
): RewrittenGraph {
  const { foldable, intoSums = false } = options;
  const lean = withoutIdentities(graph, options);
  const folded = foldBatchNorm(lean.graph, weights, { foldable, kept: lean.kept });
  const merged = mergeLinearDense(folded.graph, folded.weights, { foldable, kept: folded.kept });
  const taken = foldActivations(merged.graph, { foldable, kept: merged.kept, intoSums });
  return { ...taken, weights: merged.weights };
}

/**
 * Layers that are the identity except in training (`keras/src/layers/regularization`,
 * `keras/src/applications/convnext.py`).
 */
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

/** A graph without identities. */
export interface WithoutIdentities {
  readonly graph: LayerGraph;
  /** The `kept` tensors of the options, in the same order, in the new graph. */
  readonly kept: readonly TensorRef[];
}

/**
 * Removes calls that are the identity: Identity, a linear Activation, and Dropout and noise if `silenced` returns true.
 * Their readers read the input instead.
 */
export function withoutIdentities(
  graph: LayerGraph,
  options: { readonly silenced: (node: GraphNode) => boolean; readonly kept: readonly TensorRef[] },
): WithoutIdentities {
  const layerOf = layerLookup(graph);
  const redirects = new Map<string, TensorRef>();
  const nodes = graph.nodes.filter((node) => {
    const [source] = node.inputs;
    if (!source || !isIdentity(layerOf(node.layer), node, options.silenced)) return true;
    redirects.set(refKey({ node: node.index, output: 0 }), source);
    return false;
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
