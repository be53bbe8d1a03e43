import type { GraphLayer, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { refKey } from "../topology/layer-graph.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import type { Stages } from "../topology/stages.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { isBoundedPrefix, resolveName } from "./names.ts";

/** A cut of `graph.layers` at a position that several tensors cross: branches of one block are on both sides. */
export interface BlockCut {
  /** The first weighted layer behind the cut. */
  readonly layer: string;
  /** The layers around it up to the nearest places where one tensor crosses. */
  readonly block: readonly GraphLayer[];
  /** `conv4_block1`; null where the names of its layers have nothing in common. */
  readonly name: string | null;
  /** Whether the block ends in a sum. */
  readonly residual: boolean;
  /** What crosses besides the tensor that the layer reads, by the layer that gives it. */
  readonly others: readonly { readonly path: string; readonly inside: boolean; readonly shorter: boolean }[];
  /** Names that cut before and behind the block instead, for a policy of the given kind. */
  readonly wayOut: readonly string[];
}

/** What a cut before `position` divides; null where it falls between blocks. */
export function blockCut(
  graph: LayerGraph,
  stages: Stages,
  position: number,
  kind: "until" | "through",
): BlockCut | null {
  const weighted = weightedPositions(graph);
  const at = weighted.find((index) => index >= position);
  if (at === undefined) return null;
  const crossing = crossingAt(graph);
  const clean = cleanPositions(weighted, crossing);
  if (clean.includes(at)) return null;
  const first = clean.findLast((index) => index < at);
  const behind = clean.find((index) => index > at);
  const block = graph.layers.slice(first ?? 0, behind ?? graph.layers.length);
  const next = clean.find((index) => index > (behind ?? graph.layers.length));
  const nextBlock = behind === undefined ? [] : graph.layers.slice(behind, next ?? graph.layers.length);
  const previousFirst = clean.findLast((index) => index < (first ?? 0));
  const previousBlock = first === undefined ? [] : graph.layers.slice(previousFirst ?? 0, first);
  const named = kind === "until" ? [block, nextBlock] : [previousBlock, block];
  const naming = { graph, stages, kind, weighted };
  return {
    layer: graph.layers[at]!.path,
    block,
    name: commonName(block, weighted),
    residual: block.some((layer) => /^(?:ops\.)?Add$/u.test(layer.className)),
    others: othersOf(graph, at, crossing(at), block),
    wayOut: [first, behind].flatMap((target, index) =>
      target === undefined ? [] : (nameOfCut(naming, target, named[index]!) ?? []),
    ),
  };
}

/** Positions of the layers that can train. */
function weightedPositions(graph: LayerGraph): number[] {
  const specs = weightSpecsOf(graph);
  return graph.layers
    .filter((layer) => specs.get(layer.path)?.some((spec) => spec.trainable) === true)
    .map((layer) => layer.index);
}

/** Weighted layers before which one tensor crosses, at their own position or at that of a weightless layer right before. */
function cleanPositions(
  weighted: readonly number[],
  crossing: (position: number) => readonly TensorRef[],
): number[] {
  return weighted.filter((position, index) => {
    const previous = weighted[index - 1] ?? position - 1;
    for (let before = position; before > previous; before--) if (crossing(before).length < 2) return true;
    return false;
  });
}

/** The tensors that layers before a position give and layers from it on read; model inputs are none. */
function crossingAt(graph: LayerGraph): (position: number) => readonly TensorRef[] {
  const indices = new Map(graph.layers.map((layer) => [layer.path, layer.index] as const));
  const edges = new Map<string, { ref: TensorRef; from: number; to: number }>();
  for (const node of graph.nodes) {
    const reader = indices.get(node.layer)!;
    for (const ref of everyRead(node)) {
      const from = indices.get(graph.nodes[ref.node]!.layer)!;
      if (graph.layers[from]!.className === "InputLayer") continue;
      const to = Math.max(reader, edges.get(refKey(ref))?.to ?? 0);
      edges.set(refKey(ref), { ref, from, to });
    }
  }
  const all = [...edges.values()];
  return (position) => all.filter(({ from, to }) => from < position && to >= position).map(({ ref }) => ref);
}

function othersOf(
  graph: LayerGraph,
  at: number,
  crossing: readonly TensorRef[],
  block: readonly GraphLayer[],
): BlockCut["others"] {
  const inBlock = new Set(block.map((layer) => layer.path));
  const call = graph.nodes.find((node) => node.layer === graph.layers[at]!.path)!;
  const read = new Set(everyRead(call).map(refKey));
  const length = (ref: TensorRef): number => branchLength(graph, ref, inBlock);
  const main = Math.max(0, ...everyRead(call).map(length));
  return crossing
    .filter((ref) => !read.has(refKey(ref)))
    .map((ref) => {
      const path = graph.nodes[ref.node]!.layer;
      return { path, inside: inBlock.has(path), shorter: length(ref) < main };
    });
}

/** The number of calls in the block that lead to a tensor. */
function branchLength(graph: LayerGraph, ref: TensorRef, inBlock: ReadonlySet<string>): number {
  const seen = new Set<number>();
  const pending = [ref.node];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    const node = graph.nodes[index]!;
    if (seen.has(index) || !inBlock.has(node.layer)) continue;
    seen.add(index);
    pending.push(...everyRead(node).map((input) => input.node));
  }
  return seen.size;
}

interface Naming {
  readonly graph: LayerGraph;
  readonly stages: Stages;
  readonly kind: "until" | "through";
  readonly weighted: readonly number[];
}

/** The shortest name that cuts before `target`: a stage's, the block's, else the layer's own. */
function nameOfCut(naming: Naming, target: number, block: readonly GraphLayer[]): string | null {
  const { graph, stages, kind, weighted } = naming;
  const layer = graph.layers[kind === "until" ? target : target - 1];
  if (!layer) return null;
  const candidates = [stages.labelOf(layer.path), commonName(block, weighted), layer.name, layer.path];
  const cutsThere = (name: string | null): name is string => {
    const match = name === null ? null : resolveName(graph, stages, name);
    if (!match) return false;
    const position = kind === "until" ? match.layers[0]!.index : match.layers.at(-1)!.index + 1;
    return weighted.find((index) => index >= position) === target;
  };
  return candidates.find(cutsThere) ?? null;
}

/** The longest beginning that the names of the block's weighted layers share and that ends at a boundary. */
function commonName(block: readonly GraphLayer[], weighted: readonly number[]): string | null {
  const names = block.filter((layer) => weighted.includes(layer.index)).map((layer) => layer.name);
  const [shortest] = [...names].sort((a, b) => a.length - b.length);
  for (let length = shortest?.length ?? 0; length > 0; length--) {
    const prefix = shortest!.slice(0, length);
    if (/[_\-./]$/u.test(prefix)) continue;
    if (names.every((name) => isBoundedPrefix(prefix, name))) return prefix;
  }
  return null;
}
