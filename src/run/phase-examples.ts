import type { Split } from "../data/dataset.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { viewOfEpoch, viewsOfEpochs } from "../features/views/view.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Examples } from "../training/example-set.ts";
import { sampleCount } from "../training/example-set.ts";
import type { Weighting } from "../training/examples.ts";
import { mixup } from "../training/mixing.ts";
import type { PreparedPhase } from "./phases.ts";
import type { PreparedRun } from "./prepared-run.ts";

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

/** Samples at the cut of a phase. */
interface PhaseSplits {
  /** Returns the training samples in one view. */
  readonly train: (view: number) => Promise<Examples>;
  readonly validation: (() => Promise<Examples>) | undefined;
  readonly dispose: () => void;
}

/** Returns the samples of a phase whose views, where there are any, are exchanged from epoch to epoch. */
export async function viewedExamples(
  run: PreparedRun,
  phase: Pick<PreparedPhase, "epochs">,
  firstEpoch: number,
  { train, validation, dispose }: PhaseSplits,
): Promise<PhaseExamples> {
  const views = run.augmentation?.views ?? null;
  const lastEpoch = views === 0 ? firstEpoch : firstEpoch + phase.epochs - 1;
  const used = views === null ? [0] : viewsOfEpochs(firstEpoch, lastEpoch, views);
  const byView = new Map<number, Examples>();
  for (const view of used) byView.set(view, await train(view));
  const held = (await validation?.()) ?? null;
  const viewAt = (epoch: number): number => (views === null ? 0 : viewOfEpoch(epoch, views));
  const ofEpoch = async (epoch: number): Promise<Examples> =>
    byView.get(viewAt(epoch)) ?? train(viewAt(epoch));
  const extracted = [...byView.values(), ...(held ? [held] : [])];
  const exchange: Callback = {
    name: "views",
    examples: async (epoch, given) => ({ ...given, features: (await ofEpoch(epoch)).features }),
  };
  return {
    train: await ofEpoch(firstEpoch),
    validation: held,
    validationNames: numbered(held ? sampleCount(held) : 0),
    callbacks: [...(views === null ? [] : [exchange]), ...mixupOf(run)],
    bad: [],
    samples: extracted.reduce((sum, each) => sum + sampleCount(each), 0),
    bytes: extracted.flatMap(({ features }) => features).reduce((sum, each) => sum + each.byteLength, 0),
    dispose,
  };
}

/** Returns names of samples that have none: numbers from 0. */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}
