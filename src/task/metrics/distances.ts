/** Metrics that are means of a loss or a distance (`keras/src/metrics/{regression,hinge,probabilistic}_metrics.py`). */
import type { Json } from "../../checkpoint.ts";
import type { MetricBatch, Values } from "./metric.ts";

type Settings = Readonly<Record<string, Json>>;
type ValuesOf = (batch: MetricBatch) => Values;

const epsilon = 1e-7;

/** Returns a mean over the last axis of what `distance` makes of each pair of target and output. */
function pairwise(distance: (target: number, output: number) => number): (settings: Settings) => ValuesOf {
  return () => (batch) =>
    overUnits(batch, (targets, outputs) =>
      mean(outputs, (output, unit) => distance(targets[unit] ?? Number.NaN, output)),
    );
}

export const distanceValues: Readonly<Record<string, (settings: Settings) => ValuesOf>> = {
  mean_squared_error: pairwise((target, output) => (target - output) ** 2),
  mean_absolute_error: pairwise((target, output) => Math.abs(target - output)),
  mean_absolute_percentage_error: pairwise(
    (target, output) => (100 * Math.abs(target - output)) / Math.max(Math.abs(target), epsilon),
  ),
  mean_squared_logarithmic_error: pairwise(
    (target, output) =>
      (Math.log(Math.max(output, epsilon) + 1) - Math.log(Math.max(target, epsilon) + 1)) ** 2,
  ),
  log_cosh: pairwise((target, output) => {
    const error = output - target;
    return error + softplus(-2 * error) - Math.LN2;
  }),
  poisson: pairwise((target, output) => output - target * Math.log(output + epsilon)),
  huber: (settings) =>
    pairwise((target, output) => huber(output - target, settings["delta"] as number))(settings),
  kl_divergence: () => (batch) =>
    overUnits(batch, (targets, outputs) =>
      sum(outputs, (output, unit) => {
        const truth = clip(targets[unit] ?? Number.NaN, epsilon, 1);
        return truth * Math.log(truth / clip(output, epsilon, 1));
      }),
    ),
  cosine_similarity: (settings) => (batch) =>
    overAxis(batch, settings, (targets, outputs) => {
      const [a, b] = [length(targets), length(outputs)];
      return sum(outputs, (output, unit) => ((targets[unit] ?? Number.NaN) * output) / (a * b));
    }),
  pearson_correlation: (settings) => (batch) => overAxis(batch, settings, pearson),
  concordance_correlation: (settings) => (batch) => overAxis(batch, settings, concordance),
  hinge: () => (batch) => hinges(batch, (short) => short),
  squared_hinge: () => (batch) => hinges(batch, (short) => short ** 2),
  categorical_hinge: () => (batch) =>
    overUnits(batch, (targets, outputs) => {
      const right = sum(outputs, (output, unit) => (targets[unit] ?? Number.NaN) * output);
      const wrong = Math.max(...outputs.map((output, unit) => (1 - (targets[unit] ?? Number.NaN)) * output));
      return Math.max(wrong - right + 1, 0);
    }),
  binary_crossentropy: (settings) => (batch) => {
    const { values, areLogits } = scoresOf(batch, settings);
    const smoothing = settings["label_smoothing"] as number;
    return overUnits({ ...batch, outputs: values }, (targets, outputs) =>
      mean(outputs, (output, unit) => {
        const target = (targets[unit] ?? Number.NaN) * (1 - smoothing) + 0.5 * smoothing;
        if (areLogits) return softplus(output) - target * output;
        const share = clip(output, epsilon, 1 - epsilon);
        return -(target * Math.log(share) + (1 - target) * Math.log(1 - share));
      }),
    );
  },
  categorical_crossentropy: (settings) => (batch) => {
    const { values, areLogits } = scoresOf(batch, settings);
    const smoothing = settings["label_smoothing"] as number;
    return overAxis({ ...batch, outputs: values }, settings, (targets, outputs) => {
      const logarithms = areLogits ? logSoftmax(outputs) : logShares(outputs);
      return -sum(logarithms, (logarithm, unit) => {
        const target = (targets[unit] ?? Number.NaN) * (1 - smoothing) + smoothing / outputs.length;
        return target === 0 ? 0 : target * logarithm;
      });
    });
  },
  sparse_categorical_crossentropy: (settings) => (batch) => sparseCrossentropy(batch, settings),
};

function sparseCrossentropy(batch: MetricBatch, settings: Settings): Values {
  const { values, areLogits } = scoresOf(batch, settings);
  const ignored = settings["ignore_class"];
  const units = values.shape.at(-1) ?? 1;
  const rows = values.data.length / units;
  const data = Array.from({ length: rows }, (_, row) => {
    const label = batch.targets.data[row] ?? Number.NaN;
    if (ignored !== null && label === ignored) return 0;
    const scores = rowOf(values, row, units);
    const logarithms = areLogits
      ? logSoftmax(scores)
      : logSoftmax(scores.map((share) => Math.log(clip(share, epsilon, 1 - epsilon))));
    return -(logarithms[Math.trunc(label)] ?? Number.NaN);
  });
  return { shape: values.shape.slice(0, -1), data };
}

