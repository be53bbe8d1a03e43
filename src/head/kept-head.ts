import type { Notes } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { classifierOf } from "../topology/head-of.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

export interface HeadDecision {
  readonly keep: boolean;
  /** Class names in output order: the file's where its head is kept and knows them, else the data's. */
  readonly labels: readonly string[];
  readonly warning?: string;
}

interface HeadQuestion {
  readonly notes: Notes;
  /** The data's, in its order. */
  readonly classNames: readonly string[];
  /** Keeps the head whatever its labels say. */
  readonly keepHead?: boolean;
}

/**
 * Whether a model's head serves the data's classes. It does if the file knows its labels and they are the data's, in whatever
 * order; or if it knows none and counts as many, which is worth a warning.
 * @throws {UsageError} where the head is to be kept and does not give as many classes.
 */
export function decideHead(graph: LayerGraph, { notes, classNames, keepHead }: HeadQuestion): HeadDecision {
  const count = classifierOf(graph)?.classes ?? null;
  const labels = notes.labels?.length === count ? notes.labels : undefined;
  const fits = count === classNames.length;
  if (keepHead && !fits) {
    throw new UsageError(
      `--keep-head: expected a head for ${classNames.length} classes, the data's, got ${count === null ? "an output that is no classifier" : `one for ${count}`}.`,
      "keep-head",
    );
  }
  if (!fits) return { keep: false, labels: classNames };
  if (labels === undefined) {
    const warning = `The head gives ${count} classes and the file does not say which: it is kept, and taken to mean ${listed(classNames)} in this order.`;
    return { keep: true, labels: classNames, ...(!keepHead && { warning }) };
  }
  if (sameNames(labels, classNames)) return { keep: true, labels };
  if (!keepHead) return { keep: false, labels: classNames };
  const warning = `The head is kept as asked, though its labels are ${listed(labels)} and the data's are ${listed(classNames)}.`;
  return { keep: true, labels: classNames, warning };
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const names = new Set(a);
  return names.size === new Set(b).size && b.every((name) => names.has(name));
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
