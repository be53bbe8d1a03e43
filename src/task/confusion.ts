/** Confusion matrix, and each class's precision and recall. */
import type { ClassFigures } from "./class-figures.ts";
import { highest } from "./metrics/accuracies.ts";
import type { MetricBatch, Values } from "./metrics/metric.ts";
import { divideNoNan } from "./metrics/metric.ts";
import type { OutputObjective } from "./objective.ts";
import type { TaskOutput } from "./task.ts";

export interface ConfusionKeeper {
  add(batch: MetricBatch): void;
  /** `confusion[truth][predicted]` in output order; undefined for labels, of which a sample has several. */
  confusion(): readonly (readonly number[])[] | undefined;
  perClass(): readonly ClassFigures[];
}

/** Returns a keeper without a batch; null for an output of values. Sample weights do not count. */
export function confusionKeeper(task: TaskOutput, objective: OutputObjective): ConfusionKeeper | null {
  const { units } = task;
  if (task.kind === "values" || units === null || !objective.loss) return null;
  // A score that is a logit says yes above 0.
  const threshold = task.activation === "linear" ? 0 : 0.5;
  return task.kind === "labels"
    ? labelKeeper(labelsOf(task, units), threshold)
    : classKeeper(task, objective, units, threshold);
}

/** Returns the names of an output's classes, two for a lone unit; numbers where nothing names them. */
export function labelsOf(
  { labels, kind }: Pick<TaskOutput, "labels" | "kind">,
  units: number,
): readonly string[] {
  const count = kind === "classes" && units === 1 ? 2 : units;
  return labels?.length === count ? labels : Array.from({ length: count }, (_, index) => String(index));
}

function classKeeper(
  task: TaskOutput,
  { loss }: OutputObjective,
  units: number,
  threshold: number,
): ConfusionKeeper {
  const labels = labelsOf(task, units);
  const table = labels.map(() => new Array<number>(labels.length).fill(0));
  const isIndices = loss?.targets === "indices";
  const ignored = loss?.settings["ignore_class"];
  return {
    add: ({ outputs, targets, mask }) => {
      const predicted = units === 1 ? overThreshold(outputs, threshold) : highest(outputs);
      const truth = isIndices || units === 1 ? targets.data : highest(targets);
      const repeats = mask ? predicted.length / mask.data.length : 1;
      for (let index = 0; index < predicted.length; index++) {
        const [was, is] = [truth[index] ?? -1, predicted[index] ?? -1];
        const isHidden = mask !== undefined && (mask.data[Math.floor(index / repeats)] ?? 1) === 0;
        const row = table[units === 1 ? (was > 0.5 ? 1 : 0) : was];
        if (isHidden || was === ignored || !row) continue;
        row[is] = (row[is] ?? 0) + 1;
      }
    },
    confusion: () => table,
    perClass: () =>
      labels.map((label, index) => {
        const hits = table[index]?.[index] ?? 0;
        const present = sum(table[index] ?? []);
        const predicted = sum(table.map((row) => row[index] ?? 0));
        return classFigures(label, hits, predicted, present);
      }),
  };
}

function labelKeeper(labels: readonly string[], threshold: number): ConfusionKeeper {
  const counts = labels.map(() => ({ hits: 0, predicted: 0, present: 0 }));
  return {
    add: ({ outputs, targets }) => {
      for (let index = 0; index < outputs.data.length; index++) {
        const own = counts[index % labels.length];
        if (!own) continue;
        const is = (outputs.data[index] ?? 0) > threshold;
        const was = (targets.data[index] ?? 0) > 0.5;
        if (is) own.predicted++;
        if (was) own.present++;
        if (is && was) own.hits++;
      }
    },
    confusion: () => undefined,
    perClass: () =>
      labels.map((label, index) => {
        const { hits = 0, predicted = 0, present = 0 } = counts[index] ?? {};
        return classFigures(label, hits, predicted, present);
      }),
  };
}

function classFigures(label: string, hits: number, predicted: number, present: number): ClassFigures {
  const precision = divideNoNan(hits, predicted);
  const recall = divideNoNan(hits, present);
  return {
    label,
    precision,
    recall,
    f1: divideNoNan(2 * precision * recall, precision + recall),
    support: present,
  };
}

function overThreshold({ data }: Values, threshold: number): Uint8Array {
  return Uint8Array.from(data, (score) => (score > threshold ? 1 : 0));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
