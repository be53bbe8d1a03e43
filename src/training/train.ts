import type { Checkpoint, Weights } from "../checkpoint.ts";
import { namedMemoryError } from "../engine/out-of-memory.ts";
import { UsageError } from "../errors.ts";
import { withValues } from "../lazy-tensor.ts";
import { optionName } from "../options.ts";
import { endStage } from "../stages.ts";
import type { Callback, TrainingRun } from "./callbacks/callback.ts";
import { evaluateExamples } from "./epoch-figures.ts";
import type { Examples } from "./example-set.ts";
import type { Epoch, History } from "./history.ts";
import type { Snapshot } from "./snapshot.ts";
import type { TrainingCounts, TrainingState } from "./state.ts";
import { judgedWeights } from "./state.ts";
import type { Tail } from "./tail.ts";
import { trainEpoch } from "./train-epoch.ts";

/** One part of a run: its own cut, optimizer and schedule. */
export interface TrainingPhase {
  readonly epochs: number;
  /** Begins the phase, whose first epoch is `epoch`, on what the phases before it have moved in so many steps. */
  open(moved: Weights, steps: number, epoch: number): OpenPhase | Promise<OpenPhase>;
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
  /** Returns the whole model with these weights in it, as a phase leaves it. */
  readonly checkpointOf: (moved: Weights, phase: number) => Checkpoint;
  /** Returns a copy of the weights that a phase has moved, whose tensors do not change any more. By default in memory. */
  readonly keep?: (moved: Weights) => Weights;
  /** Goes on from there, with the same phases and callbacks, to the same bits as without a stop. */
  readonly from?: TrainingState | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Trained {
  readonly history: History;
  /** The weights that training moved, as they were at the end. */
  readonly weights: Weights;
  /** Error that ended the run before its last epoch, for the caller to throw once the rest is safe. */
  readonly stopped?: unknown;
}

/** State of the loop between epochs. */
interface Course {
  readonly history: Epoch[];
  /** Weights that earlier phases have trained. */
  moved: Weights;
  /** Steps of all phases that are over. */
  steps: number;
  counts: TrainingCounts;
  phase: OpenPhase | null;
  /** The callbacks of the phase and of the run. */
  callbacks: readonly Callback[];
  /** True during an epoch. */
  isBetween: boolean;
}

/**
 * Trains the phases one after the other, each epoch over all its samples in a fresh seeded order, the last partial batch kept. An
 * aborted signal ends the run after the step at hand, a loss that is not finite or a lack of memory at once: what the completed epochs gave is kept
 * then, with the reason in `stopped`. Everything else that happens is a callback's.
 * @throws the signal's reason, or a {TopologyError} that names the layer the values come from, where no epoch is complete.
 */
export async function train(phases: readonly TrainingPhase[], options: TrainOptions): Promise<Trained> {
  const course = courseFrom(options.from);
  const run = runOf(course, options);
  let stopped: unknown;
  try {
    requireDifferentNames(options.callbacks);
    restoreCallbacks(options.callbacks, options.from);
    await trainPhases(phases, course, run, options);
  } catch (error) {
    const named = namedMemoryError(error);
    if (course.history.length === 0) throw named;
    stopped = named;
  } finally {
    try {
      await course.phase?.tail.fetch();
      for (const callback of options.callbacks) await callback.end?.(run);
    } finally {
      await closePhase(course, run, options);
    }
  }
  return { history: course.history, weights: course.moved, ...(stopped !== undefined && { stopped }) };
}

function courseFrom(state: TrainingState | undefined): Course {
  return {
    history: [...(state?.history ?? [])],
    moved: state?.weights ?? new Map(),
    steps: state?.random.steps ?? 0,
    counts: state?.counts ?? { phase: 1, epochs: 0, phaseEpochs: 0, iterations: 0, ended: null },
    phase: null,
    callbacks: [],
    isBetween: true,
  };
}

async function trainPhases(
  phases: readonly TrainingPhase[],
  course: Course,
  run: TrainingRun,
  options: TrainOptions,
): Promise<void> {
  const { from } = options;
  const start = course.counts;
  let isBegun = false;
  for (const [index, plan] of phases.entries()) {
    const number = index + 1;
    if (start.ended === "run" || number < start.phase) continue;
    const isResumed = from !== undefined && number === start.phase;
    if (isResumed && (start.ended === "phase" || start.phaseEpochs >= plan.epochs)) {
      course.moved = judgedWeights(from);
      continue;
    }
    await closePhase(course, run, options);
    if (!isResumed)
      course.counts = { ...course.counts, phase: number, phaseEpochs: 0, iterations: 0, ended: null };
    const first = course.history.length + 1 - course.counts.phaseEpochs;
    const phase = await plan.open(course.moved, course.steps, first);
    course.phase = phase;
    course.callbacks = [...phase.callbacks, ...options.callbacks];
    requireDifferentNames(course.callbacks);
    if (isResumed) {
      const { weights, optimizer, random } = from;
      phase.tail.restore({ weights, optimizer, steps: random.steps });
      restoreCallbacks(phase.callbacks, from);
    }
    await phase.tail.fetch();
    for (const callback of isBegun ? phase.callbacks : course.callbacks) await callback.begin?.(run);
    isBegun = true;
    endStage("features");
    try {
      await trainPhase(course, phase, plan.epochs, run, options);
    } finally {
      await phase.tail.fetch();
      for (const callback of phase.callbacks) await callback.end?.(run);
    }
    if (course.counts.ended === "run") return;
  }
}

async function trainPhase(
  course: Course,
  { tail, examples, validation }: OpenPhase,
  epochs: number,
  run: TrainingRun,
  { batchSize, seed, signal }: TrainOptions,
): Promise<void> {
  while (course.counts.phaseEpochs < epochs && course.counts.ended === null) {
    const { phase, iterations } = course.counts;
    const epoch = course.history.length + 1;
    const started = performance.now();
    course.isBetween = false;
    const plan = { phase, epoch, iterations, examples, callbacks: course.callbacks, batchSize, seed, signal };
    const trained = await trainEpoch(tail, plan);
    const held = validation && (await evaluateExamples(tail, validation, batchSize));
    const record: Epoch = {
      epoch,
      phase,
      ...trained.figures,
      ...(held && Object.fromEntries(Object.entries(held).map(([name, value]) => [`val_${name}`, value]))),
      lr: trained.lr,
      seconds: (performance.now() - started) / 1000,
    };
    course.history.push(record);
    course.isBetween = true;
    course.counts = {
      phase,
      epochs: epoch,
      phaseEpochs: course.counts.phaseEpochs + 1,
      iterations: iterations + trained.steps,
      ended: null,
    };
    await tail.fetch();
    for (const callback of course.callbacks)
      heed(course, (await callback.epochEnd?.(record, run)) ?? undefined);
  }
}

/** Notes a verdict at once, so that the state that a later callback asks for knows of it. Anything else a callback returns says nothing. */
function heed(course: Course, verdict: unknown): void {
  if (verdict === "stop") course.counts = { ...course.counts, ended: "run" };
  else if (verdict === "end-phase")
    course.counts = { ...course.counts, ended: course.counts.ended ?? "phase" };
}

/** Keeps what the phase has moved, and releases the rest of it. */
async function closePhase(
  course: Course,
  run: TrainingRun,
  { keep = withValues }: TrainOptions,
): Promise<void> {
  const { phase } = course;
  if (!phase) return;
  await phase.tail.fetch();
  const snapshot = run.snapshot();
  course.moved = keep(snapshot.held());
  snapshot.dispose();
  course.steps = phase.tail.steps;
  course.phase = null;
  phase.close();
}

/** The run as callbacks see it. */
function runOf(course: Course, { checkpointOf, seed }: TrainOptions): TrainingRun {
  const snapshot = (): Snapshot => {
    const { moved, phase } = course;
    const now = phase?.tail.snapshot();
    return {
      read: () => (now ? mergedWeights(moved, now.read()) : moved),
      held: () => (now ? mergedWeights(moved, now.held()) : moved),
      dispose: () => now?.dispose(),
    };
  };
  return {
    history: course.history,
    snapshot,
    optimizer: ({ copied = true } = {}) => {
      const state = course.phase?.tail.optimizerState() ?? null;
      return copied ? withValues(state) : state;
    },
    checkpoint: () => checkpointOf(readAndDispose(snapshot()), course.counts.phase),
    state: ({ copied = true } = {}) => {
      const state = stateOf(course, seed);
      return copied ? withValues(state) : state;
    },
  };
}

/** Returns the state, each tensor of which is read when its values are asked for, until the next step. */
function stateOf(
  { phase, isBetween, moved, counts, history, callbacks }: Course,
  seed: number,
): TrainingState {
  if (!phase || !isBetween) {
    throw new UsageError(
      "state: expected to be asked between two epochs, got asked during one. Ask in epochEnd.",
      "state-within-epoch",
    );
  }
  const { weights, optimizer, steps } = phase.tail.heldState();
  const kept = callbacks.flatMap(({ name, state }) => (state ? [[name, state()] as const] : []));
  return {
    weights: mergedWeights(moved, weights),
    optimizer,
    counts,
    random: { seed, steps },
    history: [...history],
    callbacks: Object.fromEntries(kept),
  };
}

function restoreCallbacks(callbacks: readonly Callback[], from: TrainingState | undefined): void {
  for (const callback of callbacks) {
    const state = from?.callbacks[callback.name];
    if (state !== undefined) callback.restore?.(state);
  }
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
