import type { Checkpoint } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import type { RunFiles } from "../features/cache/file-index.ts";
import type { CutModel } from "../features/cut.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { Objective } from "../task/objective.ts";
import type { Task } from "../task/task.ts";
import type { OptimizerState } from "../training/state.ts";
import type { Augmentation } from "./augmentation.ts";
import type { DecidedSettings } from "./decided-settings.ts";
import type { ModelWriting } from "./folder.ts";
import type { PreparedPhase } from "./phases.ts";

/** A run with everything decided and nothing computed yet: what `--dry-run` prints. Its cut is the earliest of its phases. */
export interface PreparedRun extends CutModel {
  readonly settings: DecidedSettings;
  /** The model with its head for the data's classes. */
  readonly checkpoint: Checkpoint;
  /** The format and the options that the tuned model is written with. */
  readonly writing: ModelWriting;
  readonly dataset: StoredDataset;
  /** The plan of the earliest cut. */
  readonly plan: FinetunePlan;
  /** The plan as text. */
  readonly planLines: readonly string[];
  readonly phases: readonly PreparedPhase[];
  /** Number of rows that every batch of an extraction is padded to. */
  readonly extractionBatch: number;
  /** State that the optimizer of the first phase goes on from; null where it begins fresh. */
  readonly optimizerState: OptimizerState | null;
  /** Turns files, and views of them, into the model's input; null for arrays, which are taken as they are. */
  readonly reader: SampleReader | null;
  /** Null where samples are not augmented. */
  readonly augmentation: Augmentation | null;
  readonly task: Task;
  readonly objective: Objective;
  /** Class names in output order. */
  readonly labels: readonly string[];
  /** Facts worth a line before the plan. */
  readonly messages: readonly string[];
  readonly warnings: readonly string[];
  /** The data's files as the run saw them first; undefined where it has no cache that their hashes are keys of. */
  readonly files: RunFiles | undefined;
}

/** Tells the caller what was found and what is planned, and `more` after it. */
export function announce(run: PreparedRun, more: readonly string[] = []): void {
  const { messages, warnings, plan, planLines } = run;
  const { onProgress } = run.settings;
  for (const message of messages) onProgress({ kind: "note", message });
  for (const message of warnings) onProgress({ kind: "warning", message });
  onProgress({ kind: "plan", plan, lines: planLines });
  for (const message of more) onProgress({ kind: "note", message });
}
