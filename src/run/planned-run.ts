/** @file Plans a run whose task, data and phases are decided: the plan and the cost of each phase, and the text of it all. */
import { basename } from "node:path";
import type { Checkpoint } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { sampleUnit } from "../data/dataset.ts";
import type { HashFile } from "../data/file-bytes.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { isSpooled } from "../data/spooled-batches.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { precisionText } from "../engine/precision.ts";
import { defaultCacheDirectory, localFolderOf } from "../features/cache/cache-directory.ts";
import type { PhasedModel } from "../features/cut.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { PlanContext } from "../freeze/plan-context.ts";
import { planLines } from "../freeze/plan-text.ts";
import { isBucketAddress } from "../storage/address.ts";
import type { Objective } from "../task/objective.ts";
import type { Task } from "../task/task.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import type { TrainingCounts } from "../training/state.ts";
import type { Augmentation } from "./augmentation.ts";
import { cachedSamples, costConditions, freeBytesAt } from "./cost.ts";
import type { DecidedSettings } from "./decided-settings.ts";
import { explainedCount } from "./explained-mistakes.ts";
import type { ImageInput } from "./image-input.ts";
import type { StepSize } from "./memory.ts";
import type { PreparedPhase } from "./phases.ts";
import { epochsLeft, phaseLines } from "./phases.ts";
import { planCut } from "./plan-finetune.ts";
import type { PhasesQuestion } from "./planned-phases.ts";
import { plannedPhases } from "./planned-phases.ts";
import type { AskedPhase } from "./recipes.ts";
import type { RunSettings } from "./settings.ts";

/** Everything that the plans of a run depend on besides the size of its steps. */
export interface PlanQuestion {
  readonly settings: RunSettings;
  /** The model with the head that the data needs. */
  readonly checkpoint: Checkpoint;
  readonly cuts: PhasedModel;
  readonly asked: readonly AskedPhase[];
  /** Returns the optimizer of each phase, whose updates take so many steps. */
  readonly optimizersOf: (accumulate: number, cuts: PhasedModel) => readonly OptimizerConfig[];
  readonly dataset: StoredDataset;
  readonly reader: SampleReader | null;
  readonly image: ImageInput | null;
  readonly augmentation: Augmentation | null;
  readonly task: Task;
  readonly objective: Objective;
  readonly engine: EngineInfo;
  /** Number of rows that every batch of an extraction is padded to. */
  readonly extractionBatch: number;
  /** Returns the sha256 of a file's bytes as the run saw them first; undefined where the run has no cache that they are keys of. */
  readonly hashOf: HashFile | undefined;
}

/** Moment and thoroughness of a plan. */
export interface PlanTiming {
  /** False where nobody reads the plan's seconds: then no part of the run is timed on samples for them. */
  readonly isTimed: boolean;
  /** True if the run follows, for which a trial leaves on the engine what it has put there. */
  readonly runs: boolean;
  /** Moment when the run began, as `performance.now()` tells it. */
  readonly started: number;
  /** Counts of the state that a resumed run goes on from; null for one that begins. */
  readonly counts: TrainingCounts | null;
}

/** Plans a run with steps of different sizes. */
export interface RunPlanner {
  /**
   * Returns the plan of each phase with its cost as the engine's speed predicts it, with so many rows in a batch of the extraction, also
   * for other cuts.
   */
  plansOf(step: StepSize, rows: number, cuts?: PhasedModel): Promise<readonly FinetunePlan[]>;
  /** Returns the plan of each phase with its cost as a few samples show it, and with what the cache holds. */
  timedPlans(step: StepSize): Promise<readonly FinetunePlan[]>;
}

