/** @file Plans the phases of a run with their cost, and the whole run's. */
import type { CutModel, PhasedModel } from "../features/cut.ts";
import { viewsOfEpochs } from "../features/views/view.ts";
import type { CostConditions } from "../freeze/cost.ts";
import type { FinetunePlan, PlannedCost, PlannedRun } from "../freeze/plan.ts";
import type { MeasuredWork } from "../freeze/predicted-seconds.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { slotsPerWeight } from "../training/optimizer-config.ts";
import { leastStepsOf, stepCounts } from "../training/step-graph.ts";
import { plannedEpochs } from "./phases.ts";
import type { ExpectedSeconds, TrialRun } from "./trial.ts";
import { timedWork } from "./trial.ts";

export interface PhasesQuestion {
  readonly cuts: PhasedModel;
  /** One for each phase. */
  readonly phases: readonly {
    readonly epochs: number;
    /** Epochs that are still to be trained: fewer than all of them where the run is resumed. */
    readonly left: number;
    readonly optimizer: OptimizerConfig;
    /** Number of trained samples and views, and validation samples, that the cache holds at the cut of the phase. */
    readonly cachedSamples: number;
  }[];
  /** Conditions of every phase; what a phase decides is put in their place. */
  readonly conditions: CostConditions;
  /** Views of each training sample as asked, null where there are none. */
  readonly views: number | null;
  readonly planOf: (phase: number, conditions: CostConditions) => FinetunePlan;
  /** The run whose parts are timed on a few samples; null for a plan without that. */
  readonly trial: Omit<TrialRun, "seconds" | "batchSize" | "extractionBatch"> | null;
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
  /** Number of mistakes that the report explains, if every validation sample is one. */
  readonly explained: number;
  readonly parameters: number;
  /** Number of weights of the model, which is written one by one. */
  readonly weights: number;
}

/**
 * Seconds that a trial may take: a share of what extraction and training are predicted to, but twice as long as they are, up to `least`,
 * and `most` at most.
 */
const trialSeconds = { share: 0.1, least: 2, most: 12 } as const;
/** Runs whose extraction and training are predicted to take fewer seconds are over before a trial is. */
const worthTrying = 0.05;

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
  const { share, least, most } = trialSeconds;
  const trial = {
    ...question.trial,
    batchSize: conditions.batchSize,
    extractionBatch: conditions.extractionBatch ?? 1,
    seconds: Math.min(most, Math.max(share * seconds, Math.min(least, 2 * seconds))) / phases.length,
  };
  const measured: (MeasuredWork | null)[] = [];
  for (const [index, { optimizer, epochs }] of phases.entries()) {
    const cut = cuts.phases[index]?.cut;
    const plan = phases[index]?.left ? predicted[index] : undefined;
    measured.push(
      cut && plan
        ? await timedWork(trial, cut, optimizer, {
            expected: expectedSeconds(plan, optimizer, conditions),
            plannedSteps: wholeSteps(conditions, epochs),
          })
        : null,
    );
  }
  return withRun(
    question,
    phases.map((_, index) => {
      const own = measured[index] ?? undefined;
      return planOf(index, { ...conditionsOf(question, index), ...(own && { measured: own }) });
    }),
  );
}

/** Returns the seconds of each part on a full batch, as they are predicted without a trial. */
function expectedSeconds(
  { cost, parameters }: FinetunePlan,
  optimizer: OptimizerConfig,
  { trainSamples, validationSamples, batchSize, extractionBatch = 1, speed }: CostConditions,
): ExpectedSeconds {
  const batches = (samples: number, size: number): number => Math.max(1, Math.ceil(samples / size));
  const { extractionSeconds = 0, epochSeconds = 0, judgingSeconds = 0 } = cost ?? {};
  return {
    static: extractionSeconds / batches(trainSamples + validationSamples, extractionBatch),
    step: (epochSeconds - judgingSeconds) / batches(trainSamples, batchSize),
    forward: judgingSeconds / batches(validationSamples, batchSize),
    update: (4 * parameters.trainable * (3 + 2 * slotsPerWeight(optimizer))) / speed.bytesPerSecond,
  };
}

/** Returns the number of steps on whole batches in some epochs. */
function wholeSteps({ trainSamples, batchSize }: CostConditions, epochs: number): number {
  return stepCounts(trainSamples, batchSize, epochs).get(batchSize) ?? 0;
}

