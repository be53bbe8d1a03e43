/** Means over samples, weighted as Keras does (`keras/src/metrics/reduction_metrics.py`). */
import type { MetricBatch, MetricState, Values } from "./metric.ts";
import { divideNoNan, rowSize } from "./metric.ts";

/** Returns the state of a mean of what `valuesOf` makes of each batch. */
export function meanOf(
  valuesOf: (batch: MetricBatch) => Values,
  finish: (mean: number) => number = (mean) => mean,
): MetricState {
  let total = 0;
  let count = 0;
  return {
    add: (batch) => {
      const sums = samplewise(valuesOf(batch), countingWeights(batch));
      total += sums.total;
      count += sums.count;
    },
    result: () => finish(divideNoNan(total, count)),
  };
}

/** Returns the sums over samples of `values` and of their weights: each sample is the mean of its positions. */
export function samplewise(values: Values, weights?: Values): { total: number; count: number } {
  const samples = values.shape[0] ?? 1;
  const { data } = values;
  if (!weights) {
    let total = 0;
    for (let index = 0; index < data.length; index++) total += data[index] ?? 0;
    return { total: (total * samples) / Math.max(1, data.length), count: samples };
  }
  const spread = weightPerValue(weights, values.shape);
  let total = 0;
  let count = 0;
  for (let index = 0; index < data.length; index++) {
    const weight = spread(index);
    // What counts for nothing may be no number.
    if (weight === 0) continue;
    total += (data[index] ?? 0) * weight;
    count += weight;
  }
  const positions = Math.max(1, data.length / samples);
  return { total: total / positions, count: count / positions };
}

/** Returns the product of a batch's sample weights and its mask. */
export function countingWeights({ weights, mask }: MetricBatch): Values | undefined {
  if (!weights || !mask) return weights ?? mask;
  const [finer, coarser] = mask.data.length >= weights.data.length ? [mask, weights] : [weights, mask];
  const spread = weightPerValue(coarser, finer.shape);
  return { shape: finer.shape, data: Array.from(finer.data, (value, index) => value * spread(index)) };
}

/**
 * Returns the weight of each value of `shape`, row-major: weights of samples count for all positions, those of positions for all
 * units.
 */
export function weightPerValue(
  { shape: own, data }: Values,
  shape: readonly number[],
): (index: number) => number {
  const samples = shape[0] ?? 1;
  const trimmed = [...own];
  while (trimmed.length > 1 && trimmed.at(-1) === 1) trimmed.pop();
  const perSample = rowSize(trimmed);
  const values = rowSize(shape);
  const repeats = Math.max(1, values / perSample);
  if (own[0] !== samples || !Number.isInteger(repeats)) {
    throw new RangeError(`weights [${own.join(",")}] do not fit values [${shape.join(",")}]`);
  }
  return (index) => data[Math.floor(index / repeats)] ?? 0;
}
