import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import type { Stages } from "../topology/stages.ts";
import { globExpression, isGlob, regexOf } from "./patterns.ts";

/** Rules by which a pattern can match layers, in order; the first rule that matches any layer wins. */
export type NameRule = "path" | "name" | "prefix" | "stage" | "glob" | "regex";

/** The layers that a pattern matches. */
export interface NameMatch {
  readonly rule: NameRule;
  /** Layers in `graph.layers` order, at least one. */
  readonly layers: readonly [GraphLayer, ...GraphLayer[]];
}

/**
 * Finds the layers that `pattern` matches as an exact path, an exact name, a prefix of either that ends at a boundary,
 * a stage, a glob or a `/regex/`, whichever of these matches first. The name of a nested model matches all its layers.
 * Returns null if nothing matches.
 * @throws {UsageError} if a regex or glob does not compile.
 */
export function resolveName(graph: LayerGraph, stages: Stages, pattern: string): NameMatch | null {
  const matching = (matches: (path: string) => boolean): GraphLayer[] =>
    graph.layers.filter((layer) => matches(layer.path) || layer.containers.some(matches));
  const rules: readonly (readonly [NameRule, () => readonly GraphLayer[]])[] = [
    ["path", () => matching((path) => path === pattern)],
    ["name", () => matching((path) => path.endsWith(`/${pattern}`))],
    ["prefix", () => matching((path) => tailsOf(path).some((tail) => isBoundedPrefix(pattern, tail)))],
    ["stage", () => graph.layers.filter((layer) => stages.matches(pattern, layer.path))],
    ["glob", () => matching(globMatcher(pattern))],
    ["regex", () => matching(regexMatcher(pattern))],
  ];
  for (const [rule, find] of rules) {
    const [first, ...others] = find();
    if (first) return { rule, layers: [first, ...others] };
  }
  return null;
}

/**
 * Returns whether `name` begins with `prefix` and a boundary follows: the end, one of `_ - . /`, or, after a digit, one
 * letter and then such a boundary. `block6` is a bounded prefix of `block6a_bn`, and `conv1` of `conv1_bn` but not of
 * `conv10` or `conv1d_2`.
 */
export function isBoundedPrefix(prefix: string, name: string): boolean {
  if (prefix === "" || !name.startsWith(prefix)) return false;
  const rest = name.slice(prefix.length);
  if (rest === "" || /^[_\-./]/u.test(rest)) return true;
  if (!/\d$/u.test(prefix) || !/^[A-Za-z](?:$|[_\-./])/u.test(rest)) return false;
  return !(/conv[123]$/iu.test(prefix) && /^d/iu.test(rest));
}

/** Returns the path and the part after each of its slashes: `a/b/c`, `b/c`, `c`. */
function tailsOf(path: string): string[] {
  const names = path.split("/");
  return names.map((_, index) => names.slice(index).join("/"));
}

function globMatcher(pattern: string): (path: string) => boolean {
  if (!isGlob(pattern) || regexOf(pattern)) return () => false;
  const expression = globExpression(pattern);
  return (path) => tailsOf(path).some((tail) => expression.test(tail));
}

function regexMatcher(pattern: string): (path: string) => boolean {
  const expression = regexOf(pattern);
  if (!expression) return () => false;
  return (path) => expression.test(path) || expression.test(path.slice(path.lastIndexOf("/") + 1));
}
