import { setImmediate as nextTurn } from "node:timers/promises";
import type { Checkpoint, Weights } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { disposeBatch, shuffledBatches, uploadBatch } from "./batches.ts";
import type { Callback, Moment, TrainingRun, Verdict } from "./callbacks/callback.ts";
import type { Figures } from "./epoch-figures.ts";
import { evaluateExamples, meanFigures } from "./epoch-figures.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";
import type { Epoch, History } from "./history.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Batch, BatchFigures, Tail } from "./tail.ts";

/** One part of a run: its own cut, optimizer and schedule. */
export interface TrainingPhase {
  readonly epochs: number;
  /** Begins the phase on what the phases before it have moved. */
  open(moved: Weights): OpenPhase | Promise<OpenPhase>;
}

/** A phase that is being trained. */
export interface OpenPhase {
  readonly tail: Tail;
  readonly examples: Examples;
  readonly validation: Examples | null;
  /** The phase's own, as its schedule; they stand before the run's. */
  readonly callbacks: readonly Callback[];
  /** Releases the tail and whatever else the phase holds. */
  close(): void;
}

export interface TrainOptions {
  readonly batchSize: number;
  readonly seed: number;
  readonly callbacks: readonly Callback[];
  /** Returns the whole model with these weights in it. */
  readonly checkpointOf: (moved: Weights) => Checkpoint;
  readonly signal?: AbortSignal | undefined;
}

export interface Trained {
  readonly history: History;
  /** The weights that training moved, as they were at the end. */
  readonly weights: Weights;
  /** What ended the run before its last epoch, for the caller to throw once the rest is safe. */
  readonly stopped?: unknown;
}

/** What the loop knows between epochs. */
interface Course {
  readonly history: Epoch[];
  /** What phases before the present one have moved. */
  moved: Weights;
  phase: OpenPhase | null;
}

/**
 * Trains the phases one after the other, each epoch over all its samples in a fresh seeded order, the last partial batch kept. An
 * aborted signal ends the run after the step at hand, and a loss that is not finite at once: what the completed epochs gave is kept
 * then, with the reason in `stopped`. Everything else that happens is a callback's.
 * @throws the signal's reason, or a {TopologyError} that names the layer the values come from, where no epoch is complete.
 */
export async function train(phases: readonly TrainingPhase[], options: TrainOptions): Promise<Trained> {
  const course: Course = { history: [], moved: new Map(), phase: null };
  const run = runOf(course, options);
  let stopped: unknown;
  try {
    await trainPhases(phases, course, run, options);
  } catch (error) {
    if (course.history.length === 0) throw error;
    stopped = error;
  } finally {
    for (const callback of options.callbacks) await callback.end?.(run);
  }
  return { history: course.history, weights: course.moved, ...(stopped !== undefined && { stopped }) };
}

async function trainPhases(
  phases: readonly TrainingPhase[],
  course: Course,
  run: TrainingRun,
  options: TrainOptions,
): Promise<void> {
  for (const [index, { epochs, open }] of phases.entries()) {
    const phase = await open(course.moved);
    course.phase = phase;
    const callbacks = [...phase.callbacks, ...options.callbacks];
    try {
      requireDifferentNames(callbacks);
      for (const callback of index === 0 ? callbacks : phase.callbacks) await callback.begin?.(run);
      const verdict = await trainPhase(course, phase, { number: index + 1, epochs, callbacks }, run, options);
      for (const callback of phase.callbacks) await callback.end?.(run);
      if (verdict === "stop") return;
    } finally {
      course.moved = readAndDispose(run.snapshot());
      course.phase = null;
      phase.close();
    }
  }
}

interface PhaseCourse {
  readonly number: number;
  readonly epochs: number;
  readonly callbacks: readonly Callback[];
}

