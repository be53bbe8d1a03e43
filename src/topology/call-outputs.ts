import { TopologyError } from "../errors.ts";
import type { Shape } from "../tensor.ts";
import type { Argument, GraphLayer, TensorSpec } from "./layer-graph.ts";
import { type CallShapes, inputShapes, type LayerSpec } from "./layer-spec.ts";

/** Inputs of one call of a layer, before its outputs are known. */
export interface CallInputs {
  readonly inputs: readonly TensorSpec[];
  readonly args: readonly Argument[];
  readonly kwargs: Readonly<Record<string, Argument>>;
  /** Number of outputs that the rest of the model reads, at least one. */
  readonly outputsRead: number;
}

/**
 * Infers the shapes and dtypes of a call's outputs. Shapes are null if the layer has no spec or cannot be computed, or
 * if the shape of an input is unknown.
 * @throws {TopologyError} naming the layer if its inputs do not fit.
 */
export function outputsOfCall(
  spec: LayerSpec | undefined,
  layer: GraphLayer,
  call: CallInputs,
): readonly TensorSpec[] {
  if (call.inputs.length === 0 && layer.className !== "InputLayer") {
    throw new TopologyError(
      `${layer.path}: inputs: expected an output of another layer, got none. The config was not written by Keras.`,
    );
  }
  const shapes = call.inputs.map((input) => input.shape);
  const unknown = Array.from(
    { length: call.outputsRead },
    (): TensorSpec => ({ shape: null, dtype: "float32" }),
  );
  if (!spec || !shapes.every((shape): shape is Shape => shape !== null)) return unknown;
  const callShapes: CallShapes = {
    config: layer.config,
    keras: layer.keras,
    inputs: inputShapes(shapes),
    args: call.args,
    kwargs: call.kwargs,
  };
  const [dtype = "float32", ...otherDTypes] = call.inputs.map((input) => input.dtype);
  if (withErrorPrefix(layer.path, () => spec.refusal?.(layer.config))) return unknown;
  return withErrorPrefix(layer.path, () => {
    const dtypes = spec.outputDTypes?.({ ...callShapes, dtypes: [dtype, ...otherDTypes] }) ?? [];
    return spec
      .outputShapes(callShapes)
      .map((shape, output): TensorSpec => ({ shape, dtype: dtypes[output] ?? "float32" }));
  });
}

/**
 * Calls a function and puts `prefix`, usually the path of a layer, before the message of a TopologyError that it
 * throws. Specs and kernels do not know the path of their layer.
 */
export function withErrorPrefix<T>(prefix: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof TopologyError) throw new TopologyError(`${prefix}: ${error.message}`, error.code);
    throw error;
  }
}
