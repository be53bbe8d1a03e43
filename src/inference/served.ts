/** Refuses data that a model's own outputs do not serve. */
import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { DataError, UsageError } from "../errors.ts";
import { isConstant, listed } from "../task/head-choice.ts";
import { modelOutputs } from "../task/model-outputs.ts";
import { targetFacts } from "../task/target-facts.ts";
import type { Task } from "../task/task.ts";
import { formatShape } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** @throws {UsageError} for a class of the data that the file's labels lack. */
export function requireKnownNames({ notes }: Checkpoint, dataset: Dataset): void {
  const { labels } = notes;
  const strange = labels && dataset.classNames?.find((name) => !labels.includes(name));
  if (!labels || strange === undefined) return;
  throw new UsageError(
    `data has class "${strange}" that the model lacks. It knows ${listed(labels, 10)}.`,
    "data-extra-class",
  );
}

/** @throws {UsageError} for an output that does not serve the data. */
export function requireServed({ outputs }: Task, graph: LayerGraph, dataset: Dataset): void {
  const index = outputs.findIndex(({ head }) => head === "new");
  const misfit = outputs[index];
  if (!misfit) return;
  const own = modelOutputs(graph)[index];
  const { kind, units, labels, name } = misfit;
  if (own && isConstant(own)) {
    throw new UsageError(
      `${name}: expected scores that differ, got a softmax of one unit, which is 1 for every sample. Make it a sigmoid.`,
      "constant-output",
    );
  }
  const facts = targetFacts(
    dataset,
    outputs.map((output) => output.name),
  )[index];
  const range = facts && "range" in facts ? facts.range : null;
  if (own?.activation === "sigmoid" && kind === "values" && range && (range.low < 0 || range.high > 1)) {
    throw new DataError(
      `targets of ${name}: expected values from 0 to 1, as its sigmoid gives, got ${range.low} to ${range.high}.`,
      "targets",
    );
  }
  const count = kind === "classes" && own?.units === 1 ? 2 : own?.units;
  const data = `${labels?.length ?? units}${labels ? `: ${listed(labels, 10)}` : ""}`;
  throw new UsageError(
    own?.hasHead && kind === "classes"
      ? `data: expected ${count} classes, as the model has outputs, got ${data}.`
      : `${name}: expected an output for ${data} ${kind}, got ${own ? formatShape(own.shape) : "none"}, ${own?.activation}.`,
    "class-count",
  );
}
