/** Predictions of a model's outputs for each sample, by its task. */
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { labelsOf } from "../task/confusion.ts";
import { listed } from "../task/head-choice.ts";
import { highest } from "../task/metrics/accuracies.ts";
import { probabilitiesOf } from "../task/probabilities.ts";
import type { Task, TaskOutput } from "../task/task.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { elementCount, toFloat32 } from "../tensor.ts";

export interface ClassProbability {
  /** The class's name, or its index where nothing names it. */
  readonly label: string;
  readonly index: number;
  readonly probability: number;
}

/** Prediction of one output for a sample. */
export type OutputPrediction =
  /** The likeliest classes first; of several labels those over the threshold. */
  | { readonly predictions: readonly ClassProbability[] }
  /** A number, or one for each of the output's values, row-major. */
  | { readonly value: number | readonly number[] }
  /** The class index of each position. */
  | { readonly mask: Tensor }
  /** For each of several labels, 1 at the positions that it is over the threshold at. */
  | { readonly masks: Readonly<Record<string, Tensor>> };

export interface SayOptions {
  /** Number of classes. Defaults to 5. */
  readonly top?: number | undefined;
  /** Probability above which a label holds, and a position of a mask of one unit is foreground; 0.5. */
  readonly threshold?: number | undefined;
}

/** Prediction for a file's sample: one output's, or values and predictions by output name. */
export type SamplePrediction =
  | { readonly predictions: readonly ClassProbability[] }
  | { readonly values: Readonly<Record<string, number | readonly number[]>> }
  | { readonly masks: Readonly<Record<string, Tensor>> }
  | { readonly outputs: Readonly<Record<string, OutputPrediction>> };

/** Returns the outputs to be told: the one of that name, or all. @throws {UsageError} for a name that no output has. */
export function chosenOutputs({ outputs }: Task, name: string | undefined): readonly number[] {
  if (name === undefined) return outputs.map((_, index) => index);
  const index = outputs.findIndex((output) => output.name === name);
  if (index >= 0) return [index];
  throw new UsageError(
    `${optionName("output")}: expected one of ${listed(
      outputs.map((output) => output.name),
      20,
    )}, got ${name}.`,
    "output-unknown",
    "output",
  );
}

/** Returns what the chosen outputs say of each sample of a batch. */
export function samplePredictions(
  task: Task,
  given: readonly InputTensor[],
  chosen: readonly number[],
  options: SayOptions,
): SamplePrediction[] {
  const said = chosen.flatMap((index) => {
    const output = task.outputs[index];
    const tensor = given[index];
    if (!output || !tensor || tensor.dtype === "string") return [];
    return [{ name: output.name, rows: rowsSaid(output, tensor, options) }];
  });
  const samples = said[0]?.rows.length ?? 0;
  return Array.from({ length: samples }, (_, row) =>
    merged(said.flatMap(({ name, rows }) => (rows[row] ? [[name, rows[row]] as const] : []))),
  );
}

function merged(said: readonly (readonly [string, OutputPrediction])[]): SamplePrediction {
  const [only] = said;
  if (only && said.length === 1) {
    const [name, prediction] = only;
    if ("predictions" in prediction) return prediction;
    if ("value" in prediction) return { values: { [name]: prediction.value } };
    if ("mask" in prediction) return { masks: { [name]: prediction.mask } };
    const masks = Object.entries(prediction.masks);
    return { masks: Object.fromEntries(masks.map(([label, mask]) => [`${name}/${label}`, mask])) };
  }
  const values = said.flatMap(([name, prediction]) =>
    "value" in prediction ? [[name, prediction.value] as const] : [],
  );
  return values.length === said.length
    ? { values: Object.fromEntries(values) }
    : { outputs: Object.fromEntries(said) };
}

function rowsSaid(output: TaskOutput, tensor: Tensor, options: SayOptions): OutputPrediction[] {
  const { shape } = tensor;
  const samples = shape[0] ?? 0;
  const size = elementCount(shape.slice(1));
  const values = toFloat32(tensor);
  const rows = Array.from({ length: samples }, (_, row) => values.subarray(row * size, (row + 1) * size));
  if (output.kind === "values") {
    return rows.map((row) => ({ value: row.length === 1 ? (row[0] ?? Number.NaN) : Array.from(row) }));
  }
  const units = shape.at(-1) ?? 1;
  const labels = labelsOf(output, units);
  if (output.perPosition && shape.length > 2) {
    return output.kind === "labels" && units > 1
      ? rows.map((row) => ({ masks: labelMasks(output, row, labels, shape.slice(1, -1), options) }))
      : rows.map((row) => ({ mask: maskOf(output, row, shape.slice(1), options) }));
  }
  return rows.map((row) => ({
    predictions: ranked(probabilitiesOf(output, row), labels, output.kind === "labels", options),
  }));
}

/** Returns the score above which a probability is over the threshold. */
function scoreThreshold({ activation }: TaskOutput, { threshold: probability = 0.5 }: SayOptions): number {
  return activation === "linear" ? Math.log(probability / (1 - probability)) : probability;
}

function labelMasks(
  output: TaskOutput,
  row: Float32Array,
  labels: readonly string[],
  shape: readonly number[],
  options: SayOptions,
): Readonly<Record<string, Tensor>> {
  const threshold = scoreThreshold(output, options);
  const masks = labels.map((label, unit): [string, Tensor] => {
    const data = new Int32Array(row.length / labels.length);
    for (let at = 0; at < data.length; at++)
      data[at] = (row[at * labels.length + unit] ?? 0) > threshold ? 1 : 0;
    return [label, { dtype: "int32", shape, data }];
  });
  return Object.fromEntries(masks);
}

function maskOf(
  output: TaskOutput,
  row: Float32Array,
  shape: readonly number[],
  options: SayOptions,
): Tensor {
  const units = shape.at(-1) ?? 1;
  const threshold = scoreThreshold(output, options);
  const classes =
    units === 1
      ? Int32Array.from(row, (score) => (score > threshold ? 1 : 0))
      : highest({ shape, data: row });
  return { dtype: "int32", shape: shape.slice(0, -1), data: classes };
}

function ranked(
  probabilities: readonly number[],
  labels: readonly string[],
  isMultiLabel: boolean,
  { top = 5, threshold = 0.5 }: SayOptions,
): ClassProbability[] {
  const all = probabilities
    .map((probability, index) => ({ label: labels[index] ?? String(index), index, probability }))
    .sort((a, b) => b.probability - a.probability || a.index - b.index);
  return isMultiLabel ? all.filter(({ probability }) => probability > threshold) : all.slice(0, top);
}
