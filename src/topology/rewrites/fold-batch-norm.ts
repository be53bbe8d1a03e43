import type { Weight, Weights } from "../../checkpoint.ts";
import { isLoaded } from "../../lazy-tensor.ts";
import { toFloat32 } from "../../tensor.ts";
import { integersAt, numberAt, positiveAxis } from "../config-values.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerLookup, nodeAt, refKey } from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import type { ChannelAffine } from "./contraction-weights.ts";
import { channelAxis, isContraction, withAffineInput, withAffineOutput } from "./contraction-weights.ts";
import { graphEdges } from "./graph-edges.ts";
import { followed, renumbered } from "./renumber.ts";

/** Layers that a rewrite may change and tensors that it must keep. */
export interface RewriteOptions {
  /** Returns whether the layer at a path may be changed, because it runs in inference and does not train. */
  readonly foldable: (path: string) => boolean;
  /** Tensors that must stay besides the graph's outputs, because they are fed or read from outside. */
  readonly kept: readonly TensorRef[];
}

/** A rewritten graph with derived weights, which are never saved. */
export interface RewrittenGraph {
  readonly graph: LayerGraph;
  readonly weights: Weights;
  /** The `kept` tensors of the options, in the same order, in the new graph. */
  readonly kept: readonly TensorRef[];
}

/**
 * Folds each BatchNormalization, with stored statistics, and each LayerScale of ConvNeXt into the convolution or Dense
 * before it, or else into an unpadded one after it. Both layers must be foldable. The tensor between them has no other
 * reader and is not kept. The layer that takes it in is called once, has the same channel axis, and is linear if it
 * comes first.
 */
export function foldBatchNorm(graph: LayerGraph, weights: Weights, options: RewriteOptions): RewrittenGraph {
  const edges = graphEdges(graph);
  const keptKeys = new Set(options.kept.map(refKey));
  const original = layerLookup(graph);
  const changed = new Map<string, GraphLayer>();
  const layerOf = (path: string): GraphLayer => changed.get(path) ?? original(path);
  const derived = new Map(weights);
  const redirects = new Map<string, TensorRef>();

  const takesIn = (node: GraphNode): boolean => {
    const layer = layerOf(node.layer);
    return isContraction(layer) && options.foldable(layer.path) && edges.calls(layer.path).length === 1;
  };
  const onlyRead = (ref: TensorRef, reader: GraphNode): boolean => {
    const readers = edges.readers(ref);
    return (
      readers.length === 1 && readers[0] === reader && !edges.isOutput(ref) && !keptKeys.has(refKey(ref))
    );
  };
  const replaceWeights = (layer: GraphLayer, folded: readonly Weight[] | null, norm: GraphNode): boolean => {
    const [source] = norm.inputs;
    if (!folded || !source) return false;
    derived.set(layer.path, folded);
    changed.set(layer.path, { ...layer, config: { ...layer.config, use_bias: true } });
    redirects.set(refKey({ node: norm.index, output: 0 }), source);
    return true;
  };
  const foldBack = (norm: GraphNode, affine: ChannelAffine): boolean => {
    const [source] = norm.inputs;
    if (!source) return false;
    const node = nodeAt(graph, followed(redirects, source).node);
    const layer = layerOf(node.layer);
    if (!takesIn(node) || !onlyRead(source, norm) || !isLinear(layer.config)) return false;
    if (layer.config["activity_regularizer"]) return false;
    if (normalizedAxis(layerOf(norm.layer), norm) !== axisOfChannels(layer, norm)) return false;
    return replaceWeights(layer, withAffineOutput(layer, derived.get(layer.path) ?? [], affine), norm);
  };
  const foldForward = (norm: GraphNode, affine: ChannelAffine): boolean => {
    const output = { node: norm.index, output: 0 };
    const node = edges.readers(output)[0];
    if (!node || !takesIn(node) || node.inputs.length !== 1 || !onlyRead(output, node)) return false;
    const layer = layerOf(node.layer);
    if (normalizedAxis(layerOf(norm.layer), norm) !== axisOfChannels(layer, norm)) return false;
    return replaceWeights(layer, withAffineInput(layer, derived.get(layer.path) ?? [], affine), norm);
  };

  for (const node of graph.nodes) {
    const layer = layerOf(node.layer);
    const scales = layer.className === "BatchNormalization" || layer.className === "LayerScale";
    if (!scales || node.inputs.length !== 1 || !options.foldable(layer.path)) continue;
    const affine = affineOf(layer, weights.get(layer.path) ?? []);
    if (affine) foldBack(node, affine) || foldForward(node, affine);
  }
  if (redirects.size === 0) return { graph, weights, kept: options.kept };
  const { graph: folded, moved } = renumbered(graph, {
    nodes: graph.nodes.filter((node) => !redirects.has(refKey({ node: node.index, output: 0 }))),
    layers: graph.layers.map((layer) => layerOf(layer.path)),
    redirect: (ref) => followed(redirects, ref),
  });
  return { graph: folded, weights: called(folded, derived), kept: options.kept.map(moved) };
}

/** Returns the weights of the layers that the graph still has. */
export function called(graph: LayerGraph, weights: Weights): Weights {
  const paths = new Set(graph.layers.map((layer) => layer.path));
  return new Map([...weights].filter(([path]) => paths.has(path)));
}

/** Returns the scale and shift that the layer applies to its channels, null if its weights were not read. */
function affineOf(layer: GraphLayer, weights: readonly Weight[]): ChannelAffine | null {
  const values = new Map(weights.filter(isLoaded).map((weight) => [weight.name, toFloat32(weight)] as const));
  if (values.size !== weights.length) return null;
  if (layer.className === "BatchNormalization") return normalizing(values, numberAt(layer.config, "epsilon"));
  const gamma = values.get("gamma");
  if (!gamma) return null;
  return { scale: Float64Array.from(gamma), shift: new Float64Array(gamma.length) };
}

/**
 * Returns the scale `gamma / sqrt(variance + epsilon)` and the shift of a BatchNormalization
 * (`keras/src/layers/normalization/batch_normalization.py`).
 */
function normalizing(values: ReadonlyMap<string, Float32Array>, epsilon: number): ChannelAffine | null {
  const mean = values.get("moving_mean");
  const variance = values.get("moving_variance");
  if (!mean || !variance) return null;
  const gamma = values.get("gamma");
  const beta = values.get("beta");
  const scale = Float64Array.from(variance, (value, at) => (gamma?.[at] ?? 1) / Math.sqrt(value + epsilon));
  const shift = Float64Array.from(scale, (factor, at) => (beta?.[at] ?? 0) - mean[at]! * factor);
  return { scale, shift };
}

function normalizedAxis(layer: GraphLayer, node: GraphNode): number | null {
  const [axis, ...others] = layer.className === "LayerScale" ? [-1] : integersAt(layer.config, "axis");
  const rank = node.outputs[0]?.shape?.length;
  if (axis === undefined || others.length > 0 || rank === undefined) return null;
  return positiveAxis(axis, rank);
}

function axisOfChannels(layer: GraphLayer, norm: GraphNode): number | undefined {
  const rank = norm.outputs[0]?.shape?.length;
  return rank === undefined ? undefined : channelAxis(layer, rank);
}
