import type { Notes } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { classifierOf } from "../topology/head-of.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** A decision about the model's head. */
export interface HeadDecision {
  /** True if the head is kept, false if it is replaced. */
  readonly keep: boolean;
  /** Class names in output order: those of the file if its head is kept and has labels, else those of the data. */
  readonly labels: readonly string[];
  readonly warning?: string;
}

interface HeadConditions {
  readonly notes: Notes;
  /** Class names of the data in its order. */
  readonly classNames: readonly string[];
  /** True to keep the head even if its labels differ from the data's. */
  readonly keepHead?: boolean;
}

/**
 * Decides whether the model's head fits the classes of the data and can be kept. It is kept if the file has labels and
 * they are those of the data in any order, or if the file has none and the number of classes is equal, which is warned
 * of.
 * @throws {UsageError} if `keepHead` is set and the number of classes differs.
 */
export function decideHead(graph: LayerGraph, { notes, classNames, keepHead }: HeadConditions): HeadDecision {
  const count = classifierOf(graph)?.classes ?? null;
  const labels = notes.labels?.length === count ? notes.labels : undefined;
  const fits = count === classNames.length;
  if (keepHead && !fits) {
    throw new UsageError(
      `${optionName("keepHead")}: expected a head for the ${classNames.length} classes of the data, got ${count === null ? "an output that is not a classifier" : `one for ${count}`}.`,
      "keep-head",
      "keepHead",
    );
  }
  if (!fits) return { keep: false, labels: classNames };
  if (labels === undefined) {
    const warning = `The head has ${count} classes and the file has no labels: it is kept, and its outputs are taken to be ${listed(classNames)} in this order.`;
    return { keep: true, labels: classNames, ...(!keepHead && { warning }) };
  }
  if (sameNames(labels, classNames)) return { keep: true, labels };
  if (!keepHead) return { keep: false, labels: classNames };
  const warning = `The head is kept as requested, although its labels are ${listed(labels)} and those of the data are ${listed(classNames)}.`;
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
