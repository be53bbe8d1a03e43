import { channelsFirst, sizesAt } from "../config-values.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layersByPath, refKey } from "../layer-graph.ts";
import { isLinear } from "../specs/activation.ts";
import { graphEdges } from "./graph-edges.ts";

/** The calls of a graph that run, and what is read of them afterwards. */
interface Part {
  readonly graph: LayerGraph;
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly TensorRef[];
}

/**
 * The convolutions that can run as one call with the BatchNormalization after them, by their node index: nobody else reads what
 * stands between the two, each layer is called once, the normalization is on stored statistics. The convolution is a Conv2D
 * without groups or a DepthwiseConv2D, channels last, undilated and linear.
 */
export function normalizedConvolutions(
  { graph, nodes, outputs }: Part,
  onStoredStatistics: (path: string) => boolean,
): ReadonlyMap<number, GraphNode> {
  const edges = graphEdges(graph);
  const layers = layersByPath(graph);
  const running = new Set(nodes.map((node) => node.index));
  const read = new Set(outputs.map(refKey));
  const pairs = new Map<number, GraphNode>();
  for (const node of nodes) {
    const between = { node: node.index, output: 0 };
    const [reader, ...others] = edges.readers(between);
    if (!reader || others.length > 0 || !running.has(reader.index)) continue;
    if (read.has(refKey(between)) || edges.isOutput(between)) continue;
    if ([node, reader].some(({ layer }) => edges.calls(layer).length !== 1)) continue;
    if (!isPlainConvolution(layers.get(node.layer)!)) continue;
    if (normalizesChannels(layers.get(reader.layer)!) && onStoredStatistics(reader.layer))
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
