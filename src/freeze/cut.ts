import type { GraphLayer, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { layerLookup, nodeAt, refKey } from "../topology/layer-graph.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import type { Stages } from "../topology/stages.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { isBoundedPrefix, resolveName } from "./names.ts";

/** A cut inside a block: several tensors cross it because branches of the block lie on both sides. */
export interface BlockCut {
  /** Path of the first layer with weights after the cut. */
  readonly layer: string;
  /** Layers around the cut up to the nearest positions that one tensor crosses. */
  readonly block: readonly GraphLayer[];
  /** Common name of the layers (`conv4_block1`), null if they share none. */
  readonly name: string | null;
  /** True if the branches are added (a residual block). */
  readonly residual: boolean;
  /** Layers whose outputs cross the cut besides the tensor that `layer` reads. */
  readonly others: readonly CrossingBranch[];
  /** Names that cut before and after the block instead, for a policy of the given kind. */
  readonly alternatives: readonly string[];
}

/** A branch of a block that crosses the cut. */
interface CrossingBranch {
  /** Path of the layer whose output crosses. */
  readonly path: string;
  /** True if that layer belongs to the block; false for a shortcut from before it. */
  readonly inside: boolean;
  /** True if the branch has fewer calls than the one that is cut. */
  readonly shorter: boolean;
}

/** Describes the block that a cut before `position` divides. Returns null if the cut falls between blocks. */
export function blockCut(
  graph: LayerGraph,
  stages: Stages,
  position: number,
  kind: "until" | "through",
): BlockCut | null {
  const weighted = trainableLayers(graph);
  const layer = weighted.find(({ index }) => index >= position);
  if (!layer) return null;
  const at = layer.index;
  const crossing = crossingAt(graph);
  const clean = cleanPositions(
    weighted.map(({ index }) => index),
    crossing,
  );
  if (clean.includes(at)) return null;
  const first = clean.findLast((index) => index < at);
  const behind = clean.find((index) => index > at);
  const block = graph.layers.slice(first ?? 0, behind ?? graph.layers.length);
  const next = clean.find((index) => index > (behind ?? graph.layers.length));
  const nextBlock = behind === undefined ? [] : graph.layers.slice(behind, next ?? graph.layers.length);
  const previousFirst = clean.findLast((index) => index < (first ?? 0));
  const previousBlock = first === undefined ? [] : graph.layers.slice(previousFirst ?? 0, first);
  const [beforeName, afterName] = kind === "until" ? [block, nextBlock] : [previousBlock, block];
  const naming = { graph, stages, kind, weighted };
  const nameAt = (target: number | undefined, named: readonly GraphLayer[]): readonly string[] => {
    const name = target === undefined ? null : nameOfCut(naming, target, named);
    return name === null ? [] : [name];
  };
  return {
    layer: layer.path,
    block,
    name: commonName(block, weighted),
    residual: block.some(({ className }) => /^(?:ops\.)?Add$/u.test(className)),
    others: otherBranches(graph, layer, crossing(at), block),
    alternatives: [...nameAt(first, beforeName), ...nameAt(behind, afterName)],
  };
}

/** Returns the layers with weights that can train. */
function trainableLayers(graph: LayerGraph): GraphLayer[] {
  const specs = weightSpecsOf(graph);
  return graph.layers.filter((layer) => specs.get(layer.path)?.some((spec) => spec.trainable) === true);
}

/**
 * Returns the positions of weighted layers before which at most one tensor crosses, at their own position or at that of
 * a layer without weights right before them.
 */
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

/** Returns a function that finds the tensors, except model inputs, that cross a position of `graph.layers`. */
function crossingAt(graph: LayerGraph): (position: number) => readonly TensorRef[] {
  const layerOf = layerLookup(graph);
  const edges = new Map<string, { ref: TensorRef; from: number; to: number }>();
  for (const node of graph.nodes) {
    const reader = layerOf(node.layer);
    for (const ref of everyRead(node)) {
      const source = layerOf(nodeAt(graph, ref.node).layer);
      if (source.className === "InputLayer") continue;
      const to = Math.max(reader.index, edges.get(refKey(ref))?.to ?? 0);
      edges.set(refKey(ref), { ref, from: source.index, to });
    }
  }
  const all = [...edges.values()];
  return (position) => all.filter(({ from, to }) => from < position && to >= position).map(({ ref }) => ref);
}

/** Describes the crossing tensors that the first call of `layer` does not read. */
function otherBranches(
  graph: LayerGraph,
  layer: GraphLayer,
  crossing: readonly TensorRef[],
  block: readonly GraphLayer[],
): CrossingBranch[] {
  const inBlock = new Set(block.map(({ path }) => path));
  const call = graph.nodes.find((node) => node.layer === layer.path);
  const reads = call ? everyRead(call) : [];
  const read = new Set(reads.map(refKey));
  const length = (ref: TensorRef): number => branchLength(graph, ref, inBlock);
  const main = Math.max(0, ...reads.map(length));
  return crossing
    .filter((ref) => !read.has(refKey(ref)))
    .map((ref) => {
      const path = nodeAt(graph, ref.node).layer;
      return { path, inside: inBlock.has(path), shorter: length(ref) < main };
    });
}

/** Returns the number of calls in the block that lead to a tensor. */
function branchLength(graph: LayerGraph, ref: TensorRef, inBlock: ReadonlySet<string>): number {
  const seen = new Set<number>();
  const pending = [ref.node];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    const node = nodeAt(graph, index);
    if (seen.has(index) || !inBlock.has(node.layer)) continue;
    seen.add(index);
    pending.push(...everyRead(node).map((input) => input.node));
  }
  return seen.size;
}

/** Names by which a cut can be given. */
interface Naming {
  readonly graph: LayerGraph;
  readonly stages: Stages;
  readonly kind: "until" | "through";
  readonly weighted: readonly GraphLayer[];
}

/** Returns the shortest name that cuts before position `target`: that of a stage, of the block, or of the layer. */
function nameOfCut(naming: Naming, target: number, block: readonly GraphLayer[]): string | null {
  const { graph, stages, kind, weighted } = naming;
  const layer = graph.layers[kind === "until" ? target : target - 1];
  if (!layer) return null;
  const candidates = [stages.labelOf(layer.path), commonName(block, weighted), layer.name, layer.path];
  const cutsThere = (name: string | null): name is string => {
    const match = name === null ? null : resolveName(graph, stages, name);
    if (!match) return false;
    const indices = match.layers.map(({ index }) => index);
    const position = kind === "until" ? Math.min(...indices) : Math.max(...indices) + 1;
    return weighted.find(({ index }) => index >= position)?.index === target;
  };
  return candidates.find(cutsThere) ?? null;
}

/** Returns the longest prefix that ends at a boundary and that the names of all weighted layers of the block share. */
function commonName(block: readonly GraphLayer[], weighted: readonly GraphLayer[]): string | null {
  const names = block.filter((layer) => weighted.includes(layer)).map((layer) => layer.name);
  const [shortest = ""] = [...names].sort((a, b) => a.length - b.length);
  for (let length = shortest.length; length > 0; length--) {
    const prefix = shortest.slice(0, length);
    if (/[_\-./]$/u.test(prefix)) continue;
    if (names.every((name) => isBoundedPrefix(prefix, name))) return prefix;
  }
  return null;
}
