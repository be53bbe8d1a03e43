import type { LossArgument } from "./losses/loss-argument.ts";
import type { MetricArgument } from "./metrics/metric.ts";

/** One of K classes, any of K labels, or real values. */
export type TaskKind = "classes" | "labels" | "values";

/** The kinds as a caller asks for them: `classes`, `labels` and `values`, in this order. */
export type TaskName = "single-label" | "multi-label" | "regression";

/** Loss, metrics and labels of one output. Plain data, except for custom losses and metrics. */
export interface TaskOutput {
  /** The key of the output where the model gives a record, else the name of the layer that gives it. */
  readonly name: string;
  readonly kind: TaskKind;
  /** True if the targets have the positions of the output: masks, tags, sequences. */
  readonly perPosition: boolean;
  /** Keras's name of what makes the scores the output: `softmax`, `sigmoid`, `linear`. */
  readonly activation: string;
  /** Size of the output's last axis that the task needs; null where the model leaves it free. */
  readonly units: number | null;
  /** `kept` if the model's own output serves the task, `new` if a new head is needed. */
  readonly head: "kept" | "new";
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

/** Task of a model: the value that training, evaluation, prediction, the plan and the report read. */
export interface Task {
  readonly outputs: readonly TaskOutput[];
  /** Caveats to know before trusting it. */
  readonly warnings: readonly string[];
}

/** Requests of the caller; each takes precedence over the file and the head. */
export interface AskedTask {
  readonly task?: TaskName | undefined;
  /** For every output, or by output name; null for an output that is not trained. */
  readonly loss?: LossArgument | ByOutput<LossArgument | null> | undefined;
  /** Weight of each output's loss, in order or by output name; 1. */
  readonly lossWeights?: readonly number[] | ByOutput<number> | undefined;
  /** For every output, or by output name. */
  readonly metrics?: readonly MetricArgument[] | ByOutput<readonly MetricArgument[]> | undefined;
  /** Metrics that sample weights count in. */
  readonly weightedMetrics?: readonly MetricArgument[] | ByOutput<readonly MetricArgument[]> | undefined;
  /** Number of classes, if the data distinguishes fewer. */
  readonly classes?: number | undefined;
  /** Share of a target that is spread over all classes, in place of the loss's own. */
  readonly labelSmoothing?: number | undefined;
  /** Keeps the model's head whatever its labels say. */
  readonly keepHead?: boolean | undefined;
}

/** Something for each output by its name. */
export type ByOutput<T> = Readonly<Record<string, T>>;

export const kindByName: Readonly<Record<TaskName, TaskKind>> = {
  "single-label": "classes",
  "multi-label": "labels",
  regression: "values",
};