/** Keras reads the logits that it keeps with an output, whatever the metric says of them. */
function scoresOf(
  { outputs, logits }: MetricBatch,
  settings: Settings,
): { values: Values; areLogits: boolean } {
  if (logits) return { values: logits, areLogits: true };
  return { values: outputs, areLogits: settings["from_logits"] === true };
}

function hinges(batch: MetricBatch, finish: (short: number) => number): Values {
  const { data } = batch.targets;
  const isBinary = Array.from(data).every((value) => value === 0 || value === 1);
  return overUnits(batch, (targets, outputs) =>
    mean(outputs, (output, unit) => {
      const target = targets[unit] ?? Number.NaN;
      return finish(Math.max(1 - (isBinary ? 2 * target - 1 : target) * output, 0));
    }),
  );
}

function huber(error: number, delta: number): number {
  const size = Math.abs(error);
  return size <= delta ? 0.5 * error ** 2 : delta * size - 0.5 * delta ** 2;
}

function pearson(targets: readonly number[], outputs: readonly number[]): number {
  const [a, b] = [standardized(targets), standardized(outputs)];
  return mean(b, (value, unit) => value * (a[unit] ?? Number.NaN));
}

function standardized(values: readonly number[]): number[] {
  const middle = mean(values, (value) => value);
  const deviation = Math.sqrt(mean(values, (value) => (value - middle) ** 2));
  return values.map((value) => (value - middle) / deviation);
}

/** As Keras computes it: the covariance takes the output's mean from both (`keras/src/metrics/correlation_metrics.py`). */
function concordance(targets: readonly number[], outputs: readonly number[]): number {
  const [a, b] = [mean(targets, (value) => value), mean(outputs, (value) => value)];
  const [varianceA, varianceB] = [
    mean(targets, (value) => (value - a) ** 2),
    mean(outputs, (value) => (value - b) ** 2),
  ];
  const norm = varianceA + varianceB + (a - b) ** 2 + epsilon;
  return mean(outputs, (output, unit) => (2 * ((targets[unit] ?? Number.NaN) - b) * (output - b)) / norm);
}

/** Applies `reduce`, which keeps neither of its arguments, to the last axis of targets and outputs. */
function overUnits(
  { targets, outputs }: Pick<MetricBatch, "targets" | "outputs">,
  reduce: (targets: readonly number[], outputs: readonly number[]) => number,
): Values {
  const rank = outputs.shape.length;
  const units = rank > 1 ? (outputs.shape.at(-1) ?? 1) : 1;
  const rows = outputs.data.length / units;
  const [target, output] = [new Array<number>(units).fill(0), new Array<number>(units).fill(0)];
  const data = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    for (let unit = 0; unit < units; unit++) {
      target[unit] = targets.data[row * units + unit] ?? Number.NaN;
      output[unit] = outputs.data[row * units + unit] ?? Number.NaN;
    }
    data[row] = reduce(target, output);
  }
  return { shape: rank > 1 ? outputs.shape.slice(0, -1) : outputs.shape, data };
}

function overAxis(
  batch: Pick<MetricBatch, "targets" | "outputs">,
  settings: Settings,
  reduce: (targets: readonly number[], outputs: readonly number[]) => number,
): Values {
  const { shape } = batch.outputs;
  const axis = ((settings["axis"] as number) + shape.length) % shape.length;
  if (axis === shape.length - 1) return overUnits(batch, reduce);
  return overUnits(
    { targets: lastAxis(batch.targets, axis), outputs: lastAxis(batch.outputs, axis) },
    reduce,
  );
}

/** Returns the values with `axis` moved to the end. */
function lastAxis({ shape, data }: Values, axis: number): Values {
  const size = shape[axis] ?? 1;
  const inner = shape.slice(axis + 1).reduce((product, length) => product * length, 1);
  const moved = Array.from({ length: data.length }, (_, index) => {
    const within = index % size;
    const rest = Math.floor(index / size);
    return data[(Math.floor(rest / inner) * size + within) * inner + (rest % inner)] ?? Number.NaN;
  });
  return { shape: [...shape.slice(0, axis), ...shape.slice(axis + 1), size], data: moved };
}

function rowOf({ data }: Values, row: number, units: number): number[] {
  return Array.from({ length: units }, (_, unit) => data[row * units + unit] ?? Number.NaN);
}

function logShares(outputs: readonly number[]): number[] {
  const total = sum(outputs, (output) => output);
  return outputs.map((output) => Math.log(clip(output / total, epsilon, 1 - epsilon)));
}

function logSoftmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const total = Math.log(sum(scores, (score) => Math.exp(score - highest)));
  return scores.map((score) => score - highest - total);
}

function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** As `keras.ops.normalize` divides: by no less than its epsilon. */
function length(values: readonly number[]): number {
  return Math.max(Math.sqrt(sum(values, (value) => value ** 2)), epsilon);
}

function clip(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

function sum(values: readonly number[], of: (value: number, index: number) => number): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += of(values[index] ?? Number.NaN, index);
  return total;
}

function mean(values: readonly number[], of: (value: number, index: number) => number): number {
  return sum(values, of) / values.length;
}
