import { createHash } from "node:crypto";
import { DataError, UsageError } from "../errors.ts";
import { elementCount, formatShape, type InputTensor, sameShape, type Tensor, toFloat32 } from "../tensor.ts";
import { rowHash, takeRows } from "./array-rows.ts";
import type { ArrayDataset, Batch, ModelInputs, ModelTargets, SampleWeights } from "./dataset.ts";
import { isOneTensor } from "./dataset.ts";
import { heldOut, type SplitItem } from "./splits.ts";

export interface ArrayDatasetOptions {
  /** Weight of each sample `[N]`, or of each position; one for all outputs, or a list or record of them as the targets are. */
  readonly sampleWeights?: SampleWeights | undefined;
  /** Held-out samples, never trained on. */
  readonly validation?: Batch | undefined;
  /** Share of the samples to hold out, by their content, where no validation samples are given; 0 by default. */
  readonly validationFraction?: number | undefined;
  /** Samples that are evaluated at the end and reported apart. */
  readonly test?: Batch | undefined;
  /** Class names in output order. */
  readonly classNames?: readonly string[] | undefined;
}

/**
 * Makes a dataset of arrays, which it does not copy unless it holds part of them out.
 *
 * @param targets One tensor, a list in output order, or a record by output name.
 * @throws {DataError} if there are no samples, if a tensor holds fewer or more values than its shape says, if arrays do not have equally
 * many samples, or if validation and test samples do not have the shapes of the others.
 *
 * @example
 * const data = arrayDataset({ image, age }, { species, weight }, { validationFraction: 0.2 });
 */
export function arrayDataset(
  inputs: ModelInputs,
  targets: ModelTargets,
  options: ArrayDatasetOptions = {},
): ArrayDataset {
  const { validation, validationFraction = 0, test, classNames, sampleWeights } = options;
  const train: Batch = { inputs, targets, ...(sampleWeights && { sampleWeights }) };
  checkBatch(train, "");
  for (const [what, part] of [
    ["validation ", validation],
    ["test ", test],
  ] as const) {
    if (!part) continue;
    checkBatch(part, what);
    checkAlike(part, train, what);
  }
  if (!(validationFraction >= 0 && validationFraction < 1)) {
    throw new UsageError(
      `validationFraction: expected a number from 0 to below 1, got ${validationFraction}.`,
      "validation-fraction",
      "validationFraction",
    );
  }
  const facts = { kind: "arrays" as const, ...(test && { test }), ...(classNames && { classNames }) };
  if (validation) return { ...facts, ...train, validation };
  return validationFraction === 0
    ? { ...facts, ...train }
    : { ...facts, ...holdOutRows(train, validationFraction) };
}

/**
 * Returns the tensors in the order of a model's inputs.
 *
 * @param names Names of the model's inputs, in order.
 * @throws {DataError} if their number or names are not the model's.
 */
export function inputsInOrder(inputs: ModelInputs, names: readonly string[]): readonly InputTensor[] {
  const given = named(inputs, "inputs");
  const wanted = `${names.length} (${names.join(", ")})`;
  if (isOneTensor(inputs) || Array.isArray(inputs)) {
    if (given.length === names.length) return given.map(({ tensor }) => tensor);
    throw new DataError(`inputs: expected ${wanted}, got ${given.length}.`, "inputs");
  }
  const unknown = given.map(({ name }) => name).filter((name) => !names.includes(name));
  const missing = names.filter((name) => !Object.hasOwn(inputs, name));
  if (unknown.length + missing.length > 0) {
    const complaints = [
      missing.length > 0 ? `lacks ${missing.join(", ")}` : "",
      unknown.length > 0 ? `has ${unknown.join(", ")}` : "",
    ].filter(Boolean);
    throw new DataError(
      `inputs: expected ${wanted}, got a record that ${complaints.join(" and ")}.`,
      "inputs",
    );
  }
  const record = new Map(given.map(({ name, tensor }) => [name, tensor]));
  return names.flatMap((name) => record.get(name) ?? []);
}

/** Returns the number of samples: the first dimension, which all of a model's inputs share. */
export function sampleCount(inputs: ModelInputs): number {
  return named(inputs, "inputs")[0]?.tensor.shape[0] ?? 0;
}

