import { TopologyError } from "../errors.ts";
import { formatShape } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** Whether the model's single input is texts: then a file of its data is one text. */
export function takesTexts(graph: LayerGraph): boolean {
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0) return false;
  return graph.nodes[input.ref.node]!.outputs[input.ref.output]!.dtype === "string";
}

/**
 * Of one text in the input of a model that takes texts: `[1]`, or `[]` where a text has no axis of its own.
 *
 * @throws {TopologyError} where a sample is several texts.
 */
export function textShapeOf(graph: LayerGraph): readonly number[] {
  const [{ name, ref }] = graph.inputs as readonly [LayerGraph["inputs"][number]];
  const shape = graph.nodes[ref.node]!.outputs[ref.output]!.shape ?? [null];
  const [, width = 1, ...rest] = shape;
  if (rest.length === 0 && (width ?? 1) === 1) return shape.slice(1).map(() => 1);
  throw new TopologyError(
    `${name}: expected one text a sample, [None] or [None,1], got ${formatShape(shape)}. Train it on arrays.`,
    "not-a-text-model",
  );
}
