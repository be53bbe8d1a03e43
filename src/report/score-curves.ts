import type { Calibration, CalibrationBin, Point, ScoreCurves } from "./run-report.ts";

/** A curve has at most so many points: more are not seen on a screen. */
const mostPoints = 200;

/**
 * Returns the ROC and precision-recall curves of one class or label, as scikit-learn's `roc_curve`, `precision_recall_curve`,
 * `roc_auc_score` and `average_precision_score` define them.
 * @param scores Score of the class for each sample, higher for more likely.
 * @param isPositive 1 for a sample of the class, else 0.
 */
export function scoreCurves(label: string, scores: Float64Array, isPositive: Uint8Array): ScoreCurves {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  const positives = isPositive.reduce((sum, value) => sum + value, 0);
  const negatives = isPositive.length - positives;
  const roc: Point[] = [[0, 0]];
  const precisionRecall: Point[] = [];
  let [hits, misses, area, average, lastRecall] = [0, 0, 0, 0, 0];
  for (const [rank, index] of order.entries()) {
    if (isPositive[index] === 1) hits++;
    else misses++;
    const next = order[rank + 1];
    if (next !== undefined && scores[next] === scores[index]) continue;
    const [lastX, lastY] = roc.at(-1) ?? [0, 0];
    const [x, y] = [share(misses, negatives), share(hits, positives)];
    area += (x - lastX) * ((y + lastY) / 2);
    roc.push([x, y]);
    const precision = hits / (hits + misses);
    average += (y - lastRecall) * precision;
    lastRecall = y;
    precisionRecall.push([y, precision]);
  }
  return {
    label,
    support: positives,
    roc: thinned(roc),
    auc: positives > 0 && negatives > 0 ? area : null,
    precisionRecall: positives > 0 ? thinned(precisionRecall) : [],
    averagePrecision: positives > 0 ? average : null,
  };
}

/**
 * Returns how well confidence says how often predictions are right, in bins of equal width: Guo et al. 2017, "On Calibration of
 * Modern Neural Networks".
 * @param confidence Score of each sample's predicted class, 0 to 1.
 * @param isRight 1 where the prediction is right, else 0.
 */
export function calibrationOf(confidence: Float64Array, isRight: Uint8Array, binCount = 10): Calibration {
  const bins = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const [index, value] of confidence.entries()) {
    const bin = bins[Math.min(binCount - 1, Math.max(0, Math.ceil(value * binCount) - 1))];
    if (!bin) continue;
    bin.count++;
    bin.confidence += value;
    bin.right += isRight[index] ?? 0;
  }
  const filled = bins.map(
    ({ count, confidence: sum, right }, index): CalibrationBin => ({
      from: index / binCount,
      to: (index + 1) / binCount,
      count,
      confidence: share(sum, count),
      accuracy: share(right, count),
    }),
  );
  const expectedError = filled.reduce(
    (sum, bin) => sum + (bin.count / confidence.length) * Math.abs(bin.confidence - bin.accuracy),
    0,
  );
  return { bins: filled, expectedError };
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** Leaves out points in equal steps, keeping the first and the last. */
function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= mostPoints) return points;
  const step = (points.length - 1) / (mostPoints - 1);
  return Array.from({ length: mostPoints }, (_, index) => points[Math.round(index * step)] ?? [0, 0]);
}
