import type { Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { stagesOf } from "../topology/stages.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import { plateauSettings, reduceOnPlateau, scheduled } from "../training/callbacks/learning-rate.ts";
import type { Monitor } from "../training/callbacks/monitor.ts";
import type { Examples } from "../training/example-set.ts";
import { sampleCount } from "../training/example-set.ts";
import type { ScheduleHorizon } from "../training/schedules.ts";
import { scheduleOf, warmupSteps } from "../training/schedules.ts";
import { stepCounts } from "../training/step-graph.ts";
import type { Tail, TailOptions } from "../training/tail.ts";
import { createTail } from "../training/tail.ts";
import type { OpenPhase } from "../training/train.ts";
import type { PhaseExamples } from "./phase-examples.ts";
import type { PreparedPhase } from "./phases.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { ProofKeeper } from "./proof.ts";

/** Context of a phase beside its samples. */
export interface PhaseContext {
  readonly moved: Weights;
  /** Steps of the phases before. */
  readonly steps: number;
  readonly monitor: Monitor | null;
  /** Epochs of the whole run that its schedules were planned for. */
  readonly planned: number;
  readonly proofs: ProofKeeper;
}

/** Returns a phase ready to train on `examples`. */
export function openPhase(
  run: PreparedRun,
  phase: PreparedPhase,
  examples: PhaseExamples,
  { moved, steps, monitor, planned, proofs }: PhaseContext,
): OpenPhase {
  const { weights } = withWeights(run.checkpoint, moved);
  const epochs = phase.epochs - addedEpochs(run, phase, planned);
  const batches = (of: Examples): ReadonlyMap<number, number> =>
    stepCounts(sampleCount(of), run.settings.batchSize, epochs);
  const tail = phaseTail(run, phase, weights, steps, {
    plannedSteps: batches(examples.train),
    ...(examples.validation && { plannedJudging: batches(examples.validation) }),
  });
  if (phase.number === 1 && run.optimizerState) {
    tail.restore({ weights: new Map(), optimizer: run.optimizerState, steps });
  }
  const movedNames = (): ReadonlyMap<string, ReadonlySet<string>> => {
    const snapshot = tail.snapshot();
    const names = [...snapshot.held()].map(
      ([path, layer]) => [path, new Set(layer.map(({ name }) => name))] as const,
    );
    snapshot.dispose();
    return new Map(names);
  };
  return {
    tail,
    examples: examples.train,
    validation: examples.validation,
    callbacks: [
      ...examples.callbacks,
      ...scheduleCallbacks(run, phase, examples, monitor, planned),
      proofs.ofPhase(phase.number, weights, movedNames),
    ],
    close: () => tail.dispose(),
  };
}

/** Returns the dynamic part of a phase on the engine, with these weights and a fresh optimizer. The caller disposes it. */
export function phaseTail(
  run: PreparedRun,
  phase: PreparedPhase,
  weights: Weights,
  firstStep: number,
  planned: Pick<TailOptions, "plannedSteps" | "plannedJudging"> = {},
): Tail {
  return createTail({
    graph: phase.graph,
    partition: phase.partition,
    weights,
    optimizer: phase.optimizer,
    rateFactors: rateFactors(run),
    objective: run.objective,
    seed: run.settings.seed,
    firstStep,
    ...planned,
  });
}

/** Returns the epochs of a phase that were asked for after its run had begun: its schedule, and its graphs, do without them. */
function addedEpochs({ phases, settings }: PreparedRun, { number }: PreparedPhase, planned: number): number {
  return number === phases.length ? settings.epochs - planned : 0;
}

/** Returns what sets the rate of the phase's steps; nothing where the optimizer does. */
function scheduleCallbacks(
  run: PreparedRun,
  phase: PreparedPhase,
  { train }: PhaseExamples,
  monitor: Monitor | null,
  planned: number,
): readonly Callback[] {
  const { settings } = run;
  const { schedule, warmup, epochs, optimizer } = phase;
  const learningRate = optimizer.settings["learning_rate"];
  if (typeof learningRate !== "number" || (schedule === "constant" && warmup === 0)) return [];
  const steps =
    (epochs - addedEpochs(run, phase, planned)) * Math.ceil(sampleCount(train) / settings.batchSize);
  const horizon: ScheduleHorizon = { learningRate, steps, warmup };
  const isPlateau = typeof schedule !== "string" && schedule["class_name"] === "ReduceLROnPlateau";
  if (!monitor || !(schedule === "plateau" || isPlateau)) return [scheduled(scheduleOf(schedule, horizon))];
  const config = isPlateau ? schedule["config"] : undefined;
  const plateau = plateauSettings(config as Parameters<typeof plateauSettings>[0]);
  return [reduceOnPlateau(monitor, scheduleOf("plateau", horizon), warmupSteps(horizon), plateau)];
}

/** Returns what the rate of each layer is multiplied by: timm's layer decay, stage by stage from the head. */
function rateFactors({ settings, graph }: PreparedRun): ReadonlyMap<string, number> {
  const { layerDecay } = settings;
  if (layerDecay === null) return new Map();
  const { labels, labelOf } = stagesOf(graph);
  return new Map(
    graph.layers.map(({ path }) => {
      const stage = labelOf(path);
      const after = stage === null ? labels.length : labels.length - 1 - labels.indexOf(stage);
      return [path, layerDecay ** after] as const;
    }),
  );
}
