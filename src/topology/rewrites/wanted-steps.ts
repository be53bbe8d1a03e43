import type { GraphLayer, GraphNode, LayerGraph, TensorRef, TensorSpec } from "../layer-graph.ts";
import { layersByPath, refKey } from "../layer-graph.ts";
import { isContraction } from "./contraction-weights.ts";
import type { GraphEdges } from "./graph-edges.ts";
import { everyRead, graphEdges } from "./graph-edges.ts";
import { isPointwise, restrided } from "./layer-window.ts";
import type { StrideCrossing } from "./stride-crossing.ts";
import { spatialDataFormat, strideCrossing } from "./stride-crossing.ts";

/** Of each axis of a tensor every how many-th position; the first is always one. */
export type Steps = readonly number[];

/** A graph and how each of its calls stands to strides, by node index. */
export interface StrideAnalysis {
  readonly graph: LayerGraph;
  readonly layers: ReadonlyMap<string, GraphLayer>;
  readonly crossings: readonly StrideCrossing[];
  /** By `refKey`, the tensors of which less than the whole is worth giving, and what of them. */
  readonly given: ReadonlyMap<string, Steps>;
}

interface Context extends Omit<StrideAnalysis, "given"> {
  readonly edges: GraphEdges;
  readonly keptKeys: ReadonlySet<string>;
}

/** What each tensor can be thinned to. `kept` tensors and the graph's outputs are wanted whole. */
export function analyzeStrides(
  graph: LayerGraph,
  canPushThrough: (node: GraphNode) => boolean,
  kept: readonly TensorRef[],
): StrideAnalysis {
  const edges = graphEdges(graph);
  const layers = layersByPath(graph);
  const crossings = graph.nodes.map((node): StrideCrossing => {
    const rank = node.outputs[0]?.shape?.length;
    const ranks = node.inputs.map((ref) => shapeAt(graph, ref)?.length);
    const isAligned = rank !== undefined && ranks.length > 0 && ranks.every((other) => other === rank);
    // What thins a tensor is a pool, which takes floats.
    const isFloat = node.inputs.every((ref) => specAt(graph, ref).dtype === "float32");
    if (!isAligned || !isFloat || !canPushThrough(node)) return { kind: "whole" };
    return strideCrossing(layers.get(node.layer)!, node, rank, edges.calls(node.layer).length === 1);
  });
  const context: Context = { graph, edges, layers, crossings, keptKeys: new Set(kept.map(refKey)) };
  return { graph, layers, crossings, given: worthwhile(context, wantedSteps(context)) };
}

/** Backwards: by tensor that is not wanted whole, the positions that its readers want, all of them together. */
function wantedSteps(context: Context): ReadonlyMap<string, Steps> {
  const { graph, edges, keptKeys, crossings } = context;
  const wanted = new Map<string, Steps | "whole">();
  const want = (ref: TensorRef, steps: Steps | "whole"): void => {
    const before = wanted.get(refKey(ref));
    if (before === undefined) wanted.set(refKey(ref), steps);
    else if (before === "whole" || steps === "whole") wanted.set(refKey(ref), "whole");
    else
      wanted.set(
        refKey(ref),
        before.map((step, axis) => commonDivisor(step, steps[axis]!)),
      );
  };
  for (const node of graph.nodes.toReversed()) {
    const output = { node: node.index, output: 0 };
    const isWhole = edges.isOutput(output) || keptKeys.has(refKey(output)) || node.outputs.length !== 1;
    const asked = isWhole ? "whole" : (wanted.get(refKey(output)) ?? "whole");
    const steps = givable(context, node, asked);
    node.outputs.forEach((_, at) => {
      wanted.set(refKey({ node: node.index, output: at }), steps);
    });
    for (const ref of everyRead(node)) want(ref, stepsRead(node, crossings[node.index]!, steps));
  }
  return new Map([...wanted].filter((entry): entry is [string, Steps] => isThin(entry[1])));
}

