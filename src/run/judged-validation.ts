/** @file Judges the tuned model on the validation samples, one by one. */
import type { Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import type { OutputReport, SplitReport, Verdicts } from "../report/run-report.ts";
import { classesReport, labelsReport } from "../report/scored-samples.ts";
import { valuesReport } from "../report/valued-samples.ts";
import { confusionKeeper, labelsOf } from "../task/confusion.ts";
import { highest } from "../task/metrics/accuracies.ts";
import type { MetricBatch } from "../task/metrics/metric.ts";
import type { OutputObjective } from "../task/objective.ts";
import { probabilitiesOf } from "../task/probabilities.ts";
import type { TaskOutput } from "../task/task.ts";
import { evaluateExamples } from "../training/epoch-figures.ts";
import { sampleCount } from "../training/example-set.ts";
import { createTail } from "../training/tail.ts";
import type { RunFeatures } from "./features.ts";
import type { JudgedMask, MaskKeeper } from "./judged-masks.ts";
import { maskKeeper } from "./judged-masks.ts";
import type { NamedExamples } from "./phase-examples.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { RunStart } from "./resume.ts";
import type { RunTraining } from "./training.ts";
import { runTraining } from "./training.ts";

/** Trains, and judges the validation samples one by one where there are any and a report or TensorBoard asks for it. */
export async function trainAndJudge(
  run: PreparedRun,
  features: RunFeatures,
  started: number,
  start: RunStart,
): Promise<{ trained: RunTraining; judged: JudgedValidation | null }> {
  const trained = await runTraining(run, features, started, start);
  const { report, tensorboard, out } = run.settings;
  if (!(report || tensorboard) || out === null) return { trained, judged: null };
  try {
    const held = await features.validation();
    return { trained, judged: held && (await judgedValidation(run, trained.weights, held)) };
  } catch (error) {
    // What ended the run, as a lack of memory, may keep it from being judged: it is saved all the same.
    if (trained.stopped === undefined) throw error;
    return { trained, judged: null };
  }
}

/** The validation samples as the tuned model judges them. */
export interface JudgedValidation {
  readonly validation: SplitReport;
  /** The worst masks by output name. */
  readonly masks: ReadonlyMap<string, readonly JudgedMask[]>;
  /** Given and predicted label of each sample, by output name. */
  readonly verdicts: ReadonlyMap<string, Verdicts>;
  /** Names of the samples, by which masks find theirs. */
  readonly names: readonly string[];
}

/**
 * Runs the dynamic part with the given trained weights over the validation samples in inference mode and returns what a page shows of
 * them: figures, confusion, curves, mistakes.
 */
async function judgedValidation(
  { graph, partition, phases, objective, task, checkpoint, settings, dataset }: PreparedRun,
  trained: Weights,
  { examples, names }: NamedExamples,
): Promise<JudgedValidation> {
  const weights = withWeights(checkpoint, trained).weights;
  const { optimizer } = phases[0]!;
  const tail = createTail({ graph, partition, weights, optimizer, objective, seed: settings.seed });
  const outputs = task.outputs.map((own, index) => {
    const trainedOutput = objective.outputs[index];
    return trainedOutput ? outputKeeper(own, trainedOutput, names, valueNames(dataset)) : null;
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
      validation: {
        split: "validation",
        samples,
        figures,
        outputs: outputs.flatMap((output) => output?.report(samples) ?? []),
      },
      masks: new Map(
        outputs.flatMap((output) => (output?.masks ? [[output.name, output.masks.masks()] as const] : [])),
      ),
      verdicts: new Map(
        outputs.flatMap((output) => {
          const own = output?.verdicts();
          return output && own ? [[output.name, own] as const] : [];
        }),
      ),
      names,
    };
  } finally {
    tail.dispose();
  }
}

/** Returns the names of the columns that targets are read from; none for other data. */
function valueNames(dataset: PreparedRun["dataset"]): readonly string[] {
  if (dataset.kind === "arrays") return [];
  return (dataset.targetColumns ?? []).flatMap(({ name, parts = [name] }) => parts);
}

interface OutputKeeper {
  readonly name: string;
  readonly masks: MaskKeeper | null;
  add(batch: MetricBatch): void;
  /** Returns what each sample was said to be; null but for one class a sample. */
  verdicts(): Verdicts | null;
  /** Returns null for an output of which nothing was observed. */
  report(samples: number): OutputReport | null;
}

function outputKeeper(
  task: TaskOutput,
  objective: OutputObjective,
  names: readonly string[],
  columns: readonly string[],
): OutputKeeper {
  const confusion = confusionKeeper(task, objective);
  const masks = maskKeeper(task, objective);
  const batches: MetricBatch[] = [];
  const labels = task.kind === "values" ? [] : labelsOf(task, task.units ?? 0);
  return {
    name: task.name,
    masks,
    add: (batch) => {
      confusion?.add(batch);
      masks?.add(batch);
      // Positions of masks and sequences are too many to keep, and their samples have no one score.
      if (!task.perPosition) batches.push(batch);
    },
    verdicts: () => {
      if (task.kind !== "classes" || task.perPosition || batches.length === 0) return null;
      const { scores, truth } = scoredClasses(task, labels, batches, names);
      const predicted = highest({ shape: [names.length, labels.length], data: scores });
      return { names, given: Array.from(truth), predicted: Array.from(predicted) };
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
        ...(task.perPosition || batches.length === 0
          ? {}
          : scoredPart(task, labels, batches, names, columns)),
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
  columns: readonly string[],
): Partial<OutputReport> {
  const outputs = joined(batches.map(({ outputs: { data } }) => data));
  const targets = joined(batches.map(({ targets: { data } }) => data));
  const units = outputs.length / names.length;
  if (task.kind === "values") {
    const named = columns.length === units ? columns : [];
    return valuesReport({ predicted: outputs, truth: targets, units, labels: named, names });
  }
  const scores = probabilityRows(task, labels, outputs, names.length);
  if (task.kind === "labels") return labelsReport({ labels, scores, truth: Int32Array.from(targets), names });
  return classesReport({ labels, names, ...scoredClasses(task, labels, batches, names) });
}

/** Returns the probabilities of the classes, and the index of each sample's. */
function scoredClasses(
  task: TaskOutput,
  labels: readonly string[],
  batches: readonly MetricBatch[],
  names: readonly string[],
): { readonly scores: Float32Array; readonly truth: Int32Array } {
  const outputs = joined(batches.map(({ outputs: { data } }) => data));
  const targets = joined(batches.map(({ targets: { data } }) => data));
  const isIndices = targets.length === names.length;
  return {
    scores: probabilityRows(task, labels, outputs, names.length),
    truth: isIndices
      ? Int32Array.from(targets, Math.round)
      : highest({ shape: [names.length, labels.length], data: targets }),
  };
}

function probabilityRows(
  task: TaskOutput,
  labels: readonly string[],
  outputs: Float32Array,
  count: number,
): Float32Array {
  const units = outputs.length / count;
  const scores = new Float32Array(count * labels.length);
  for (let row = 0; row < count; row++) {
    const own = outputs.subarray(row * units, (row + 1) * units);
    scores.set(probabilitiesOf(task, own), row * labels.length);
  }
  return scores;
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
