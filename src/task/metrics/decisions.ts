/** Metrics of decisions at thresholds (`keras/src/metrics/confusion_metrics.py`). */
import type { Json } from "../../checkpoint.ts";
import type { Counts } from "./counts.ts";
import { addCounts, areEven, emptyCounts, lowestScore, thresholdsOf } from "./counts.ts";
import type { MetricState, MetricValue } from "./metric.ts";
import { divideNoNan } from "./metric.ts";

type Settings = Readonly<Record<string, Json>>;
type Rate = (counts: Counts, threshold: number) => number;

const precision: Rate = ({ truePositives, falsePositives }, at) =>
  share(truePositives[at], falsePositives[at]);
const recall: Rate = ({ truePositives, falseNegatives }, at) => share(truePositives[at], falseNegatives[at]);
const specificity: Rate = ({ trueNegatives, falsePositives }, at) =>
  share(trueNegatives[at], falsePositives[at]);

export const decisionStates: Readonly<Record<string, (settings: Settings) => MetricState>> = {
  precision: atThresholds(precision),
  recall: atThresholds(recall),
  true_positives: atThresholds(({ truePositives }, at) => truePositives[at] ?? 0),
  false_positives: atThresholds(({ falsePositives }, at) => falsePositives[at] ?? 0),
  true_negatives: atThresholds(({ trueNegatives }, at) => trueNegatives[at] ?? 0),
  false_negatives: atThresholds(({ falseNegatives }, at) => falseNegatives[at] ?? 0),
  sensitivity_at_specificity: bestWhere("specificity", specificity, recall),
  specificity_at_sensitivity: bestWhere("sensitivity", recall, specificity),
  precision_at_recall: bestWhere("recall", recall, precision),
  recall_at_precision: bestWhere("precision", precision, recall),
};

/** Returns a rate at each threshold, in their order; a number for one. */
function atThresholds(rate: Rate): (settings: Settings) => MetricState {
  return (settings) => {
    const topK = settings["top_k"] as number | null | undefined;
    const given = thresholdsOf(settings["thresholds"], topK ? lowestScore : 0.5);
    const thresholds = given.toSorted((a, b) => a - b);
    const counts = emptyCounts(thresholds.length);
    const classId = settings["class_id"] as number | null | undefined;
    return {
      add: (batch) => addCounts(counts, batch, { thresholds, topK, classId, even: areEven(given) }),
      result: () => {
        const values = given.map((threshold) => rate(counts, thresholds.indexOf(threshold)));
        return onlyOf(values);
      },
    };
  };
}

/** Returns the highest `wanted` at a threshold where `held` is no less than the setting says; 0 where there is none. */
function bestWhere(setting: string, held: Rate, wanted: Rate): (settings: Settings) => MetricState {
  return (settings) => {
    const count = settings["num_thresholds"] as number;
    const thresholds = count === 1 ? [0.5] : spreadEvenly(count);
    const counts = emptyCounts(thresholds.length);
    const classId = settings["class_id"] as number | null | undefined;
    const least = settings[setting] as number;
    return {
      add: (batch) => addCounts(counts, batch, { thresholds, classId, even: count > 1 }),
      result: () =>
        thresholds.reduce((best, _, at) => {
          // Keras compares in float32.
          const holds = Math.fround(held(counts, at)) >= Math.fround(least);
          return holds ? Math.max(best, wanted(counts, at)) : best;
        }, 0),
    };
  };
}

/** Returns `count` thresholds from 0 to 1. */
export function spreadEvenly(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index / (count - 1));
}

function share(part: number | undefined, rest: number | undefined): number {
  return divideNoNan(part ?? 0, (part ?? 0) + (rest ?? 0));
}

function onlyOf(values: readonly number[]): MetricValue {
  return values.length === 1 ? (values[0] ?? 0) : values;
}
