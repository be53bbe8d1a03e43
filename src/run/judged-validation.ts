/** @file Judges the tuned model on the validation samples, one by one. */
import type { Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import type { OutputReport, Point, SplitReport } from "../report/run-report.ts";
import { classesReport, labelsReport } from "../report/scored-samples.ts";
import { confusionKeeper, labelsOf } from "../task/confusion.ts";
import { highest } from "../task/metrics/accuracies.ts";
import type { MetricBatch } from "../task/metrics/metric.ts";
import { probabilitiesOf } from "../task/probabilities.ts";
import type { TaskOutput } from "../task/task.ts";
import { evaluateExamples } from "../training/epoch-figures.ts";
import { sampleCount } from "../training/example-set.ts";
import { createTail } from "../training/tail.ts";
import type { RunFeatures } from "./features.ts";
import type { NamedExamples } from "./phase-examples.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunStart } from "./resume.ts";
import type { RunTraining } from "./training.ts";
import { runTraining } from "./training.ts";

/** Trains, and judges the validation samples one by one where there are any and a report or TensorBoard asks for it. */
export async function trainAndJudge(
  run: PreparedRun,
  features: RunFeatures,
  started: number,
  start: RunStart,
): Promise<{ trained: RunTraining; validation: SplitReport | null }> {
  const trained = await runTraining(run, features, started, start);
  const { report, tensorboard, out } = run.settings;
  const held = (report || tensorboard) && out !== null ? await features.validation() : null;
  return { trained, validation: held && (await judgedValidation(run, trained.weights, held)) };
}

/** At most so many samples of an output of values are drawn. */
const mostPoints = 1000;

/**
 * Runs the dynamic part with the given trained weights over the validation samples in inference mode and returns what a page shows of
 * them: figures, confusion, curves, mistakes.
 */
async function judgedValidation(
  { graph, partition, phases, objective, task, checkpoint, settings }: PreparedRun,
  trained: Weights,
  { examples, names }: NamedExamples,
): Promise<SplitReport> {
  const weights = withWeights(checkpoint, trained).weights;
  const { optimizer } = phases[0]!;
  const tail = createTail({ graph, partition, weights, optimizer, objective, seed: settings.seed });
  const outputs = task.outputs.map((own, index) => {
    const trainedOutput = objective.outputs[index];
    return trainedOutput ? outputKeeper(own, confusionKeeper(own, trainedOutput), names) : null;
  });
  try {
    const figures = await evaluateExamples(tail, examples, settings.batchSize, (observed) => {
      for (const [index, output] of outputs.entries()) {
        const batch = observed[index];
        if (batch) output?.add(batch);
      }
    });
    const samples = sampleCount(examples);
    return {
      split: "validation",
      samples,
      figures,
      outputs: outputs.flatMap((output) => output?.report(samples) ?? []),
    };
  } finally {
    tail.dispose();
  }
}

interface OutputKeeper {
  add(batch: MetricBatch): void;
  /** Returns null for an output of which nothing was observed. */
  report(samples: number): OutputReport | null;
}

function outputKeeper(
  task: TaskOutput,
  confusion: ReturnType<typeof confusionKeeper>,
  names: readonly string[],
): OutputKeeper {
  const batches: MetricBatch[] = [];
  const labels = task.kind === "values" ? [] : labelsOf(task, task.units ?? 0);
  return {
    add: (batch) => {
      confusion?.add(batch);
      // Positions of masks and sequences are too many to keep, and their samples have no one score.
      if (!task.perPosition) batches.push(batch);
    },
    report: (samples) => {
      const table = confusion?.confusion();
      return {
        name: task.name,
        kind: task.kind,
        perPosition: task.perPosition,
        labels,
        samples,
        ...(table && { confusion: table }),
        ...(confusion && { perClass: confusion.perClass() }),
        ...(task.perPosition || batches.length === 0 ? {} : scoredPart(task, labels, batches, names)),
      };
    },
  };
}

/** Returns the parts of a report that are computed from the samples' scores. */
function scoredPart(
  task: TaskOutput,
  labels: readonly string[],
  batches: readonly MetricBatch[],
  names: readonly string[],
): Partial<OutputReport> {
  const outputs = joined(batches.map(({ outputs: { data } }) => data));
  const targets = joined(batches.map(({ targets: { data } }) => data));
  if (task.kind === "values") return { scatter: scatterOf(outputs, targets, task.units ?? 1) };
  const units = outputs.length / names.length;
  const scores = new Float32Array(names.length * labels.length);
  for (const row of names.keys()) {
    const own = outputs.subarray(row * units, (row + 1) * units);
    scores.set(probabilitiesOf(task, own), row * labels.length);
  }
  if (task.kind === "labels") return labelsReport({ labels, scores, truth: Int32Array.from(targets), names });
  const isIndices = targets.length === names.length;
  const truth = isIndices
    ? Int32Array.from(targets, Math.round)
    : highest({ shape: [names.length, labels.length], data: targets });
  return classesReport({ labels, scores, truth, names });
}

function scatterOf(outputs: Float32Array, targets: Float32Array, units: number): readonly Point[] {
  const count = Math.min(outputs.length, targets.length);
  const step = Math.max(units, Math.ceil(count / mostPoints));
  const points: Point[] = [];
  for (let index = 0; index < count; index += step) points.push([targets[index] ?? 0, outputs[index] ?? 0]);
  return points;
}

function joined(parts: readonly ArrayLike<number>[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
