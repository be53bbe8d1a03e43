/** Targets as the losses take them, checked before anything is computed. */
import type { ModelTargets, SampleWeights } from "../data/dataset.ts";
import { isOneTensor } from "../data/dataset.ts";
import { DataError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, formatShape, toFloat32 } from "../tensor.ts";
import type { Loss } from "./losses/loss.ts";
import type { Objective, OutputObjective } from "./objective.ts";
import type { OutputTargets } from "./output-targets.ts";

/** Facts about an output that its targets are checked against. */
type TargetTaker = Pick<OutputObjective, "name" | "shape"> & { readonly loss: Loss };

/**
 * Returns the targets and sample weights of each output as its loss takes them, float32; null for an output without a loss.
 *
 * @param samples how many the inputs have.
 * @throws {DataError} naming the output, and the sample where one is at fault.
 */
export function checkedTargets(
  { outputs }: Objective,
  targets: ModelTargets,
  samples: number,
  sampleWeights?: SampleWeights,
): (OutputTargets | null)[] {
  const trained = outputs.filter(
    (output): output is OutputObjective & { loss: Loss } => output.loss !== null,
  );
  const names = trained.map(({ name }) => name);
  const all = outputs.map(({ name }) => name);
  const found = byOutput(targets, names, all, "targets");
  const weights =
    sampleWeights === undefined ? new Map<string, Tensor>() : weightsByOutput(sampleWeights, names, all);
  return outputs.map((output) => {
    const { name, loss } = output;
    const given = found.get(name);
    if (!loss || !given) return null;
    const label = outputs.length > 1 ? `targets of ${name}` : "targets";
    const own = targetsFor(given, { ...output, loss }, label);
    requireRows(label, own.shape[0] ?? 0, samples);
    const weight = weights.get(name);
    return {
      targets: own,
      ...(weight && { weights: checkedWeights(weight, own, outputs.length > 1 ? name : "") }),
    };
  });
}

function requireRows(label: string, rows: number, samples: number): void {
  if (rows === samples) return;
  throw new DataError(`${label}: expected one for each of ${samples} samples, got ${rows}.`, "targets");
}

/** Returns what is given for each trained output by its name. Outputs without a loss may be left out of a list. */
function byOutput(
  given: ModelTargets | SampleWeights,
  names: readonly string[],
  all: readonly string[],
  what: string,
): Map<string, Tensor> {
  const wanted = `${names.length} (${names.join(", ")})`;
  if (isOneTensor(given)) {
    const [only] = names;
    if (only !== undefined && names.length === 1) return new Map([[only, given]]);
    throw new DataError(`${what}: expected ${wanted}, got one array.`, what.replace(" ", "-"));
  }
  if (Array.isArray(given)) {
    const list = given as readonly Tensor[];
    const order = list.length === all.length ? all : names;
    if (list.length !== order.length) {
      throw new DataError(`${what}: expected ${wanted}, got ${list.length}.`, what.replace(" ", "-"));
    }
    return new Map(order.flatMap((name, index) => (list[index] ? [[name, list[index]] as const] : [])));
  }
  const record = given as Readonly<Record<string, Tensor>>;
  const strange = Object.keys(record).find((name) => !all.includes(name));
  const missing = names.find((name) => !Object.hasOwn(record, name));
  const [onlyKey, ...more] = Object.keys(record);
  if (names.length === 1 && onlyKey !== undefined && more.length === 0 && strange !== undefined) {
    return new Map([[names[0] ?? "", record[onlyKey] as Tensor]]);
  }
  if (strange !== undefined || missing !== undefined) {
    const complaint = strange !== undefined ? `has ${strange}` : `lacks ${missing}`;
    throw new DataError(
      `${what}: expected ${wanted}, got a record that ${complaint}.`,
      what.replace(" ", "-"),
    );
  }
  return new Map(Object.entries(record));
}

