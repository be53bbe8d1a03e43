import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { onlyTarget } from "../data/dataset.ts";
import type { Tensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { GraphEndpoint, LayerGraph } from "../topology/layer-graph.ts";
import { withLogitsOutput } from "../topology/rewrites/logits-output.ts";
import type { LossArgument } from "./loss-argument.ts";
import { lossOf } from "./losses.ts";

/** One of K classes, any of K labels, or real values. */
export type TaskKind = "classes" | "labels" | "values";

/** The kinds as a caller asks for them: `classes`, `labels` and `values`, in this order. */
export type TaskName = "single-label" | "multi-label" | "regression";

/** A Keras metric by name, in any spelling, or as `{ class_name, config }`. */
export type MetricArgument = LossArgument;

/** What one output of a model is trained and judged on. Plain data. */
export interface TaskOutput {
  /** The key of the output where the model gives a record, else the name of the layer that gives it. */
  readonly name: string;
  readonly kind: TaskKind;
  /** Whether the targets have the positions of the output: masks, tags, sequences. */
  readonly perPosition: boolean;
  /** Keras's name of what makes the scores the output, `softmax` or `sigmoid`; else `linear`. */
  readonly activation: string;
  /** Size of the output's last axis; null where the model leaves it free. */
  readonly units: number | null;
  /** Class names in output order. */
  readonly labels?: readonly string[];
  /** Null for an output that is not trained. */
  readonly loss: LossArgument | null;
  readonly lossWeight: number;
  /** Metrics that ignore sample weights. */
  readonly metrics: readonly MetricArgument[];
  /** Metrics that use sample weights. */
  readonly weightedMetrics: readonly MetricArgument[];
  /** Why this loss: `as asked`, `as compiled in the file`, or what the head and the targets say. */
  readonly reason: string;
}

/** What a model is asked: the value that training, evaluation, prediction, the plan and the report read. */
export interface Task {
  readonly outputs: readonly TaskOutput[];
}

/** What a caller says of the task; each goes before the file and the head. */
export interface AskedTask {
  readonly task?: TaskName | undefined;
  /** For every output, or by output name. */
  readonly loss?: LossArgument | undefined;
  readonly metrics?: readonly MetricArgument[] | undefined;
}

/**
 * Returns what each output of the model is asked: by what the caller says, else by the head and the targets.
 * @throws {UsageError} for a loss that is not known.
 */
export function taskOf(checkpoint: Checkpoint, dataset?: Dataset, asked: AskedTask = {}): Task {
  const graph = layerGraph(checkpoint);
  const targets = dataset?.kind === "arrays" ? onlyTarget(dataset.targets) : null;
  return {
    outputs: graph.outputs.map((output) => outputTask(graph, output, { checkpoint, targets, asked })),
  };
}

interface Question {
  readonly checkpoint: Checkpoint;
  readonly targets: Tensor | null;
  readonly asked: AskedTask;
}

function outputTask(
  graph: LayerGraph,
  { name, ref }: GraphEndpoint,
  { checkpoint, targets, asked }: Question,
): TaskOutput {
  const shape = graph.nodes[ref.node]?.outputs[ref.output]?.shape ?? [null, null];
  const units = shape.at(-1) ?? null;
  const { activation } = withLogitsOutput(graph);
  const { labels } = checkpoint.notes;
  const loss = asked.loss ?? lossByHead(units, shape.length, targets);
  const { name: lossName } = lossOf(loss);
  const kind = lossName.endsWith("crossentropy") ? "classes" : "values";
  return {
    name,
    kind,
    perPosition: shape.length > 2,
    activation: activation === "none" ? "linear" : activation,
    units,
    ...(labels && { labels }),
    loss,
    lossWeight: 1,
    metrics: asked.metrics ?? (kind === "classes" ? ["accuracy"] : []),
    weightedMetrics: [],
    reason: asked.loss === undefined ? "by the head" : "as asked",
  };
}

function lossByHead(units: number | null, rank: number, targets: Tensor | null): string {
  if (units === 1) return "binary_crossentropy";
  const indices = targets !== null && (targets.shape.length === rank - 1 || targets.shape.at(-1) === 1);
  return indices ? "sparse_categorical_crossentropy" : "categorical_crossentropy";
}
