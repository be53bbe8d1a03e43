/** @file Judges the tuned model on a split whose features are there, sample by sample. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import type { OutputReport, Point, SplitReport } from "../report/run-report.ts";
import { classesReport, labelsReport } from "../report/scored-samples.ts";
import { confusionKeeper, labelsOf } from "../task/confusion.ts";
import { flatFigures } from "../task/figures.ts";
import type { MetricBatch } from "../task/metrics/metric.ts";
import { scoreKeeper } from "../task/score-keeper.ts";
import type { TaskOutput } from "../task/task.ts";
import { disposeBatch, orderedBatches, uploadBatch } from "../training/batches.ts";
import { sampleCount } from "../training/example-set.ts";
import { createTail } from "../training/tail.ts";
import type { RunFeatures } from "./features.ts";
import type { NamedExamples } from "./phase-examples.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunStart } from "./resume.ts";
import type { RunTraining } from "./training.ts";
import { runTraining } from "./training.ts";

/** Trains, and judges the validation samples one by one where a report asks for it. */
export async function trainAndJudge(
  run: PreparedRun,
  features: RunFeatures,
  started: number,
  start: RunStart,
): Promise<{ trained: RunTraining; splits: readonly SplitReport[] }> {
  const trained = await runTraining(run, features, started, start);
  const { report, out } = run.settings;
  return {
    trained,
    splits: report && out !== null ? await judgedSplits(run, features, trained.weights) : [],
  };
}

/** Returns how the tuned model does on the validation samples, nothing where there are none. */
async function judgedSplits(
  run: PreparedRun,
  features: RunFeatures,
  trained: Weights,
): Promise<readonly SplitReport[]> {
  const validation = await features.validation();
  return validation ? [await judgedSplit(run, trained, "validation", validation)] : [];
}

/** At most so many samples of an output of values are drawn. */
const mostPoints = 1000;

/**
 * Runs the dynamic part with the given trained weights over a split in inference mode and returns what a page shows of it: figures,
 * confusion, curves, mistakes.
 */
async function judgedSplit(
  { graph, partition, phases, objective, task, checkpoint, settings }: PreparedRun,
  trained: Weights,
  split: SplitReport["split"],
  { examples, names }: NamedExamples,
): Promise<SplitReport> {
  const weights = withWeights(checkpoint, trained).weights;
  const { optimizer } = phases[0]!;
  const tail = createTail({ graph, partition, weights, optimizer, objective, seed: settings.seed });
  const scores = scoreKeeper(objective);
  const outputs = task.outputs.map((own, index) => {
    const trainedOutput = objective.outputs[index];
    return trainedOutput ? outputKeeper(own, confusionKeeper(own, trainedOutput), names) : null;
  });
  try {
    for (const rows of orderedBatches(sampleCount(examples), settings.batchSize)) {
      const batch = await uploadBatch(examples, rows);
      const figures = tail.evaluateBatch(batch, { observed: true });
      disposeBatch(batch);
      scores.add(figures, figures.penalty);
      for (const [index, output] of outputs.entries()) {
        const observed = figures.observed[index];
        if (observed) output?.add(observed);
      }
      await nextTurn();
    }
  } finally {
    tail.dispose();
  }
  const samples = sampleCount(examples);
  return {
    split,
    samples,
    figures: flatFigures(scores.figures()),
    outputs: outputs.flatMap((output) => output?.report(samples) ?? []),
  };
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
  { kind, units, activation }: TaskOutput,
  labels: readonly string[],
  batches: readonly MetricBatch[],
  names: readonly string[],
): Partial<OutputReport> {
  const outputs = joined(batches.map(({ outputs: { data } }) => data));
  const targets = joined(batches.map(({ targets: { data } }) => data));
  if (kind === "values") return { scatter: scatterOf(outputs, targets, units ?? 1) };
  const width = labels.length;
  if (kind === "labels") {
    const scores = activation === "linear" ? outputs.map(sigmoid) : outputs;
    return labelsReport({ labels, scores, truth: Int32Array.from(targets), names });
  }
  const rows = names.length;
  const scores =
    units === 1
      ? Float32Array.from({ length: rows * 2 }, (_, index) => {
          const raw = outputs[index >> 1] ?? 0;
          const score = activation === "linear" ? sigmoid(raw) : raw;
          return index % 2 === 1 ? score : 1 - score;
        })
      : activation === "linear"
        ? softmaxRows(outputs, width)
        : outputs;
  const isIndices = targets.length === rows;
  const truth = Int32Array.from({ length: rows }, (_, row) =>
    isIndices
      ? Math.round(targets[row] ?? 0)
      : indexOfLargest(targets.subarray(row * width, (row + 1) * width)),
  );
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

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

function softmaxRows(values: Float32Array, width: number): Float32Array {
  const shares = new Float32Array(values.length);
  for (let from = 0; from < values.length; from += width) {
    const row = values.subarray(from, from + width);
    const highest = Math.max(...row);
    const exponentials = Array.from(row, (value) => Math.exp(value - highest));
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    shares.set(
      exponentials.map((value) => value / total),
      from,
    );
  }
  return shares;
}

function indexOfLargest(values: Float32Array): number {
  return values.indexOf(Math.max(...values));
}
