import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";

/** The spec of a function of keras.ops with one output, whose shape follows from the first operand's. */
export function operation(
  name: string,
  shapeOf: (input: Shape, call: CallShapes) => Shape,
  defaults: JsonObject = {},
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: (call) => [shapeOf(call.inputs[0]!, call)],
    ...more,
  };
}