/** Returns some rows of a batch, copied, in the order asked for. */
export function takeSamples({ inputs, targets, sampleWeights }: Batch, rows: readonly number[]): Batch {
  return {
    inputs: mapTensors(inputs, (tensor) => takeRows(tensor, rows)),
    targets: mapTensors(targets, (tensor) => takeRows(tensor, rows)),
    ...(sampleWeights && { sampleWeights: mapTensors(sampleWeights, (tensor) => takeRows(tensor, rows)) }),
  };
}

/** Returns what decides on which side of a split each sample of a batch falls: the hash of its inputs, and its class. */
export function arrayItems({ inputs, targets }: Batch): readonly SplitItem[] {
  const tensors = named(inputs, "inputs").map(({ tensor }) => tensor);
  const labels = classesOf(targets);
  return Array.from({ length: sampleCount(inputs) }, (_, row) => {
    const hashes = tensors.map((tensor) => rowHash(tensor, row));
    const [only = ""] = hashes;
    const hash = hashes.length === 1 ? only : createHash("sha256").update(hashes.join()).digest("hex");
    return { hash, label: labels?.[row] };
  });
}

function holdOutRows(train: Batch, fraction: number): Batch & { readonly validation: Batch } {
  const items = arrayItems(train);
  const held = heldOut(items, fraction);
  const rows = [...items.keys()];
  const kept = takeSamples(
    train,
    rows.filter((row) => !held.has(row)),
  );
  return {
    ...kept,
    validation: takeSamples(
      train,
      rows.filter((row) => held.has(row)),
    ),
  };
}

/** Returns the class of each row where the only target holds whole numbers or one-hot rows, undefined elsewhere. */
function classesOf(targets: ModelTargets): readonly number[] | undefined {
  const [only, ...more] = named(targets, "targets");
  if (!only || more.length > 0) return undefined;
  const [rows = 0] = only.tensor.shape;
  const values = toFloat32(only.tensor);
  const width = values.length / rows;
  if (width === 1) return values.every((value) => Number.isInteger(value)) ? [...values] : undefined;
  if (only.tensor.shape.length !== 2) return undefined;
  const classes: number[] = [];
  for (let row = 0; row < rows; row++) {
    const own = values.subarray(row * width, (row + 1) * width);
    if (own.some((value) => value !== 0 && value !== 1)) return undefined;
    if (own.reduce((sum, value) => sum + value, 0) !== 1) return undefined;
    classes.push(own.indexOf(1));
  }
  return classes;
}

type Tensors<T extends InputTensor> = T | readonly T[] | Readonly<Record<string, T>>;

interface Named<T extends InputTensor> {
  /** `inputs`, `inputs[1]`, or the name in a record. */
  readonly name: string;
  readonly tensor: T;
}

function named<T extends InputTensor>(tensors: Tensors<T>, what: string): readonly Named<T>[] {
  if (isOneTensor(tensors)) return [{ name: what, tensor: tensors }];
  if (Array.isArray(tensors)) {
    return (tensors as readonly T[]).map((tensor, index) => ({ name: `${what}[${index}]`, tensor }));
  }
  return Object.entries(tensors as Readonly<Record<string, T>>).map(([name, tensor]) => ({ name, tensor }));
}

function mapTensors<T extends InputTensor>(tensors: Tensors<T>, change: (tensor: T) => T): Tensors<T> {
  if (isOneTensor(tensors)) return change(tensors);
  if (Array.isArray(tensors)) return (tensors as readonly T[]).map(change);
  const entries = Object.entries(tensors as Readonly<Record<string, T>>);
  return Object.fromEntries(entries.map(([name, tensor]) => [name, change(tensor)]));
}

