import type { Split } from "../data/dataset.ts";
import type { BadFile } from "../data/sample-reader.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Examples } from "../training/example-set.ts";
import type { Weighting } from "../training/examples.ts";
import { mixup } from "../training/mixing.ts";
import type { PreparedRun } from "./prepare.ts";

/** The samples of a phase: every tensor of its frontier for every sample, and its target. */
export interface PhaseExamples {
  readonly train: Examples;
  /** Null without validation data. */
  readonly validation: Examples | null;
  /** Names of the validation samples: paths, or numbers from 0. */
  readonly validationNames: readonly string[];
  /** Exchange the training samples from epoch to epoch. */
  readonly callbacks: readonly Callback[];
  /** Samples and views, and the bytes of their features. */
  readonly samples: number;
  readonly bytes: number;
  readonly bad: readonly BadFile[];
  /** Releases the features. */
  dispose(): void;
}

/** Samples with their names: paths below the data folder, or numbers, one for each. */
export interface NamedExamples {
  readonly examples: Examples;
  readonly names: readonly string[];
}

/** Returns what averages samples with each other; nothing without mixup. */
export function mixupOf({ augmentation, settings: { seed } }: PreparedRun): readonly Callback[] {
  const alpha = augmentation?.mixup ?? null;
  return alpha === null ? [] : [mixup({ alpha, seed })];
}

/** Returns the class weights, which count in training only. */
export function weightingOf(run: PreparedRun, split: Split): Weighting | undefined {
  const { classWeight } = run.settings;
  const { task, objective } = run;
  return split === "train" && classWeight ? { classWeight, task, objective } : undefined;
}
