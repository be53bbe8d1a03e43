/** @file The Keras layer that a translation starts from. */
import type { Checkpoint } from "../../../checkpoint.ts";
import type { Shape } from "../../../tensor.ts";
import type { CallDescription, LayerDescription } from "../../dialects/description.ts";
import { type LayerGraph, tensorAt } from "../../layer-graph.ts";
import { refuse, type SourceLayer } from "./step.ts";

/** The shapes of a layer's first call. */
export interface CallShapes {
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
}

/** Returns the shapes of the first call of each layer whose shapes are all known. */
export function callShapes(graph: LayerGraph): ReadonlyMap<string, CallShapes> {
  const shapes = new Map<string, CallShapes>();
  for (const node of graph.nodes) {
    if (shapes.has(node.layer)) continue;
    const inputs = node.inputs.map((ref) => tensorAt(graph, ref).shape);
    const outputs = node.outputs.map((output) => output.shape);
    const known = [...inputs, ...outputs].every((shape) => shape !== null);
    if (known) shapes.set(node.layer, { inputs: inputs as Shape[], outputs: outputs as Shape[] });
  }
  return shapes;
}

/** Returns the layer with path `path` as its steps are made from it. */
export function sourceLayer(
  {
    checkpoint,
    shapes,
  }: { readonly checkpoint: Checkpoint; readonly shapes: ReadonlyMap<string, CallShapes> },
  layer: LayerDescription,
  path: string,
): SourceLayer {
  const { className, config, keras, calls } = layer;
  const { inputs = [], outputs = [] } = shapes.get(path) ?? {};
  const source = { path, className, config, keras, inputs, outputs };
  const constants = constantsOf(source, calls, className.startsWith("ops."));
  return { ...source, weights: checkpoint.weights.get(path) ?? [], constants };
}

/**
 * Lists the constants among an operation's arguments. They may differ between calls, so only one call is supported.
 */
function constantsOf(
  layer: Pick<SourceLayer, "path" | "className">,
  calls: readonly CallDescription[],
  isOperation: boolean,
): SourceLayer["constants"] {
  if (!isOperation) return [];
  if (calls.length > 1) refuse(layer, "has no layer for an operation that is called more than once");
  const [call] = calls;
  const given = [...(call?.args ?? []), ...Object.values(call?.kwargs ?? {})];
  return given.flatMap((argument, position) =>
    argument.kind === "value" && typeof argument.value !== "string"
      ? [{ position, value: argument.value }]
      : [],
  );
}
