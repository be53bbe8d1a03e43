import { TopologyError } from "../errors.ts";
import type { ElementType, Shape } from "../tensor.ts";
import type { Argument, GraphLayer, TensorSpec } from "./layer-graph.ts";
import type { LayerSpec } from "./layer-spec.ts";

export interface CallInputs {
  readonly inputs: readonly TensorSpec[];
  readonly args: readonly Argument[];
  readonly kwargs: Readonly<Record<string, Argument>>;
  readonly outputsRead: number;
}

/**
 * What one call of a layer gives. Unknown (null) where the layer has no spec, cannot run, or an input is unknown.
 * @throws {TopologyError} naming the layer, where the inputs do not fit it.
 */
export function outputsOfCall(
  spec: LayerSpec | undefined,
  layer: GraphLayer,
  call: CallInputs,
): readonly TensorSpec[] {
  if (call.inputs.length === 0 && layer.className !== "InputLayer") {
    throw new TopologyError(
      `${layer.path}: inputs: expected a tensor of another layer, got none. The config is not one that Keras writes.`,
    );
  }
  const shapes = call.inputs.map((input) => input.shape);
  const unknown = Array.from(
    { length: call.outputsRead },
    (): TensorSpec => ({ shape: null, dtype: "float32" }),
  );
  if (!spec || !shapes.every((shape): shape is Shape => shape !== null)) return unknown;
  const callShapes = {
    config: layer.config,
    keras: layer.keras,
    inputs: shapes,
    args: call.args,
    kwargs: call.kwargs,
  };
  if (naming(layer.path, () => spec.refusal?.(layer.config))) return unknown;
  return naming(layer.path, () => {
    const dtypes =
      spec.outputDTypes?.({ ...callShapes, dtypes: call.inputs.map((input) => input.dtype) }) ?? [];
    return spec.outputShapes(callShapes).map((shape, output): TensorSpec => {
      const dtype: ElementType = dtypes[output] ?? "float32";
      return { shape, dtype };
    });
  });
}

/** Puts the path of a layer before the message of a TopologyError that `call` throws: specs and kernels know no paths. */
export function naming<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof TopologyError) throw new TopologyError(`${path}: ${error.message}`, error.code);
    throw error;
  }
}