/** One tensor of weights counts for every output, as in Keras. */
function weightsByOutput(
  given: SampleWeights,
  names: readonly string[],
  all: readonly string[],
): Map<string, Tensor> {
  if (isOneTensor(given)) return new Map(names.map((name) => [name, given]));
  if (!Array.isArray(given)) {
    const record = given as Readonly<Record<string, Tensor>>;
    const strange = Object.keys(record).find((name) => !all.includes(name));
    // An output that a record leaves out has no weights of its own.
    if (strange === undefined) return new Map(Object.entries(record));
  }
  return byOutput(given, names, all, "sample weights");
}

/**
 * Returns targets as a loss takes them: class indices `[N, …]` (or `[N, …, 1]`), else values of the output's shape; a last
 * dimension of 1 may be left out, as in Keras.
 * @throws {DataError} for targets that the loss does not take, naming the sample where one is at fault.
 */
export function targetsFor(given: Tensor, taker: TargetTaker, label = "targets"): Tensor {
  requireWhole(given, label);
  const { loss, shape: output } = taker;
  const values = toFloat32(given);
  const { shape } = given;
  requireNumbers(values, shape, label);
  switch (loss.targets) {
    case "indices": {
      requireShape(shape, output, loss, label);
      requireIndices(values, shape, output.at(-1) ?? null, loss, label);
      return float32Tensor(values, shape);
    }
    case "identities":
    case "sequences":
      requireWholeNumbers(values, shape, loss, label);
      return float32Tensor(values, shape);
    default: {
      const isShort = output.at(-1) === 1 && shape.length === output.length - 1;
      const whole = isShort ? [...shape, 1] : shape;
      requireShape(whole, output, loss, label);
      if (loss.name.startsWith("binary_")) requireShares(values, whole, loss, label);
      return float32Tensor(values, whole);
    }
  }
}

function requireWhole({ shape, data, dtype }: Tensor, label: string): void {
  if ((dtype as string) === "string") {
    throw new DataError(`${label}: expected numbers, got texts. Give each class's index.`, "targets");
  }
  if (data.length === elementCount(shape)) return;
  throw new DataError(
    `${label}: ${formatShape(shape)} holds ${elementCount(shape)} values: expected as many, got ${data.length}.`,
    "targets",
  );
}

function requireNumbers(values: Float32Array, shape: readonly number[], label: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new DataError(`${label}: ${placeOf(at, shape)}: expected a number, got ${values[at]}.`, "targets");
}

function requireShape(shape: readonly number[], output: Shape, loss: Loss, label: string): void {
  const isIndices = loss.targets === "indices";
  const positions = isIndices ? output.slice(0, -1) : output;
  const own = isIndices && shape.length === output.length && shape.at(-1) === 1 ? shape.slice(0, -1) : shape;
  const fits =
    own.length === positions.length &&
    positions.every((size, axis) => axis === 0 || size === null || size === own[axis]);
  if (fits) return;
  const expected = isIndices ? `class indices ${batchOf(positions)}` : batchOf(output);
  const units = output.at(-1) ?? null;
  const hint =
    isIndices && shape.length === output.length && shape.at(-1) === units
      ? " Use categorical_crossentropy for one-hot targets."
      : loss.name === "categorical_crossentropy" && shape.length === output.length - 1
        ? " Use sparse_categorical_crossentropy for class indices."
        : "";
  throw new DataError(
    `${label}: ${loss.name}: expected ${expected}, got ${formatShape(shape)}.${hint}`,
    "targets",
  );
}

function requireIndices(
  values: Float32Array,
  shape: readonly number[],
  classes: number | null,
  loss: Loss,
  label: string,
): void {
  const ignored = loss.settings["ignore_class"] ?? null;
  const last = classes === null ? Number.POSITIVE_INFINITY : classes - 1;
  const at = values.findIndex(
    (value) => value !== ignored && !(Number.isInteger(value) && value >= 0 && value <= last),
  );
  if (at < 0) return;
  const range = classes === null ? "from 0 on" : `from 0 to ${last}`;
  throw new DataError(
    `${label}: ${placeOf(at, shape)}: expected a class index ${range}, got ${values[at]}.`,
    "targets",
  );
}

