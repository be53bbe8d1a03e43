import type { CompiledOutput } from "./compile-config.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import type { MetricArgument } from "./metrics/metric.ts";
import type { ModelOutput } from "./model-outputs.ts";
import type { TargetFacts } from "./target-facts.ts";
import type { AskedTask, TaskKind } from "./task.ts";
import { kindByName } from "./task.ts";

/** Requests of the caller for one output. */
export interface AskedOutput extends Pick<AskedTask, "task" | "classes" | "keepHead" | "labelSmoothing"> {
  readonly loss?: LossArgument | null | undefined;
  readonly lossWeight?: number | undefined;
  readonly metrics?: readonly MetricArgument[] | undefined;
  readonly weightedMetrics?: readonly MetricArgument[] | undefined;
}

/** All that is known of one output when its task is decided. */
export interface OutputQuestion {
  readonly output: ModelOutput;
  /** Null where the data says nothing. */
  readonly facts: TargetFacts | null;
  /** Undefined where the file does not say. */
  readonly compiled: CompiledOutput | undefined;
  /** True if the file names a metric for any output. */
  readonly hasCompiledMetrics: boolean;
  readonly asked: AskedOutput;
  /** Class names in output order that the file knows. */
  readonly knownLabels: readonly string[] | undefined;
  /** True if the output is ImageNet's thousand classes, of a network of keras.applications. */
  readonly isImageNet: boolean;
}

/** Returns the kind that the caller asks for. */
export function askedKind({ asked }: OutputQuestion): TaskKind | undefined {
  return asked.task === undefined ? undefined : kindByName[asked.task];
}