/** @throws {DataError} if a batch's tensors are not whole, or do not have equally many samples. */
export function checkBatch({ inputs, targets, sampleWeights }: Batch, what: string): void {
  const [given, wanted] = [named(inputs, "inputs"), named(targets, "targets")];
  const weights = sampleWeights ? named(sampleWeights, "sampleWeights") : [];
  if (given.length === 0)
    throw new DataError(`${what}inputs: expected one array or more, got none.`, "inputs");
  const [first] = wanted;
  if (!first) throw new DataError(`${what}targets: expected one array or more, got none.`, "targets");
  for (const each of [...given, ...wanted, ...weights]) checkTensor(each, what);
  const [count = 0] = first.tensor.shape;
  if (count === 0) {
    throw new DataError(
      `${what}${first.name}: expected [N, …] with N > 0, got ${formatShape(first.tensor.shape)}.`,
      "targets",
    );
  }
  for (const { name, tensor } of [...given, ...wanted, ...weights]) {
    if (tensor.shape[0] === count) continue;
    throw new DataError(
      `${what}${name}: expected as many samples as ${first.name}, ${count}, got ${formatShape(tensor.shape)}.`,
      "sample-count",
    );
  }
  for (const each of [...wanted, ...weights]) checkFinite(each, what);
  if (sampleWeights && !isOneTensor(sampleWeights))
    checkWeightNames(wanted, weights, Array.isArray(sampleWeights), what);
}

function checkTensor({ name, tensor }: Named<InputTensor>, what: string): void {
  const { shape, dtype, data } = tensor;
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new DataError(
      `${what}${name}: shape: expected sizes such as [100, 3], got ${JSON.stringify(shape)}.`,
      "shape",
    );
  }
  const expected = arrayTypes[dtype];
  if (expected === undefined) {
    throw new DataError(
      `${what}${name}: dtype: expected one of ${Object.keys(arrayTypes).join(", ")}, got ${JSON.stringify(dtype)}.`,
      "dtype",
    );
  }
  const got = data.constructor.name;
  if (got !== expected && !(got === "Buffer" && expected === "Uint8Array")) {
    throw new DataError(`${what}${name}: ${dtype}: expected ${expected}, got ${got}.`, "dtype");
  }
  if (data.length === elementCount(shape)) return;
  throw new DataError(
    `${what}${name}: ${formatShape(shape)}: expected ${elementCount(shape)} values, got ${data.length}.`,
    "value-count",
  );
}

const arrayTypes: Readonly<Partial<Record<string, string>>> = {
  float32: "Float32Array",
  float64: "Float64Array",
  float16: "Uint16Array",
  bfloat16: "Uint16Array",
  int8: "Int8Array",
  uint8: "Uint8Array",
  int16: "Int16Array",
  uint16: "Uint16Array",
  int32: "Int32Array",
  uint32: "Uint32Array",
  int64: "BigInt64Array",
  uint64: "BigUint64Array",
  bool: "Uint8Array",
  string: "Array",
};

function checkFinite({ name, tensor }: Named<Tensor>, what: string): void {
  if (!/float/.test(tensor.dtype)) return;
  const values = toFloat32(tensor);
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return;
  const row = Math.floor(index / (values.length / (tensor.shape[0] ?? 1)));
  throw new DataError(
    `${what}${name}: sample ${row}: expected finite numbers, got ${values[index]}.`,
    "not-finite",
  );
}

function checkWeightNames(
  targets: readonly Named<Tensor>[],
  weights: readonly Named<Tensor>[],
  isList: boolean,
  what: string,
): void {
  const names = targets.map(({ name }) => name);
  const strange = weights.find(({ name }) => !names.includes(name));
  if (isList ? weights.length === targets.length : strange === undefined) return;
  const got = isList ? `${weights.length}` : (strange?.name ?? "");
  throw new DataError(
    `${what}sampleWeights: expected weights of ${names.join(", ")}, got ${got}.`,
    "sample-weights",
  );
}

function checkAlike(part: Batch, train: Batch, what: string): void {
  for (const [kind, own, others] of [
    ["inputs", named<InputTensor>(part.inputs, "inputs"), named<InputTensor>(train.inputs, "inputs")],
    ["targets", named<InputTensor>(part.targets, "targets"), named<InputTensor>(train.targets, "targets")],
  ] as const) {
    if (own.length !== others.length) {
      throw new DataError(`${what}${kind}: expected ${others.length} arrays, got ${own.length}.`, kind);
    }
    own.forEach(({ name, tensor }, index) => {
      const twin = others.find((other) => other.name === name) ?? others[index];
      if (!twin || sameShape(tensor.shape.slice(1), twin.tensor.shape.slice(1))) return;
      const expected = formatShape([null, ...twin.tensor.shape.slice(1)]);
      throw new DataError(
        `${what}${name}: expected ${expected} as in training, got ${formatShape(tensor.shape)}.`,
        "shape",
      );
    });
  }
}
