/** F-scores, overlaps of classes and the coefficient of determination (`keras/src/metrics/{f_score,iou,regression}_metrics.py`). */
import type { Json } from "../../checkpoint.ts";
import { highest } from "./accuracies.ts";
import { countingWeights, weightPerValue } from "./mean.ts";
import type { MetricBatch, MetricState, MetricValue, Values } from "./metric.ts";
import { divideNoNan } from "./metric.ts";

type Settings = Readonly<Record<string, Json>>;

const epsilon = 1e-7;

/** Average null: a figure per class. */
export function fBetaState(settings: Settings): MetricState {
  const average = settings["average"] as string | null;
  const threshold = settings["threshold"] as number | null;
  const beta = (settings["beta"] as number | undefined) ?? 1;
  let sums: { hits: number[]; added: number[]; missed: number[]; present: number[] } | undefined;
  return {
    add: (batch) => {
      const units = batch.outputs.shape.at(-1) ?? 1;
      const places = average === "micro" ? 1 : units;
      const zeros = (): number[] => new Array<number>(places).fill(0);
      sums ??= { hits: zeros(), added: zeros(), missed: zeros(), present: zeros() };
      const weights = countingWeights(batch);
      const weightAt = weights ? weightPerValue(weights, batch.outputs.shape) : () => 1;
      const chosen = decided(batch.outputs, threshold);
      for (let index = 0; index < chosen.length; index++) {
        const place = average === "micro" ? 0 : index % units;
        const [is, was] = [chosen[index] ?? 0, batch.targets.data[index] ?? 0];
        const weight = weightAt(index);
        increase(sums.hits, place, is * was * weight);
        increase(sums.added, place, is * (1 - was) * weight);
        increase(sums.missed, place, (1 - is) * was * weight);
        increase(sums.present, place, was * weight);
      }
    },
    result: () => {
      if (!sums) return 0;
      const { hits, added, missed, present } = sums;
      const figures = hits.map((hit, place) => {
        const precision = hit / (hit + (added[place] ?? 0) + epsilon);
        const recall = hit / (hit + (missed[place] ?? 0) + epsilon);
        return ((precision * recall) / (beta ** 2 * precision + recall + epsilon)) * (1 + beta ** 2);
      });
      return averaged(figures, present, average);
    },
  };
}

function averaged(
  figures: readonly number[],
  present: readonly number[],
  average: string | null,
): MetricValue {
  if (average === null) return figures;
  if (average !== "weighted") return total(figures) / figures.length;
  const all = total(present) + epsilon;
  return figures.reduce((sum, figure, place) => sum + (figure * (present[place] ?? 0)) / all, 0);
}

/** A threshold decides each unit; without one a row's highest score does, unless it is 0. */
function decided(outputs: Values, threshold: number | null): Uint8Array {
  const { shape, data } = outputs;
  const chosen = new Uint8Array(data.length);
  if (threshold !== null) {
    for (let index = 0; index < data.length; index++) chosen[index] = (data[index] ?? 0) > threshold ? 1 : 0;
    return chosen;
  }
  const units = shape.at(-1) ?? 1;
  for (const [row, best] of highest(outputs).entries()) {
    const top = data[row * units + best] ?? 0;
    for (let unit = 0; unit < units; unit++) {
      const score = data[row * units + unit] ?? 0;
      chosen[row * units + unit] = score >= top && Math.abs(score) > 1e-9 ? 1 : 0;
    }
  }
  return chosen;
}

/** Intersection over union of classes, their mean where there are several. Keras 3 counts in whole numbers, weights too. */
export function iouState(settings: Settings): MetricState {
  const classes = settings["num_classes"] as number;
  const wanted = (settings["target_class_ids"] as readonly number[] | undefined) ?? range(classes);
  const ignored = settings["ignore_class"] as number | null | undefined;
  const threshold = settings["threshold"] as number | undefined;
  const whole = !String(settings["dtype"] ?? "int").startsWith("float");
  const table = new Float64Array(classes * classes);
  return {
    add: (batch) => {
      const truth = classesIn(batch.targets, settings["sparse_y_true"] !== false);
      const predicted =
        overThreshold(batch.outputs, threshold) ??
        classesIn(batch.outputs, settings["sparse_y_pred"] !== false);
      const weights = countingWeights(batch);
      const weightAt = weights
        ? weightPerValue(weights, [batch.outputs.shape[0] ?? 1, truth.length / (batch.outputs.shape[0] ?? 1)])
        : () => 1;
      for (let index = 0; index < truth.length; index++) {
        const [is, was] = [Math.trunc(predicted[index] ?? -1), Math.trunc(truth[index] ?? -1)];
        if (was === ignored || is < 0 || was < 0 || is >= classes || was >= classes) continue;
        const weight = whole ? Math.trunc(weightAt(index)) : weightAt(index);
        table[was * classes + is] = (table[was * classes + is] ?? 0) + weight;
      }
    },
    result: () => {
      const overlaps = wanted.flatMap((label) => {
        const hits = table[label * classes + label] ?? 0;
        const rows = total(range(classes).map((other) => table[label * classes + other] ?? 0));
        const columns = total(range(classes).map((other) => table[other * classes + label] ?? 0));
        const union = rows + columns - hits;
        return union > 1e-9 ? [hits / (union + epsilon)] : [];
      });
      return total(overlaps) / (overlaps.length + epsilon);
    },
  };
}

