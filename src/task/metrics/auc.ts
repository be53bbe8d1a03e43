/** The area under a curve of decisions (`AUC` in `keras/src/metrics/confusion_metrics.py`). */
import type { Json } from "../../checkpoint.ts";
import type { Counts } from "./counts.ts";
import { addCounts, areEven, emptyCounts } from "./counts.ts";
import { spreadEvenly } from "./decisions.ts";
import type { MetricBatch, MetricState } from "./metric.ts";
import { divideNoNan } from "./metric.ts";

type Settings = Readonly<Record<string, Json>>;

const epsilon = 1e-7;

export function aucState(settings: Settings): MetricState {
  const given = settings["thresholds"] as readonly number[] | null | undefined;
  const inner = given
    ? given.toSorted((a, b) => a - b)
    : spreadEvenly(settings["num_thresholds"] as number).slice(1, -1);
  const thresholds = [-epsilon, ...inner, 1 + epsilon];
  const even = given ? areEven([0, ...inner, 1]) : true;
  const multiLabel = settings["multi_label"] === true;
  const labelWeights = settings["label_weights"] as readonly number[] | null | undefined;
  let counts: Counts | undefined;
  let labels = 1;
  return {
    add: (batch) => {
      labels = multiLabel ? (batch.outputs.shape.at(-1) ?? 1) : 1;
      counts ??= emptyCounts(thresholds.length, labels);
      addCounts(counts, settings["from_logits"] === true ? withShares(batch) : batch, {
        thresholds,
        multiLabel,
        even,
        labelWeights: multiLabel ? null : labelWeights,
      });
    },
    result: () => {
      const found = counts ?? emptyCounts(thresholds.length, labels);
      const areas = Array.from({ length: labels }, (_, label) =>
        area(ofLabel(found, label, labels), settings),
      );
      const weights = multiLabel && labelWeights ? labelWeights : areas.map(() => 1);
      const total = areas.reduce((sum, each, label) => sum + each * (weights[label] ?? 0), 0);
      return divideNoNan(
        total,
        weights.reduce((sum, weight) => sum + weight, 0),
      );
    },
  };
}

function withShares(batch: MetricBatch): MetricBatch {
  const { shape, data } = batch.outputs;
  const shares = Float32Array.from(data, (logit) => 1 / (1 + Math.exp(-logit)));
  return { ...batch, outputs: { shape, data: shares } };
}

function ofLabel(counts: Counts, label: number, labels: number): Counts {
  if (labels === 1) return counts;
  const own = (values: Float64Array): Float64Array => values.filter((_, index) => index % labels === label);
  return {
    truePositives: own(counts.truePositives),
    falsePositives: own(counts.falsePositives),
    trueNegatives: own(counts.trueNegatives),
    falseNegatives: own(counts.falseNegatives),
  };
}

function area(counts: Counts, settings: Settings): number {
  const curve = String(settings["curve"]).toUpperCase();
  const method = String(settings["summation_method"]).toLowerCase();
  if (curve === "PR" && method === "interpolation") return interpolatedPrecision(counts);
  const points = Array.from(counts.truePositives, (_, at) => pointOf(curve, counts, at));
  return points.slice(0, -1).reduce((sum, [x, y], at) => {
    const [nextX, nextY] = points[at + 1] ?? [0, 0];
    const height =
      method === "interpolation"
        ? (y + nextY) / 2
        : method === "minoring"
          ? Math.min(y, nextY)
          : Math.max(y, nextY);
    return sum + (x - nextX) * height;
  }, 0);
}

function pointOf(curve: string, counts: Counts, at: number): readonly [x: number, y: number] {
  const [tp, fp] = [counts.truePositives[at] ?? 0, counts.falsePositives[at] ?? 0];
  const [tn, fn] = [counts.trueNegatives[at] ?? 0, counts.falseNegatives[at] ?? 0];
  const recall = divideNoNan(tp, tp + fn);
  if (curve === "ROC") return [divideNoNan(fp, fp + tn), recall];
  if (curve === "PR") return [recall, divideNoNan(tp, tp + fp)];
  if (tp === 0) return [0, 1];
  const scale = divideNoNan(tp + fn, tn + fp);
  return [Math.max(1 - (scale * fn) / tp, 0), 1 - (scale * fp) / tp];
}

/** Davis and Goadrich's interpolation, as Keras computes it. */
function interpolatedPrecision({ truePositives, falsePositives, falseNegatives }: Counts): number {
  let total = 0;
  for (let at = 0; at + 1 < truePositives.length; at++) {
    const [tp, nextTp] = [truePositives[at] ?? 0, truePositives[at + 1] ?? 0];
    const [p, nextP] = [tp + (falsePositives[at] ?? 0), nextTp + (falsePositives[at + 1] ?? 0)];
    const gained = tp - nextTp;
    const slope = divideNoNan(gained, Math.max(p - nextP, 0));
    const intercept = nextTp - slope * nextP;
    const ratio = p > 0 && nextP > 0 ? divideNoNan(p, Math.max(nextP, 0)) : 1;
    const all = Math.max(nextTp + (falseNegatives[at + 1] ?? 0), 0);
    total += divideNoNan(slope * (gained + intercept * Math.log(ratio)), all);
  }
  return total;
}
