import type { OutputReport, Point, Scatter, ValueNote } from "./run-report.ts";

/** Predictions of an output of values, row-major `[samples, units]`, beside the true ones. */
export interface ValuedSamples {
  readonly predicted: ArrayLike<number>;
  readonly truth: ArrayLike<number>;
  readonly units: number;
  /** Name of each value where they have some. */
  readonly labels: readonly string[];
  /** Names of the samples: paths below the data folder, or numbers. */
  readonly names: readonly string[];
}

/** At most so many values of an output are drawn, and so many points of each. */
const [mostScatters, mostPoints] = [4, 1000];
/** At most so many errors are listed. */
const mostMisses = 12;

/** Returns what a page shows of an output of values. */
export function valuesReport(samples: ValuedSamples): Pick<OutputReport, "scatters" | "misses"> {
  const { predicted, truth, units, labels, names } = samples;
  const labelOf = (unit: number): string => (units === 1 ? "" : (labels[unit] ?? `value ${unit + 1}`));
  const step = Math.max(1, Math.ceil(names.length / mostPoints));
  const scatters = Array.from({ length: Math.min(units, mostScatters) }, (_, unit): Scatter => {
    const points: Point[] = [];
    for (let row = 0; row < names.length; row += step) {
      const at = row * units + unit;
      points.push([truth[at] ?? 0, predicted[at] ?? 0]);
    }
    return { label: labelOf(unit), points };
  });
  const scales = Array.from({ length: units }, (_, unit) => spreadOf(truth, unit, units));
  const misses = Array.from({ length: names.length * units }, (_, at) => at)
    .map((at) => ({
      at,
      error: Math.abs((predicted[at] ?? 0) - (truth[at] ?? 0)) / (scales[at % units] ?? 1),
    }))
    .sort((a, b) => b.error - a.error)
    .slice(0, mostMisses)
    .map(({ at }): ValueNote => {
      const row = Math.floor(at / units);
      return {
        name: names[row] ?? String(row),
        value: labelOf(at % units),
        given: truth[at] ?? 0,
        predicted: predicted[at] ?? 0,
      };
    });
  return { scatters, misses };
}

/** Returns the standard deviation of one value, by which errors of different values are compared; 1 where all are equal. */
function spreadOf(values: ArrayLike<number>, unit: number, units: number): number {
  let [count, sum, squares] = [0, 0, 0];
  for (let at = unit; at < values.length; at += units) {
    const value = values[at] ?? 0;
    count++;
    sum += value;
    squares += value * value;
  }
  const variance = count === 0 ? 0 : squares / count - (sum / count) ** 2;
  return variance > 0 ? Math.sqrt(variance) : 1;
}
