/** Right and wrong decisions at thresholds (`keras/src/metrics/metrics_utils.py`). */
import type { Json } from "../../checkpoint.ts";
import { countingWeights, weightPerValue } from "./mean.ts";
import type { MetricBatch, Values } from "./metric.ts";

/** Decisions at each threshold: `[thresholds]`, or `[thresholds × labels]` row-major. */
export interface Counts {
  readonly truePositives: Float64Array;
  readonly falsePositives: Float64Array;
  readonly trueNegatives: Float64Array;
  readonly falseNegatives: Float64Array;
}

export interface CountOptions {
  /** In ascending order. */
  readonly thresholds: readonly number[];
  /** Only the `topK` highest scores of a row can be positive. */
  readonly topK?: number | null | undefined;
  /** Only this class counts. */
  readonly classId?: number | null | undefined;
  /** Each label is counted apart. */
  readonly multiLabel?: boolean | undefined;
  /** Weight of each unit; not with `multiLabel`. */
  readonly labelWeights?: readonly number[] | null | undefined;
  /** Thresholds are evenly spread over [0, 1], so that a score's bucket is computed, rounded as float32 rounds it. */
  readonly even?: boolean;
}

/** Keras's stand-in for minus infinity. */
export const lowestScore = -1e10;

export function emptyCounts(thresholds: number, labels = 1): Counts {
  const zeros = (): Float64Array => new Float64Array(thresholds * labels);
  return {
    truePositives: zeros(),
    falsePositives: zeros(),
    trueNegatives: zeros(),
    falseNegatives: zeros(),
  };
}

/** Returns thresholds that a config names: one number, a list, or none. */
export function thresholdsOf(given: Json | undefined, otherwise: number): readonly number[] {
  if (given === null || given === undefined) return [otherwise];
  return Array.isArray(given) ? (given as number[]) : [given as number];
}

/** Returns whether thresholds are evenly spread, as NumPy's `allclose` sees it. */
export function areEven(thresholds: readonly number[]): boolean {
  if (thresholds.length < 3) return false;
  return thresholds.every((threshold, index) => {
    const even = index / (thresholds.length - 1);
    return Math.abs(threshold - even) <= 1e-7 + 1e-5 * Math.abs(even);
  });
}

/** Adds a batch's decisions to `counts`. */
export function addCounts(counts: Counts, batch: MetricBatch, options: CountOptions): void {
  const { thresholds, classId, multiLabel = false, labelWeights } = options;
  const units = batch.outputs.shape.length > 1 ? (batch.outputs.shape.at(-1) ?? 1) : 1;
  const scores = options.topK ? onlyTop(batch.outputs, options.topK) : batch.outputs;
  const weights = countingWeights(batch);
  const weightAt = weights ? weightPerValue(weights, batch.outputs.shape) : () => 1;
  const placeOf = options.even ? evenPlace(thresholds) : countBelow(thresholds);
  const labels = multiLabel ? units : 1;
  const totals = { true: new Float64Array(labels), false: new Float64Array(labels) };
  const size = thresholds.length;
  const passed = {
    true: new Float64Array((size + 1) * labels),
    false: new Float64Array((size + 1) * labels),
  };
  for (let index = 0; index < scores.data.length; index++) {
    const unit = index % units;
    if (classId !== null && classId !== undefined && unit !== classId) continue;
    const weight = weightAt(index) * (multiLabel ? 1 : (labelWeights?.[unit] ?? 1));
    const truth = (batch.targets.data[index] ?? 0) !== 0 ? "true" : "false";
    const label = multiLabel ? unit : 0;
    totals[truth][label] = (totals[truth][label] ?? 0) + weight;
    const place = placeOf(scores.data[index] ?? Number.NaN) * labels + label;
    passed[truth][place] = (passed[truth][place] ?? 0) + weight;
  }
  for (let label = 0; label < labels; label++) {
    let [positives, negatives] = [0, 0];
    for (let threshold = size - 1; threshold >= 0; threshold--) {
      positives += passed.true[(threshold + 1) * labels + label] ?? 0;
      negatives += passed.false[(threshold + 1) * labels + label] ?? 0;
      const at = threshold * labels + label;
      add(counts.truePositives, at, positives);
      add(counts.falsePositives, at, negatives);
      add(counts.falseNegatives, at, (totals.true[label] ?? 0) - positives);
      add(counts.trueNegatives, at, (totals.false[label] ?? 0) - negatives);
    }
  }
}

function add(values: Float64Array, index: number, amount: number): void {
  values[index] = (values[index] ?? 0) + amount;
}

/** Returns the number of ascending thresholds that a score is above. */
function countBelow(thresholds: readonly number[]): (score: number) => number {
  const rounded = thresholds.map(Math.fround);
  return (score) => {
    let [low, high] = [0, rounded.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (score > (rounded[middle] ?? 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Buckets of evenly spread thresholds, of which the outer two may stand a hair outside [0, 1]. */
function evenPlace(thresholds: readonly number[]): (score: number) => number {
  const steps = thresholds.length - 1;
  const openEnds = (thresholds[0] ?? 0) < 0 || (thresholds.at(-1) ?? 1) > 1;
  return (score) => {
    const bucket = Math.ceil(Math.fround(Math.min(Math.max(score, 0), 1) * steps)) - 1;
    return (openEnds ? Math.max(bucket, 0) : bucket) + 1;
  };
}

/** Scores that are not among a row's `k` highest become the lowest; of equals the first count. */
function onlyTop({ shape, data }: Values, k: number): Values {
  const units = shape.at(-1) ?? 1;
  const kept = new Float64Array(data.length).fill(lowestScore);
  for (let row = 0; row < data.length / units; row++) {
    const order = Array.from({ length: units }, (_, unit) => unit).sort(
      (a, b) => (data[row * units + b] ?? 0) - (data[row * units + a] ?? 0) || a - b,
    );
    for (const unit of order.slice(0, k)) kept[row * units + unit] = data[row * units + unit] ?? 0;
  }
  return { shape, data: kept };
}