async function trainPhase(
  { history }: Course,
  open: OpenPhase,
  phase: PhaseCourse,
  run: TrainingRun,
  options: TrainOptions,
): Promise<Verdict | undefined> {
  let iteration = 0;
  for (let count = 0; count < phase.epochs; count++) {
    const epoch = history.length + 1;
    const started = performance.now();
    const trained = await trainEpoch(open, phase, { epoch, iteration }, options);
    iteration += trained.steps;
    const held = open.validation && (await evaluateExamples(open.tail, open.validation, options.batchSize));
    const record: Epoch = {
      epoch,
      phase: phase.number,
      ...trained.figures,
      ...(held && Object.fromEntries(Object.entries(held).map(([name, value]) => [`val_${name}`, value]))),
      lr: trained.lr,
      seconds: (performance.now() - started) / 1000,
    };
    history.push(record);
    const verdicts: (Verdict | undefined)[] = [];
    for (const callback of phase.callbacks) {
      verdicts.push((await callback.epochEnd?.(record, run)) ?? undefined);
    }
    if (verdicts.includes("stop")) return "stop";
    if (verdicts.includes("end-phase")) return "end-phase";
  }
  return undefined;
}

async function trainEpoch(
  { tail, examples: given }: OpenPhase,
  { number, callbacks }: PhaseCourse,
  { epoch, iteration }: { readonly epoch: number; readonly iteration: number },
  { batchSize, seed, signal }: TrainOptions,
): Promise<{ figures: Figures; lr: number; steps: number }> {
  let examples = given;
  for (const callback of callbacks) examples = (await callback.examples?.(epoch, examples)) ?? examples;
  const batches = shuffledBatches(sampleCount(examples), batchSize, seed, epoch);
  const all: BatchFigures[] = [];
  let lr = tail.learningRate;
  for (const [index, rows] of batches.entries()) {
    signal?.throwIfAborted();
    const steps = batches.length;
    const moment: Moment = { phase: number, epoch, step: index + 1, steps, iteration: iteration + index };
    lr = tail.learningRate;
    for (const callback of callbacks) lr = (await callback.learningRate?.(moment, lr)) ?? lr;
    const batch = await uploadBatch(examples, rows);
    const figures = tail.trainOnBatch(batch, lr, "finite");
    if (!Number.isFinite(figures.lossSum + figures.penalty)) throw notFinite(tail, batch, epoch, index + 1);
    disposeBatch(batch);
    all.push(figures);
    const reported = { ...meanFigures([figures]), lr, samples: figures.samples };
    for (const callback of callbacks) await callback.stepEnd?.(moment, reported);
    await nextTurn();
  }
  return { figures: meanFigures(all), lr, steps: batches.length };
}

/** The run as callbacks see it. */
function runOf(course: Course, { checkpointOf }: TrainOptions): TrainingRun {
  const snapshot = (): Snapshot => {
    const { moved, phase } = course;
    const now = phase?.tail.snapshot();
    return {
      read: () => (now ? mergedWeights(moved, now.read()) : moved),
      dispose: () => now?.dispose(),
    };
  };
  return {
    history: course.history,
    snapshot,
    checkpoint: () => checkpointOf(readAndDispose(snapshot())),
  };
}

/** Returns `earlier` with those of `later` put over them, weight by weight. */
function mergedWeights(earlier: Weights, later: Weights): Weights {
  const merged = new Map(earlier);
  for (const [path, layer] of later) {
    const names = new Set(layer.map(({ name }) => name));
    merged.set(path, [...(earlier.get(path) ?? []).filter(({ name }) => !names.has(name)), ...layer]);
  }
  return merged;
}

function readAndDispose(snapshot: Snapshot): Weights {
  const weights = snapshot.read();
  snapshot.dispose();
  return weights;
}

function requireDifferentNames(callbacks: readonly Callback[]): void {
  const names = callbacks.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new UsageError(
    `${optionName("callbacks")}: expected a name for each, got "${twice}" twice. Rename one of them.`,
    "callbacks-same-name",
    "callbacks",
  );
}

function notFinite(tail: Tail, batch: Batch, epoch: number, step: number): TopologyError {
  const layer = tail.firstNonFinite(batch);
  disposeBatch(batch);
  const advice =
    layer?.className === "GlobalAveragePooling1D"
      ? "A sample has nothing but masked steps, as a text without a word: leave it out."
      : "Lower the learning rate.";
  return new TopologyError(
    `${layer?.path ?? "the loss"}: values in epoch ${epoch}, step ${step}: expected finite numbers, got NaN or infinity. ${advice}`,
    "not-finite",
  );
}
