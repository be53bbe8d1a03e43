/** Inputs checked against the model before anything is computed. */
import { DataError } from "../errors.ts";
import type { InputTensor } from "../tensor.ts";
import { elementCount, formatShape } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { tensorAt } from "../topology/layer-graph.ts";

/**
 * Returns the inputs, in model order, with the shapes that the model takes: a last axis of 1 may be missing or too many, as in
 * Keras (`_adjust_input_rank` in `keras/src/models/functional.py`).
 * @throws {DataError} for a shape that the model does not take, other numbers of samples, or values missing.
 */
export function requireInputs(inputs: readonly InputTensor[], graph: LayerGraph): readonly InputTensor[] {
  const samples = inputs[0]?.shape[0] ?? 0;
  return inputs.map((input, index) => {
    const endpoint = graph.inputs[index];
    const name = endpoint?.name ?? `input ${index}`;
    const count = elementCount(input.shape);
    if (input.data.length !== count) {
      throw new DataError(
        `${name}: ${formatShape(input.shape)} holds ${count} values: expected as many, got ${input.data.length}.`,
        "input-values",
      );
    }
    if (input.shape[0] !== samples) {
      throw new DataError(
        `${name}: expected ${samples} samples, as many as the first input, got ${input.shape[0]}.`,
        "input-samples",
      );
    }
    const wanted = endpoint ? tensorAt(graph, endpoint.ref).shape : null;
    return wanted === null ? input : { ...input, shape: shapeFor(input.shape, wanted, name) };
  });
}

function shapeFor(
  shape: readonly number[],
  wanted: readonly (number | null)[],
  name: string,
): readonly number[] {
  const adjusted =
    shape.length === wanted.length - 1 && (wanted.at(-1) === 1 || wanted.at(-1) === null)
      ? [...shape, 1]
      : shape.length === wanted.length + 1 && shape.at(-1) === 1
        ? shape.slice(0, -1)
        : shape;
  const fits =
    adjusted.length === wanted.length &&
    wanted.every((size, axis) => axis === 0 || size === null || size === adjusted[axis]);
  if (fits) return adjusted;
  throw new DataError(
    `${name}: expected ${formatShape(wanted)}, got ${formatShape(shape)}. Give samples of the model's own size.`,
    "input-shape",
  );
}
