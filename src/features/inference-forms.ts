import type { Weights } from "../checkpoint.ts";
import { isLoaded } from "../lazy-tensor.ts";
import { layerLookup, nodeAt } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import type { CutModel } from "./cut.ts";
import { staticProgram } from "./trunk.ts";

/** Fate of a static layer where features are computed. */
export type InferenceForm =
  /** It runs. With `takesIn` the weights or the activation of others are in it. */
  | { readonly kind: "runs"; readonly changed: boolean }
  /** Another layer has its weights or its activation. */
  | { readonly kind: "folded"; readonly into: string }
  /** It is the identity in inference, and left out. */
  | { readonly kind: "identity" }
  /** Nothing that runs reads it. */
  | { readonly kind: "unread" };

/**
 * Returns a function that tells what becomes of the static layer at a path; undefined where the weights' values, on which folding
 * depends, were not read.
 */
export function inferenceForms(cut: CutModel, weights: Weights): (path: string) => InferenceForm | undefined {
  if (![...weights.values()].every((layer) => layer.every(isLoaded))) return () => undefined;
  const { program, weights: derived } = staticProgram(cut, weights);
  const running = new Set(program.nodes.map((node) => node.layer));
  const [before, after] = [layerLookup(cut.graph), layerLookup(program.graph)];
  const isChanged = (path: string): boolean =>
    running.has(path) &&
    (derived.get(path) !== weights.get(path) || before(path).config !== after(path).config);
  const readers = new Map<number, number[]>();
  for (const node of cut.graph.nodes) {
    for (const { node: source } of everyRead(node))
      readers.set(source, [...(readers.get(source) ?? []), node.index]);
  }
  /** Returns the nearest running layer in a direction, through layers that do not run. */
  const nearest = (from: number, next: (node: number) => readonly number[]): string | undefined => {
    const pending = [...next(from)];
    const seen = new Set(pending);
    for (let index = pending.shift(); index !== undefined; index = pending.shift()) {
      const { layer } = nodeAt(cut.graph, index);
      if (running.has(layer)) return layer;
      for (const other of next(index)) {
        if (seen.has(other)) continue;
        seen.add(other);
        pending.push(other);
      }
    }
    return undefined;
  };
  return (path) => {
    if (running.has(path)) return { kind: "runs", changed: isChanged(path) };
    const node = cut.graph.nodes.find((each) => each.layer === path);
    const { className, config } = before(path);
    if (!node || className === "InputLayer") return { kind: "runs", changed: false };
    const isLinear = className === "Activation" && config["activation"] === "linear";
    if (specOf(className)?.random === true || className === "Identity" || isLinear)
      return { kind: "identity" };
    const back = nearest(node.index, (index) => everyRead(nodeAt(cut.graph, index)).map((ref) => ref.node));
    if (back !== undefined && isChanged(back)) return { kind: "folded", into: back };
    const ahead = nearest(node.index, (index) => readers.get(index) ?? []);
    if (ahead !== undefined && isChanged(ahead)) return { kind: "folded", into: ahead };
    return { kind: "unread" };
  };
}
