import { DataError } from "../errors.ts";
import { formatShape, type InputTensor, type Tensor } from "../tensor.ts";
import type { ArrayDataset, ModelInputs } from "./dataset.ts";

export interface ArrayDatasetOptions {
  readonly validation?: { readonly inputs: ModelInputs; readonly targets: Tensor };
  /** In output order. */
  readonly classNames?: readonly string[];
}

/**
 * A dataset over arrays, which it does not copy.
 *
 * @throws {DataError} if there are no samples, or if inputs, targets and validation data do not agree on their number or shapes.
 */
export function arrayDataset(
  inputs: ModelInputs,
  targets: Tensor,
  options: ArrayDatasetOptions = {},
): ArrayDataset {
  const { validation, classNames } = options;
  checkCounts(inputs, targets, "");
  if (validation) {
    checkCounts(validation.inputs, validation.targets, "validation ");
    const [training, held] = [namedInputs(inputs), namedInputs(validation.inputs)];
    if (training.length !== held.length) {
      throw new DataError(`validation inputs: expected ${training.length} arrays, got ${held.length}.`);
    }
    held.forEach(({ name, tensor }, index) => {
      const twin = training.find((other) => other.name === name) ?? training[index]!;
      expectSameSample(tensor, twin.tensor, `validation ${name}`);
    });
    expectSameSample(validation.targets, targets, "validation targets");
  }
  return {
    kind: "arrays",
    inputs,
    targets,
    ...(validation && { validation }),
    ...(classNames && { classNames }),
  };
}

/**
 * The tensors in the order of a model's inputs.
 *
 * @param names names of the model's inputs, in order.
 * @throws {DataError} if their number or names are not the model's.
 */
export function inputsInOrder(inputs: ModelInputs, names: readonly string[]): readonly InputTensor[] {
  const given = namedInputs(inputs);
  const wanted = `${names.length} (${names.join(", ")})`;
  if (isTensor(inputs) || isList(inputs)) {
    if (given.length === names.length) return given.map(({ tensor }) => tensor);
    throw new DataError(`inputs: expected ${wanted}, got ${given.length}.`);
  }
  const unknown = given.map(({ name }) => name).filter((name) => !names.includes(name));
  const missing = names.filter((name) => !Object.hasOwn(inputs, name));
  if (unknown.length + missing.length > 0) {
    const complaints = [
      missing.length > 0 ? `lacks ${missing.join(", ")}` : "",
      unknown.length > 0 ? `has ${unknown.join(", ")}` : "",
    ].filter(Boolean);
    throw new DataError(`inputs: expected ${wanted}, got a record that ${complaints.join(" and ")}.`);
  }
  return names.map((name) => (inputs as Readonly<Record<string, InputTensor>>)[name]!);
}

/** The number of samples: the first dimension, which all of a model's inputs share. */
export function sampleCount(inputs: ModelInputs): number {
  return namedInputs(inputs)[0]?.tensor.shape[0] ?? 0;
}

function namedInputs(inputs: ModelInputs): readonly { name: string; tensor: InputTensor }[] {
  if (isTensor(inputs)) return [{ name: "inputs", tensor: inputs }];
  if (isList(inputs)) return inputs.map((tensor, index) => ({ name: `inputs[${index}]`, tensor }));
  return Object.entries(inputs).map(([name, tensor]) => ({ name, tensor }));
}

function isList(inputs: ModelInputs): inputs is readonly InputTensor[] {
  return Array.isArray(inputs);
}

function isTensor(inputs: ModelInputs): inputs is InputTensor {
  return !isList(inputs) && Array.isArray(inputs.shape) && typeof inputs.dtype === "string";
}

function checkCounts(inputs: ModelInputs, targets: Tensor, what: string): void {
  const named = namedInputs(inputs);
  const count = targets.shape[0] ?? 0;
  if (named.length === 0) throw new DataError(`${what}inputs: expected one array or more, got none.`);
  if (count === 0)
    throw new DataError(`${what}targets: expected [N, …] with N > 0, got ${formatShape(targets.shape)}.`);
  for (const { name, tensor } of named) {
    if (tensor.shape[0] === count) continue;
    throw new DataError(
      `${what}${name}: expected as many samples as targets, ${count}, got ${formatShape(tensor.shape)}.`,
    );
  }
}

function expectSameSample(tensor: InputTensor, twin: InputTensor, what: string): void {
  const same =
    tensor.shape.length === twin.shape.length &&
    tensor.shape.every((size, axis) => axis === 0 || size === twin.shape[axis]);
  if (same) return;
  const expected = formatShape([null, ...twin.shape.slice(1)]);
  throw new DataError(`${what}: expected ${expected} as in training, got ${formatShape(tensor.shape)}.`);
}