/** Returns a planner for this machine, whose speed is measured now. */
export async function runPlanner(
  question: PlanQuestion,
  { isTimed, runs, started, counts }: PlanTiming,
): Promise<RunPlanner> {
  const { settings, cuts, asked, optimizersOf, dataset, reader, engine, extractionBatch } = question;
  const { image, augmentation, task, objective, checkpoint } = question;
  const { weights } = checkpoint;
  const views = augmentation?.views ?? null;
  const [asIs] = optimizersOf(settings.accumulate, cuts) as [OptimizerConfig];
  const conditions = await costConditions(dataset, asIs, { ...settings, views, isTimed }, reader, engine);
  const specs = [...weightSpecsOf(cuts.model).values()];
  const saving = {
    writes: settings.out !== null,
    saveEvery: settings.saveEvery,
    judges: settings.out !== null && settings.report,
    explained: explainedCount(task, dataset),
    parameters: parameterCount(specs),
    weights: specs.reduce((count, own) => count + own.length, 0),
  };
  const left = epochsLeft(asked, counts);
  const phasesOf = ({ accumulate }: StepSize, phased: PhasedModel): PhasesQuestion["phases"] =>
    optimizersOf(accumulate, phased).map((optimizer, index) => ({
      ...{ epochs: asked[index]?.epochs ?? 0, left: left[index] ?? 0 },
      ...{ optimizer, cachedSamples: 0 },
    }));
  const plans = (
    step: StepSize,
    phased: PhasedModel,
    phases: PhasesQuestion["phases"],
    trial: PhasesQuestion["trial"],
    rows = extractionBatch,
  ): Promise<readonly FinetunePlan[]> =>
    plannedPhases({
      ...{ cuts: phased, phases, views, trial, saving, started },
      conditions: { ...conditions, batchSize: step.batchSize, extractionBatch: rows },
      planOf: (index, cost) => {
        const { cut, resolution } = phased.phases[index]!;
        const imageSize = image && { imageSize: image.imageSize };
        return planCut(phased.model, cut, resolution, {
          ...{ ...imageSize, cost, augmentation: augmentation?.planned },
        });
      },
    });
  return {
    plansOf: (step, rows, phased = cuts) => plans(step, phased, phasesOf(step, phased), null, rows),
    timedPlans: async (step) => {
      const { seed, cacheDtype } = settings;
      const cache = settings.cache ?? defaultCacheDirectory();
      const epochs = asked.map((phase) => phase.epochs);
      const cached = {
        ...{ dataset, reader, cuts, weights, engine, augmentation, epochs },
        ...{ cache, cacheDtype, batchSize: extractionBatch, hashOf: question.hashOf },
      };
      const phases = [];
      for (const [index, phase] of phasesOf(step, cuts).entries()) {
        phases.push({ ...phase, cachedSamples: isTimed ? await cachedSamples(cached, index) : 0 });
      }
      const imageSize = image?.imageSize ?? null;
      // Of several cuts most weights are the same, and all would stay.
      const isFollowed = runs && asked.length === 1;
      const trial = isTimed
        ? { dataset, reader, weights, task, objective, seed, imageSize, isFollowed }
        : null;
      return plans(step, cuts, phases, trial);
    },
  };
}

/** Facts that the text of a plan mentions besides. */
export interface PlanFacts {
  readonly settings: DecidedSettings;
  /** The model as it was read. */
  readonly given: Checkpoint;
  readonly newHead: PlanContext["newHead"] | undefined;
  readonly dataset: StoredDataset;
  readonly preprocessing: string | undefined;
  readonly isResumed: boolean;
}

/** Returns the plan of the earliest cut, and the plan of the whole run as text. */
export function earliestPlan(
  { settings, given, newHead, dataset, preprocessing, isResumed }: PlanFacts,
  cuts: PhasedModel,
  phases: readonly PreparedPhase[],
): { readonly plan: FinetunePlan; readonly planLines: readonly string[] } {
  const { plan, policy } = earliestOf(cuts, phases);
  const precision = precisionText(settings.precision);
  const context: PlanContext = {
    ...(typeof settings.model === "string" && { model: basename(settings.model) }),
    origin: `Keras ${given.kerasVersion} ${given.format}`,
    ...(preprocessing !== undefined && { preprocessing }),
    policy,
    ...(newHead && { newHead }),
    unit: sampleUnit(dataset),
    ...diskContext(settings, dataset),
    batchSize: settings.batchSize,
    ...(precision !== undefined && { precision }),
    isResumed,
  };
  return { plan, planLines: [...planLines(plan, context), ...phaseLines(phases, settings.layerDecay)] };
}

/** Returns the plan of the earliest cut: a phase's own, else that of the phase which freezes the least. */
function earliestOf(
  { earliest, frozen }: PhasedModel,
  phases: readonly PreparedPhase[],
): Pick<PreparedPhase, "plan" | "policy"> {
  const own = phases.find(({ partition }) => partition === earliest.partition);
  if (own) return own;
  const most = phases.reduce((some, other) => (other.frozen.size < some.frozen.size ? other : some));
  return { ...most, policy: `${frozen.size} layers frozen in all of ${phases.length} phases` };
}

/** Returns the folders that the run writes to. */
function diskContext(
  { cache, cacheDtype, out }: DecidedSettings,
  dataset: StoredDataset,
): Partial<PlanContext> {
  const outFolder = out === null ? {} : { outFolder: out };
  if (dataset.kind === "arrays")
    return isSpooled(dataset)
      ? { place: "run", rowFolder: localFolderOf(cache), ...outFolder }
      : { place: "memory", ...outFolder };
  const rowFolder = localFolderOf(cache);
  // A bucket has no end that could be asked for.
  const freeBytes = cache !== false && isBucketAddress(cache) ? undefined : freeBytesAt(rowFolder);
  return {
    rowFolder,
    place: cache === false ? "run" : "cache",
    ...(cache !== false && { cacheFolder: cache, cacheDtype, ...(freeBytes !== undefined && { freeBytes }) }),
    ...outFolder,
  };
}
