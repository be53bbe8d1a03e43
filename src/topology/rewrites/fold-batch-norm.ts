import type { Weight, Weights } from "../../checkpoint.ts";
import { toFloat32 } from "../../tensor.ts";
import { integersAt, numberAt, positiveAxis } from "../config-values.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layersByPath, refKey } from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import type { ChannelAffine } from "./contraction-weights.ts";
import {
  channelAxis,
  isContraction,
  isLoaded,
  withAffineInput,
  withAffineOutput,
} from "./contraction-weights.ts";
import { graphEdges } from "./graph-edges.ts";
import { followed, renumbered } from "./renumber.ts";

/** What a rewrite may touch, and which tensors its caller goes on to read. */
export interface RewriteOptions {
  /** Whether the layer at this path may be changed: it runs in inference form, and nothing in it is trained. */
  readonly foldable: (path: string) => boolean;
  /** Tensors that must stay, besides the graph's outputs: fed, or read from outside. */
  readonly kept: readonly TensorRef[];
}

/** A program and the weights to run it with, derived: never the ones to be saved. */
export interface RewrittenGraph {
  readonly graph: LayerGraph;
  readonly weights: Weights;
  /** The caller's `kept`, in its order, in the new graph. */
  readonly kept: readonly TensorRef[];
}

/**
 * The graph with each BatchNormalization on stored statistics, and ConvNeXt's LayerScale, written into the convolution or Dense before it, or, where none
 * is, into an unpadded one after it. Both must be foldable; the tensor between them is read by nobody else and not kept; the
 * layer that takes it in is called once and, where it comes first, linear; the axis is its channels'.
 */
export function foldBatchNorm(graph: LayerGraph, weights: Weights, options: RewriteOptions): RewrittenGraph {
  const edges = graphEdges(graph);
  const keptKeys = new Set(options.kept.map(refKey));
  const layers = layersByPath(graph);
  const derived = new Map(weights);
  const redirects = new Map<string, TensorRef>();

  const takesIn = (node: GraphNode): boolean => {
    const layer = layers.get(node.layer)!;
    return isContraction(layer) && options.foldable(layer.path) && edges.calls(layer.path).length === 1;
  };
  const onlyRead = (ref: TensorRef, reader: GraphNode): boolean => {
    const readers = edges.readers(ref);
    return (
      readers.length === 1 && readers[0] === reader && !edges.isOutput(ref) && !keptKeys.has(refKey(ref))
    );
  };
  const replaceWeights = (layer: GraphLayer, folded: readonly Weight[] | null, norm: GraphNode): boolean => {
    if (!folded) return false;
    derived.set(layer.path, folded);
    layers.set(layer.path, { ...layer, config: { ...layer.config, use_bias: true } });
    redirects.set(refKey({ node: norm.index, output: 0 }), norm.inputs[0]!);
    return true;
  };
  const foldBack = (norm: GraphNode, affine: ChannelAffine): boolean => {
    const node = graph.nodes[followed(redirects, norm.inputs[0]!).node]!;
    const layer = layers.get(node.layer)!;
    if (!takesIn(node) || !onlyRead(norm.inputs[0]!, norm) || !isLinear(layer.config)) return false;
    if (layer.config["activity_regularizer"]) return false;
    if (normalizedAxis(layers.get(norm.layer)!, norm) !== axisOfChannels(layer, norm)) return false;
    return replaceWeights(layer, withAffineOutput(layer, derived.get(layer.path) ?? [], affine), norm);
  };
  const foldForward = (norm: GraphNode, affine: ChannelAffine): boolean => {
    const output = { node: norm.index, output: 0 };
    const node = edges.readers(output)[0];
    if (!node || !takesIn(node) || node.inputs.length !== 1 || !onlyRead(output, node)) return false;
    const layer = layers.get(node.layer)!;
    if (normalizedAxis(layers.get(norm.layer)!, norm) !== axisOfChannels(layer, norm)) return false;
    return replaceWeights(layer, withAffineInput(layer, derived.get(layer.path) ?? [], affine), norm);
  };

  for (const node of graph.nodes) {
    const layer = layers.get(node.layer)!;
    const scales = layer.className === "BatchNormalization" || layer.className === "LayerScale";
    if (!scales || node.inputs.length !== 1 || !options.foldable(layer.path)) continue;
    const affine = affineOf(layer, weights.get(layer.path) ?? []);
    if (affine) foldBack(node, affine) || foldForward(node, affine);
  }
  if (redirects.size === 0) return { graph, weights, kept: options.kept };
  const { graph: folded, moved } = renumbered(graph, {
    nodes: graph.nodes.filter((node) => !redirects.has(refKey({ node: node.index, output: 0 }))),
    layers: graph.layers.map((layer) => layers.get(layer.path)!),
    redirect: (ref) => followed(redirects, ref),
  });
  return { graph: folded, weights: called(folded, derived), kept: options.kept.map(moved) };
}

/** The entries of layers that the graph still has. */
export function called(graph: LayerGraph, weights: Weights): Weights {
  const paths = new Set(graph.layers.map((layer) => layer.path));
  return new Map([...weights].filter(([path]) => paths.has(path)));
}

/** What the layer does to its channels; null where its weights were not read. */
function affineOf(layer: GraphLayer, weights: readonly Weight[]): ChannelAffine | null {
  const values = new Map(weights.filter(isLoaded).map((weight) => [weight.name, toFloat32(weight)] as const));
  if (values.size !== weights.length) return null;
  if (layer.className === "BatchNormalization") return normalizing(values, numberAt(layer.config, "epsilon"));
  const gamma = values.get("gamma");
  if (!gamma) return null;
  return { scale: Float64Array.from(gamma), shift: new Float64Array(gamma.length) };
}

/** `gamma / sqrt(variance + epsilon)` and what is left to add (`keras/src/layers/normalization/batch_normalization.py`). */
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
  const axes = layer.className === "LayerScale" ? [-1] : integersAt(layer.config, "axis");
  const rank = node.outputs[0]?.shape?.length;
  return axes.length === 1 && rank !== undefined ? positiveAxis(axes[0]!, rank) : null;
}

function axisOfChannels(layer: GraphLayer, norm: GraphNode): number | undefined {
  const rank = norm.outputs[0]?.shape?.length;
  return rank === undefined ? undefined : channelAxis(layer, rank);
}