function requireWholeNumbers(
  values: Float32Array,
  shape: readonly number[],
  loss: Loss,
  label: string,
): void {
  const at = values.findIndex((value) => !Number.isInteger(value));
  if (at < 0) return;
  throw new DataError(
    `${label}: ${loss.name}: ${placeOf(at, shape)}: expected a whole number, got ${values[at]}.`,
    "targets",
  );
}

function requireShares(values: Float32Array, shape: readonly number[], loss: Loss, label: string): void {
  const at = values.findIndex((value) => value < 0 || value > 1);
  if (at < 0) return;
  throw new DataError(
    `${label}: ${loss.name}: ${placeOf(at, shape)}: expected a value from 0 to 1, got ${values[at]}.`,
    "targets",
  );
}

/** `sample 3`, or `sample 3, position [0,7]` with the sample's own indices. */
function placeOf(index: number, shape: readonly number[]): string {
  const row = elementCount(shape.slice(1));
  const sample = Math.floor(index / row);
  if (row === 1) return `sample ${sample}`;
  const within: number[] = [];
  let rest = index % row;
  for (const size of shape.slice(1).toReversed()) {
    within.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `sample ${sample}, position [${within.join(",")}]`;
}

function checkedWeights(weights: Tensor, targets: Tensor, output: string): Tensor {
  const label = output === "" ? "sample weights" : `sample weights of ${output}`;
  requireWhole(weights, label);
  const values = toFloat32(weights);
  requireNumbers(values, weights.shape, label);
  const shape = [...weights.shape];
  while (shape.length > 1 && shape.at(-1) === 1) shape.pop();
  const fits =
    shape.length <= targets.shape.length && shape.every((size, axis) => size === targets.shape[axis]);
  if (fits) return float32Tensor(values, shape);
  throw new DataError(
    `${label}: expected [${targets.shape[0]}], or one per position of targets ${formatShape(targets.shape)}, got ${formatShape(weights.shape)}.`,
    "sample-weights",
  );
}

function batchOf(shape: Shape): string {
  return `[${["N", ...shape.slice(1).map((size) => size ?? "any")].join(",")}]`;
}

/** Returns labels as a loss takes them: indices `[N]`, one-hot `[N, K]`, or 0 and 1 `[N, 1]` for a single output unit. */
export function targetsOf(labels: readonly number[], units: number, loss: Pick<Loss, "targets">): Tensor {
  if (loss.targets === "indices" || units === 1) {
    const shape = loss.targets === "indices" ? [labels.length] : [labels.length, 1];
    return { dtype: "float32", shape, data: Float32Array.from(labels) };
  }
  const data = new Float32Array(labels.length * units);
  labels.forEach((label, row) => {
    data[row * units + label] = 1;
  });
  return { dtype: "float32", shape: [labels.length, units], data };
}

/** Returns whether targets tell a class of every position of an output `[N, …, K]`, not one of each sample. */
export function areOfPositions({ shape }: Tensor, output: Shape): boolean {
  const positions = output.slice(1, -1);
  return (
    positions.length > 0 &&
    shape.length >= output.length - 1 &&
    positions.every((size, axis) => size === null || size === shape[axis + 1])
  );
}

/** Returns how many classes targets tell apart: their width, or the largest index and those below it; two for one column. */
export function classCount(targets: Tensor): number {
  const width = targets.shape.length > 1 ? (targets.shape.at(-1) ?? 1) : 1;
  if (width > 1) return width;
  return toFloat32(targets).reduce((largest, label) => Math.max(largest, label), 1) + 1;
}
