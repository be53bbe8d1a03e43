import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { ArrayDataset, ModelInputs } from "./dataset.ts";

/** Arrays as a dataset; nothing is copied. @throws {UsageError} where inputs and targets differ in length. */
export function arrayDataset(
  inputs: ModelInputs,
  targets: Tensor,
  options: Pick<ArrayDataset, "validation" | "classNames"> = {},
): ArrayDataset {
  for (const input of tensorsOf(inputs)) {
    if (input.shape[0] !== targets.shape[0]) {
      throw new UsageError(
        `arrayDataset: expected as many targets as inputs, got ${targets.shape[0]} targets for ${input.shape[0]} inputs.`,
        "data-length",
      );
    }
  }
  return { kind: "arrays", inputs, targets, ...options };
}

/** The tensors in the order of the model's inputs. @throws {UsageError} where one is missing or too many are given. */
export function inputsInOrder(inputs: ModelInputs, names: readonly string[]): readonly Tensor[] {
  if (!isTensor(inputs) && !Array.isArray(inputs)) {
    const byName = inputs as Readonly<Record<string, Tensor>>;
    return names.map((name) => {
      const tensor = byName[name];
      if (tensor) return tensor;
      throw new UsageError(
        `inputs: expected ${names.join(", ")}, got ${Object.keys(byName).join(", ")}.`,
        "inputs",
      );
    });
  }
  const tensors = tensorsOf(inputs);
  if (tensors.length !== names.length) {
    throw new UsageError(
      `inputs: expected ${names.length} (${names.join(", ")}), got ${tensors.length}.`,
      "inputs",
    );
  }
  return tensors;
}

function isTensor(value: ModelInputs): value is Tensor {
  return "dtype" in value && "shape" in value && Array.isArray(value.shape);
}

function tensorsOf(inputs: ModelInputs): readonly Tensor[] {
  if (isTensor(inputs)) return [inputs];
  return Array.isArray(inputs) ? inputs : Object.values(inputs as Readonly<Record<string, Tensor>>);
}
