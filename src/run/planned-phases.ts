/** @file Plans the phases of a run with their cost, and the whole run's. */
import type { PhasedModel } from "../features/cut.ts";
import { viewsOfEpochs } from "../features/views/view.ts";
import type { CostConditions, MeasuredWork } from "../freeze/cost.ts";
import type { FinetunePlan, PlannedCost, PlannedRun } from "../freeze/plan.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { slotsPerWeight } from "../training/optimizer-config.ts";
import { plannedEpochs } from "./phases.ts";
import type { TrialRun } from "./trial.ts";
import { timedWork } from "./trial.ts";

export interface PhasesQuestion {
  readonly cuts: PhasedModel;
  /** One for each phase. */
  readonly phases: readonly { readonly epochs: number; readonly optimizer: OptimizerConfig }[];
  /** Conditions of every phase; what a phase decides is put in their place. */
  readonly conditions: CostConditions;
  /** Views of each training sample as asked, null where there are none. */
  readonly views: number | null;
  readonly planOf: (phase: number, conditions: CostConditions) => FinetunePlan;
  /** The run whose parts are timed on a few samples; null for a plan without that. */
  readonly trial: Omit<TrialRun, "seconds" | "batchSize" | "extractionBatch" | "bytesPerSecond"> | null;
  /** Number of trained samples and views, and validation samples, that the cache holds at the earliest cut. */
  readonly cachedSamples: number;
  readonly saving: SavedParts;
  /** When the run began, as `performance.now()` tells it. */
  readonly started: number;
}

/** Parts of a run that write and judge. */
export interface SavedParts {
  /** False for a run without a folder. */
  readonly writes: boolean;
  /** Epochs between two states; 0 for none. */
  readonly saveEvery: number;
  /** True if the validation samples are judged once more for the report. */
  readonly judges: boolean;
  readonly parameters: number;
}

/** Runs whose extraction and training are predicted to take fewer seconds are not tried. */
const worthTrying = 2;
/** Share of the run's predicted duration that a trial may take, and its bounds in seconds. */
const trialShare = { share: 0.1, least: 1, most: 12 } as const;

/**
 * Returns the plan of each phase; the cost of the earliest cut's has that of the whole run. Where the run is predicted to take more than
 * moments, its parts are timed on a few samples first.
 */
export async function plannedPhases(question: PhasesQuestion): Promise<readonly FinetunePlan[]> {
  const { cuts, phases, planOf, conditions } = question;
  const predicted = phases.map((_, index) => planOf(index, conditionsOf(question, index)));
  const { extractionSeconds, trainingSeconds } = wholeRun(question, predicted);
  const seconds = extractionSeconds + trainingSeconds;
  if (!question.trial || seconds < worthTrying) return withRun(question, predicted);
  const { share, least, most } = trialShare;
  const trial = {
    ...question.trial,
    batchSize: conditions.batchSize,
    extractionBatch: conditions.extractionBatch ?? 1,
    seconds: Math.min(most, Math.max(least, share * seconds)),
    bytesPerSecond: conditions.speed.bytesPerSecond,
  };
  const measured: (MeasuredWork | null)[] = [];
  for (const [index, { optimizer }] of phases.entries()) {
    const cut = cuts.phases[index]?.cut;
    const trained = predicted[index]?.parameters.trainable ?? 0;
    const updateBytes = 4 * trained * (3 + 2 * slotsPerWeight(optimizer));
    measured.push(cut ? await timedWork(trial, cut, optimizer, updateBytes) : null);
  }
  return withRun(
    question,
    phases.map((_, index) => {
      const own = measured[index] ?? undefined;
      return planOf(index, { ...conditionsOf(question, index), ...(own && { measured: own }) });
    }),
  );
}

function conditionsOf(
  { cuts, phases, conditions, views, cachedSamples }: PhasesQuestion,
  index: number,
): CostConditions {
  const optimizer = phases[index]?.optimizer;
  const { from, to } = plannedEpochs(phases, index);
  const own = cuts.phases[index]?.cut.partition;
  const isEarliest = own === cuts.earliest.partition;
  const hasEarliest = cuts.phases.some(({ cut }) => cut.partition === cuts.earliest.partition);
  return {
    ...conditions,
    ...(optimizer && { optimizerSlots: slotsPerWeight(optimizer) }),
    ...(views !== null && { views: views && viewsOfEpochs(from, to, views).length }),
    ...(isEarliest ? { cachedSamples } : hasEarliest && { after: cuts.earliest.partition }),
  };
}

/** Puts the cost of the whole run into the plan of the earliest cut, or of the phase that freezes the least. */
function withRun(question: PhasesQuestion, plans: readonly FinetunePlan[]): readonly FinetunePlan[] {
  const { cuts } = question;
  const earliest = cuts.phases.findIndex(({ cut }) => cut.partition === cuts.earliest.partition);
  const most = cuts.phases.reduce(
    (some, { resolution }, index) =>
      resolution.frozen.size < (cuts.phases[some]?.resolution.frozen.size ?? 0) ? index : some,
    0,
  );
  const at = earliest < 0 ? most : earliest;
  return plans.map((plan, index) =>
    index === at && plan.cost ? { ...plan, cost: { ...plan.cost, run: wholeRun(question, plans) } } : plan,
  );
}

/** Bytes a second that the model and the states are hashed, packed and written at. */
const savedBytesPerSecond = 300e6;
/** Seconds of a run that go to opening folders, the first step and the report. */
const smallParts = 0.3;

function wholeRun(question: PhasesQuestion, plans: readonly FinetunePlan[]): PlannedRun {
  const { phases, saving, started, conditions } = question;
  const costs = plans.flatMap(({ cost }) => cost ?? []);
  const sum = (of: (cost: PlannedCost, index: number) => number): number =>
    costs.reduce((total, cost, index) => total + of(cost, index), 0);
  const trained = Math.max(...plans.map(({ parameters }) => parameters.trainable));
  const epochs = phases.reduce((total, each) => total + each.epochs, 0);
  const states = saving.writes && saving.saveEvery > 0 ? Math.floor(epochs / saving.saveEvery) : 0;
  // Weights, the best epoch's, and the optimizer's.
  const stateBytes = states > 0 ? 4 * trained * (2 + conditions.optimizerSlots) : 0;
  const modelBytes = saving.writes ? 4 * saving.parameters : 0;
  // The model is written twice: before training, so that what cannot be written is known, and after it.
  const written = 2 * modelBytes + states * stateBytes;
  const judging = saving.judges ? Math.max(0, ...costs.map(({ judgingSeconds = 0 }) => judgingSeconds)) : 0;
  const parts = {
    preparationSeconds: (performance.now() - started) / 1000,
    extractionSeconds: sum(({ extractionSeconds }) => extractionSeconds),
    trainingSeconds: sum(({ epochSeconds }, index) => epochSeconds * (phases[index]?.epochs ?? 0)),
    savingSeconds: smallParts + judging + written / savedBytesPerSecond,
  };
  return {
    seconds: Object.values(parts).reduce((total, seconds) => total + seconds, 0),
    ...parts,
    epochSeconds: parts.trainingSeconds / epochs,
    featureBytes: sum(({ cacheBytes }) => cacheBytes) * (4 / (conditions.bytesPerValue ?? 4)),
    outBytes: modelBytes + stateBytes,
  };
}
