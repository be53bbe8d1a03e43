import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import type { Stages } from "../topology/stages.ts";
import { globExpression, isGlob, regexOf } from "./patterns.ts";

/** How a name was understood: the first of these rules that matches anything. */
export type NameRule = "path" | "name" | "prefix" | "stage" | "glob" | "regex";

export interface NameMatch {
  readonly rule: NameRule;
  /** In `graph.layers` order, never empty. */
  readonly layers: readonly GraphLayer[];
}

/**
 * The layers that `pattern` means: an exact path; else an exact name; else a prefix of either that ends at a boundary; else a
 * stage; else a glob; else a `/regex/`. A nested model's name means all its layers. Null where no rule matches.
 * @throws {UsageError} for a regex or a glob that does not compile.
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
    const layers = find();
    if (layers.length > 0) return { rule, layers };
  }
  return null;
}

/**
 * Whether `name` begins with `prefix` and a boundary follows: the end, one of `_ - . /`, or, after a digit, one letter and then
 * such a boundary: `block6` is a prefix of `block6a_bn`, `conv1` is one of `conv1_bn` and not of `conv10` or of `conv1d_2`.
 */
export function isBoundedPrefix(prefix: string, name: string): boolean {
  if (prefix === "" || !name.startsWith(prefix)) return false;
  const rest = name.slice(prefix.length);
  if (rest === "" || /^[_\-./]/u.test(rest)) return true;
  if (!/\d$/u.test(prefix) || !/^[A-Za-z](?:$|[_\-./])/u.test(rest)) return false;
  return !(/conv[123]$/iu.test(prefix) && /^d/iu.test(rest));
}

/** The path and what follows each slash of it: `a/b/c`, `b/c`, `c`. */
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
