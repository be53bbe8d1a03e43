import type { Shape } from "../../tensor.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerLookup, refKey, tensorAt } from "../layer-graph.ts";
import { isContraction } from "./contraction-weights.ts";
import type { GraphEdges } from "./graph-edges.ts";
import { everyRead, graphEdges } from "./graph-edges.ts";
import { isPointwise, restrided } from "./layer-window.ts";
import type { StrideCrossing } from "./stride-crossing.ts";
import { spatialDataFormat, strideCrossing } from "./stride-crossing.ts";

/** Step between the needed positions of each axis of a tensor, starting at position 0. */
export type Steps = readonly number[];

/** Analysis of the strides in a graph. */
export interface StrideAnalysis {
  readonly graph: LayerGraph;
  /** Returns how a stride can cross a call. */
  readonly crossingOf: (node: GraphNode) => StrideCrossing;
  /** Steps of the tensors of which only a part is to be computed, by `refKey`. */
  readonly given: ReadonlyMap<string, Steps>;
}

interface Context extends Omit<StrideAnalysis, "given"> {
  readonly layerOf: (path: string) => GraphLayer;
  readonly edges: GraphEdges;
  readonly keptKeys: ReadonlySet<string>;
}

/** Determines which positions of each tensor are needed. `kept` tensors and the graph's outputs are needed whole. */
export function analyzeStrides(
  graph: LayerGraph,
  canPushThrough: (node: GraphNode) => boolean,
  kept: readonly TensorRef[],
): StrideAnalysis {
  const edges = graphEdges(graph);
  const layerOf = layerLookup(graph);
  const crossings = graph.nodes.map((node): StrideCrossing => {
    const rank = node.outputs[0]?.shape?.length;
    const ranks = node.inputs.map((ref) => shapeAt(graph, ref)?.length);
    const isAligned = rank !== undefined && ranks.length > 0 && ranks.every((other) => other === rank);
    // Subsampling is done by a pool, which only takes floats.
    const isFloat = node.inputs.every((ref) => tensorAt(graph, ref).dtype === "float32");
    if (!isAligned || !isFloat || !canPushThrough(node)) return { kind: "whole" };
    return strideCrossing(layerOf(node.layer), node, rank, edges.calls(node.layer).length === 1);
  });
  const crossingOf = ({ index }: GraphNode): StrideCrossing => crossings[index] ?? { kind: "whole" };
  const context: Context = { graph, edges, layerOf, crossingOf, keptKeys: new Set(kept.map(refKey)) };
  return { graph, crossingOf, given: worthwhile(context, wantedSteps(context)) };
}

/** Returns, for each tensor that is not needed whole, the positions that its readers need together. Runs backward. */
function wantedSteps(context: Context): ReadonlyMap<string, Steps> {
  const { graph, edges, keptKeys, crossingOf } = context;
  const wanted = new Map<string, Steps | "whole">();
  const want = (ref: TensorRef, steps: Steps | "whole"): void => {
    const before = wanted.get(refKey(ref));
    if (before === undefined) wanted.set(refKey(ref), steps);
    else if (before === "whole" || steps === "whole") wanted.set(refKey(ref), "whole");
    else
      wanted.set(
        refKey(ref),
        before.map((step, axis) => commonDivisor(step, steps[axis] ?? 1)),
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
    for (const ref of everyRead(node)) want(ref, stepsRead(node, crossingOf(node), steps));
  }
  return new Map([...wanted].filter((entry): entry is [string, Steps] => isThin(entry[1])));
}

/** Returns the steps, among those asked for, with which the call can compute its output. */
function givable(
  { graph, layerOf, crossingOf }: Context,
  node: GraphNode,
  asked: Steps | "whole",
): Steps | "whole" {
  const crossing = crossingOf(node);
  if (asked === "whole" || crossing.kind === "whole") return "whole";
  const shape = outputShape(node);
  const isFixed = (axis: number): boolean =>
    crossing.kind === "pass" ? crossing.fixed.has(axis) : !crossing.window.axes.includes(axis);
  const steps = asked.map((step, axis) => (isFixed(axis) || shape[axis] === 1 ? 1 : step));
  if (!isThin(steps) || spatialDataFormat(stridedAxes(steps), steps.length) === null) return "whole";
  if (crossing.kind === "pass") return steps;
  const { window } = crossing;
  const strides = window.axes.map((axis, at) => (window.strides[at] ?? 1) * (steps[axis] ?? 1));
  const [input] = node.inputs;
  const inputShape = input && shapeAt(graph, input);
  return inputShape && restrided(layerOf(node.layer), window, inputShape, strides) ? steps : "whole";
}

/** Returns the positions that the call reads of each input when it computes `steps` of its output. */
function stepsRead(node: GraphNode, crossing: StrideCrossing, steps: Steps | "whole"): Steps | "whole" {
  if (crossing.kind === "pass") return steps;
  if (crossing.kind === "whole" || !isPointwise(crossing.window)) return "whole";
  const { window } = crossing;
  // The remaining strides could be unequal, which depthwise convolutions do not support.
  if (window.kind === "depthwise") return "whole";
  return outputShape(node).map((_, axis) => {
    const stride = window.strides[window.axes.indexOf(axis)];
    return stride === undefined ? 1 : stride * (steps === "whole" ? 1 : (steps[axis] ?? 1));
  });
}

/**
 * Selects the wanted steps that are worthwhile. Tensors on both sides of a call that passes a stride must agree, so
 * they form a group, which is selected as a whole if a convolution, Dense or pool in it computes less.
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

/** Returns whether a call multiplies by a kernel or pools. */
function computes({ crossingOf, layerOf }: Context, node: GraphNode): boolean {
  const crossing = crossingOf(node);
  if (crossing.kind !== "window") return crossing.kind === "pass" && crossing.contracts;
  return isContraction(layerOf(node.layer)) || !isPointwise(crossing.window);
}

function outputShape({ outputs }: GraphNode): Shape {
  return outputs[0]?.shape ?? [];
}

/** Returns the shape of a tensor, null if unknown. */
export function shapeAt(graph: LayerGraph, ref: TensorRef): Shape | null {
  return tensorAt(graph, ref).shape;
}

/** Returns whether steps leave out positions. */
export function isThin(steps: Steps | "whole"): steps is Steps {
  return steps !== "whole" && steps.some((step) => step > 1);
}

/** Returns the axes of which positions are left out. */
export function stridedAxes(steps: Steps): number[] {
  return steps.flatMap((step, axis) => (step > 1 ? [axis] : []));
}

function outputKey(node: GraphNode): string {
  return refKey({ node: node.index, output: 0 });
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