/** What of `asked` the call can give instead of its whole output. */
function givable(
  { graph, layers, crossings }: Context,
  node: GraphNode,
  asked: Steps | "whole",
): Steps | "whole" {
  const crossing = crossings[node.index]!;
  if (asked === "whole" || crossing.kind === "whole") return "whole";
  const shape = node.outputs[0]!.shape!;
  const isFixed = (axis: number): boolean =>
    crossing.kind === "pass" ? crossing.fixed.has(axis) : !crossing.window.axes.includes(axis);
  const steps = asked.map((step, axis) => (isFixed(axis) || shape[axis] === 1 ? 1 : step));
  if (!isThin(steps) || spatialDataFormat(stridedAxes(steps), steps.length) === null) return "whole";
  if (crossing.kind === "pass") return steps;
  const { window } = crossing;
  const strides = window.axes.map((axis, at) => window.strides[at]! * steps[axis]!);
  const layer = layers.get(node.layer)!;
  return restrided(layer, window, shapeAt(graph, node.inputs[0]!)!, strides) ? steps : "whole";
}

/** What the call reads of each input when it gives `steps` of its output. */
function stepsRead(node: GraphNode, crossing: StrideCrossing, steps: Steps | "whole"): Steps | "whole" {
  if (crossing.kind === "pass") return steps;
  if (crossing.kind === "whole" || !isPointwise(crossing.window)) return "whole";
  const { window } = crossing;
  // What is left of a depthwise stride could be unequal, which no depthwise kernel takes.
  if (window.kind === "depthwise") return "whole";
  return node.outputs[0]!.shape!.map((_, axis) => {
    const at = window.axes.indexOf(axis);
    return at < 0 ? 1 : window.strides[at]! * (steps === "whole" ? 1 : steps[axis]!);
  });
}

/**
 * The wanted steps of the tensors that will be given so. Tensors on both sides of a call that passes a stride on agree: a group
 * is taken as one, and only if a convolution, a Dense or a pool in it computes less.
 */
function worthwhile(context: Context, wanted: ReadonlyMap<string, Steps>): ReadonlyMap<string, Steps> {
  const { nodes } = context.graph;
  const groups = new Map<string, string>();
  const groupOf = (key: string): string => {
    const parent = groups.get(key);
    return parent === undefined || parent === key ? key : groupOf(parent);
  };
  const thinned = nodes.filter((node) => wanted.has(outputKey(node)));
  for (const node of thinned) {
    for (const input of node.inputs.map(refKey)) {
      if (wanted.has(input)) groups.set(groupOf(input), groupOf(outputKey(node)));
    }
  }
  const gaining = new Set(
    thinned.filter((node) => computes(context, node)).map((node) => groupOf(outputKey(node))),
  );
  return new Map([...wanted].filter(([key]) => gaining.has(groupOf(key))));
}

function computes({ crossings, layers }: Context, node: GraphNode): boolean {
  const crossing = crossings[node.index]!;
  if (crossing.kind !== "window") return crossing.kind === "pass" && crossing.contracts;
  return isContraction(layers.get(node.layer)!) || !isPointwise(crossing.window);
}

function specAt(graph: LayerGraph, ref: TensorRef): TensorSpec {
  return graph.nodes[ref.node]!.outputs[ref.output]!;
}

export function shapeAt(graph: LayerGraph, ref: TensorRef): TensorSpec["shape"] {
  return specAt(graph, ref).shape;
}

export function isThin(steps: Steps | "whole"): steps is Steps {
  return steps !== "whole" && steps.some((step) => step > 1);
}

export function stridedAxes(steps: Steps): number[] {
  return steps.flatMap((step, axis) => (step > 1 ? [axis] : []));
}

function outputKey(node: GraphNode): string {
  return refKey({ node: node.index, output: 0 });
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
