import { channelsFirst, sizesAt } from "../config-values.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerLookup, refKey } from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import { graphEdges } from "./graph-edges.ts";

/** The calls of a graph that run, and the tensors that are read afterwards. */
interface Part {
  readonly graph: LayerGraph;
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly TensorRef[];
}

/**
 * Finds the convolutions that can run as one call with the BatchNormalization after them, by the index of their call.
 * The tensor between the two has no other reader, each layer is called once, and the normalization uses stored
 * statistics. The convolution is a Conv2D without groups or a DepthwiseConv2D, channels last, not dilated and linear.
 */
export function normalizedConvolutions(
  { graph, nodes, outputs }: Part,
  onStoredStatistics: (path: string) => boolean,
): ReadonlyMap<number, GraphNode> {
  const edges = graphEdges(graph);
  const layerOf = layerLookup(graph);
  const running = new Set(nodes.map((node) => node.index));
  const read = new Set(outputs.map(refKey));
  const pairs = new Map<number, GraphNode>();
  for (const node of nodes) {
    const between = { node: node.index, output: 0 };
    const [reader, ...others] = edges.readers(between);
    if (!reader || others.length > 0 || !running.has(reader.index)) continue;
    if (read.has(refKey(between)) || edges.isOutput(between)) continue;
    if ([node, reader].some(({ layer }) => edges.calls(layer).length !== 1)) continue;
    if (!isPlainConvolution(layerOf(node.layer))) continue;
    if (normalizesChannels(layerOf(reader.layer)) && onStoredStatistics(reader.layer))
      pairs.set(node.index, reader);
  }
  return pairs;
}

function isPlainConvolution({ className, config }: GraphLayer): boolean {
  if (className !== "Conv2D" && className !== "DepthwiseConv2D") return false;
  const undilated = sizesAt(config, "dilation_rate", 2).every((rate) => rate === 1);
  const whole = (config["groups"] ?? 1) === 1 && !config["lora_rank"];
  return !channelsFirst(config) && undilated && whole && isLinear(config) && !config["activity_regularizer"];
}

function normalizesChannels({ className, config }: GraphLayer): boolean {
  const { axis } = config;
  return className === "BatchNormalization" && (axis === -1 || axis === 3) && !config["activity_regularizer"];
}
