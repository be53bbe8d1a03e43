import type { Checkpoint } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import type { HeadOptions } from "../head/replace-head.ts";
import { replaceHead } from "../head/replace-head.ts";
import { optionName } from "../options.ts";
import type { ModelOutput } from "../task/model-outputs.ts";
import { modelOutputs } from "../task/model-outputs.ts";
import type { Task, TaskOutput } from "../task/task.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { outputHead } from "../topology/head-of.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";

export interface HeadForTask {
  readonly checkpoint: Checkpoint;
  /** The head that this run makes, where it makes one. */
  readonly newHead?: { readonly classes: number; readonly parametersBefore: number };
}

/**
 * Returns the checkpoint itself where its outputs serve the task, else one with a new head.
 * @throws {TopologyError} where an output of several needs one.
 */
export function withHeadFor(
  checkpoint: Checkpoint,
  task: Task,
  { seed, keepHead }: { readonly seed: number; readonly keepHead: boolean },
): HeadForTask {
  const output = task.outputs.find(({ head }) => head === "new");
  if (!output) return { checkpoint };
  const graph = layerGraph(checkpoint);
  if (keepHead) throw misfit(output, modelOutputs(graph));
  if (task.outputs.length > 1) {
    throw new TopologyError(
      `${output.name}: new head: expected an output that serves ${output.units} ${output.kind}, got another of ${task.outputs.length} outputs. Give it targets of its own shape, or save a model with one output.`,
      "several-outputs",
    );
  }
  const head = outputHead(graph, 0)?.head.path;
  const parametersBefore = head === undefined ? 0 : parameterCount([weightSpecsOf(graph).get(head) ?? []]);
  return {
    checkpoint: replaceHead(checkpoint, headOptions(output, seed)),
    newHead: { classes: output.units ?? 1, parametersBefore },
  };
}

function misfit({ name, kind, units, labels }: TaskOutput, outputs: readonly ModelOutput[]): UsageError {
  const own = outputs.find((output) => output.name === name);
  const count = labels?.length ?? units;
  const what = kind === "values" ? "values" : kind === "classes" ? "classes" : "labels";
  const got = !own?.hasHead ? "an output that is no head" : `one of ${own.units} units and ${own.activation}`;
  return new UsageError(
    `${optionName("keepHead")}: expected a head for ${count} ${what}, those of the data, got ${got}.`,
    "keep-head",
    "keepHead",
  );
}

function headOptions({ units, activation, perPosition }: TaskOutput, seed: number): HeadOptions {
  return {
    units: units ?? 1,
    activation: activation as NonNullable<HeadOptions["activation"]>,
    perPosition,
    seed,
  };
}