/** Returns whether so many training steps of a cut run as a graph where the engine has graphs. */
function runsAsGraph({ graph, partition }: CutModel, steps: number): boolean {
  const nodes = graph.nodes.filter(({ index }) => partition.sides[index] === "dynamic");
  return steps >= leastStepsOf({ graph, nodes });
}

function conditionsOf({ cuts, phases, conditions, views }: PhasesQuestion, index: number): CostConditions {
  const { optimizer, cachedSamples = 0 } = phases[index] ?? {};
  const { from, to } = plannedEpochs(phases, index);
  const cut = cuts.phases[index]?.cut;
  const own = cut?.partition;
  const isEarliest = own === cuts.earliest.partition;
  const hasEarliest = cuts.phases.some(({ cut }) => cut.partition === cuts.earliest.partition);
  return {
    ...conditions,
    ...(optimizer && { optimizerSlots: slotsPerWeight(optimizer) }),
    ...(views !== null && { views: views && viewsOfEpochs(from, to, views).length }),
    cachedSamples,
    ...(cut && { stepsAsGraph: runsAsGraph(cut, wholeSteps(conditions, phases[index]?.epochs ?? 0)) }),
    ...(!isEarliest && hasEarliest && { after: cuts.earliest.partition }),
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

/** Bytes a second that the model and the states are packed and written at. */
const savedBytesPerSecond = 300e6;
/** Seconds to write one weight of a model, whatever its size. */
const secondsPerWeight = 0.4e-3;
/** Seconds of a run that go to opening folders, the page, and code that runs for the first time. */
const smallParts = 0.06;

function wholeRun(question: PhasesQuestion, plans: readonly FinetunePlan[]): PlannedRun {
  const { phases, started, conditions } = question;
  const costs = plans.flatMap(({ cost }) => cost ?? []);
  const sum = (of: (cost: PlannedCost, index: number) => number): number =>
    costs.reduce((total, cost, index) => total + of(cost, index), 0);
  const epochs = phases.reduce((total, { left }) => total + left, 0);
  const saved = savedParts(question, plans, epochs);
  const parts = {
    preparationSeconds: (performance.now() - started) / 1000,
    extractionSeconds: sum(({ extractionSeconds }, index) => (phases[index]?.left ? extractionSeconds : 0)),
    trainingSeconds: sum(({ epochSeconds }, index) => epochSeconds * (phases[index]?.left ?? 0)),
    savingSeconds: saved.seconds,
  };
  return {
    seconds: Object.values(parts).reduce((total, seconds) => total + seconds, 0),
    ...parts,
    epochs,
    epochSeconds: parts.trainingSeconds / Math.max(1, epochs),
    featureBytes: sum(({ cacheBytes }) => cacheBytes) * (4 / (conditions.bytesPerValue ?? 4)),
    outBytes: saved.bytes,
  };
}

/** Returns the seconds to keep, judge and write what a run leaves, and the bytes of its folder. */
function savedParts(
  { saving, conditions: { optimizerSlots: slots, speed } }: PhasesQuestion,
  plans: readonly FinetunePlan[],
  epochs: number,
): { readonly seconds: number; readonly bytes: number } {
  const trainedBytes = 4 * Math.max(...plans.map(({ parameters }) => parameters.trainable));
  const states = saving.writes && saving.saveEvery > 0 ? Math.floor(epochs / saving.saveEvery) : 0;
  // Weights, the best epoch's, and the optimizer's, now and then.
  const stateBytes = states > 0 ? trainedBytes * (2 + 2 * slots) : 0;
  const modelBytes = saving.writes ? 4 * saving.parameters : 0;
  // The best epoch's optimizer is copied, and so is all that a state holds.
  const copying = (epochs * slots * trainedBytes + states * stateBytes) / speed.bytesPerSecond;
  // The model is written twice: before training, so that what cannot be written is known, and after it.
  const writing =
    (2 * modelBytes + states * stateBytes) / savedBytesPerSecond +
    (saving.writes ? 2 * saving.weights * secondsPerWeight : 0);
  const longest = (of: (cost: PlannedCost) => number | undefined): number =>
    Math.max(0, ...plans.flatMap(({ cost }) => (cost && of(cost)) ?? []));
  const judging = saving.judges
    ? longest(({ judgingSeconds }) => judgingSeconds) +
      saving.explained * longest(({ sampleSeconds }) => sampleSeconds)
    : 0;
  return { seconds: smallParts + judging + copying + writing, bytes: modelBytes + stateBytes };
}