function classesIn(values: Values, areIndices: boolean): ArrayLike<number> {
  return areIndices ? values.data : highest(values);
}

function overThreshold({ data }: Values, threshold: number | undefined): Uint8Array | undefined {
  return threshold === undefined ? undefined : Uint8Array.from(data, (score) => (score >= threshold ? 1 : 0));
}

/** Keras's `R2Score`, by output or averaged over them. */
export function determinationState(settings: Settings): MetricState {
  const aggregation = settings["class_aggregation"] as string | null;
  const regressors = settings["num_regressors"] as number;
  let sums: { squares: number[]; values: number[]; errors: number[]; counts: number[] } | undefined;
  let samples = 0;
  return {
    add: (batch) => {
      const units = batch.outputs.shape.length > 1 ? (batch.outputs.shape.at(-1) ?? 1) : 1;
      const zeros = (): number[] => new Array<number>(units).fill(0);
      sums ??= { squares: zeros(), values: zeros(), errors: zeros(), counts: zeros() };
      const weights = countingWeights(batch);
      const weightAt = weights ? weightPerValue(weights, batch.outputs.shape) : () => 1;
      for (let index = 0; index < batch.outputs.data.length; index++) {
        const unit = index % units;
        const [target, output] = [
          batch.targets.data[index] ?? Number.NaN,
          batch.outputs.data[index] ?? Number.NaN,
        ];
        const weight = weightAt(index);
        increase(sums.values, unit, target * weight);
        increase(sums.squares, unit, target * target * weight);
        increase(sums.errors, unit, (target - output) ** 2 * weight);
        increase(sums.counts, unit, weight);
      }
      samples += batch.outputs.data.length;
    },
    result: () => (sums ? adjusted(coefficient(sums, aggregation), samples, regressors) : Number.NaN),
  };
}

function coefficient(
  { squares, values, errors, counts }: Readonly<Record<"squares" | "values" | "errors" | "counts", number[]>>,
  aggregation: string | null,
): number[] {
  const spreads = squares.map((square, unit) => square - (values[unit] ?? 0) ** 2 / (counts[unit] ?? 0));
  const scores = spreads.map((spread, unit) => {
    const score = 1 - (errors[unit] ?? 0) / spread;
    return Number.isFinite(score) || Number.isNaN(score) ? score : 0;
  });
  if (aggregation === null) return scores;
  if (aggregation === "uniform_average") return [total(scores) / scores.length];
  return [total(scores.map((score, unit) => score * (spreads[unit] ?? 0))) / total(spreads)];
}

function adjusted(scores: readonly number[], samples: number, regressors: number): MetricValue {
  const applies = regressors !== 0 && regressors < samples - 1;
  const found = applies
    ? scores.map((score) => 1 - ((1 - score) * (samples - 1)) / (samples - regressors - 1))
    : scores;
  return found.length === 1 ? (found[0] ?? 0) : found;
}

/** A mean or a sum of the targets, weighted by the outputs, which is what Keras makes of these as compiled metrics. */
export function sumState(kind: "sum" | "mean"): MetricState {
  let [sum, count] = [0, 0];
  return {
    add: ({ targets, outputs }: MetricBatch) => {
      for (let index = 0; index < targets.data.length; index++) {
        sum += (targets.data[index] ?? 0) * (outputs.data[index] ?? 0);
        count += outputs.data[index] ?? 0;
      }
    },
    result: () => (kind === "sum" ? sum : divideNoNan(sum, count)),
  };
}

function increase(values: number[], index: number, amount: number): void {
  values[index] = (values[index] ?? 0) + amount;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
