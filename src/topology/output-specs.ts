import type { CallInputs } from "./call-outputs.ts";
import { outputsOfCall } from "./call-outputs.ts";
import type { GraphLayer, TensorSpec } from "./layer-graph.ts";
import { specOf } from "./layer-specs.ts";

/** `outputsOfCall` by the spec of the layer's class. @throws {TopologyError} */
export function outputSpecs(layer: GraphLayer, call: CallInputs): readonly TensorSpec[] {
  return outputsOfCall(specOf(layer.className), layer, call);
}
