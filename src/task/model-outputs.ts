import type { Shape } from "../tensor.ts";
import { activationName, outputHead } from "../topology/head-of.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";

/** An output as the model has it. */
export interface ModelOutput {
  readonly name: string;
  readonly shape: Shape;
  /** Size of the last axis; null where the model leaves it free. */
  readonly units: number | null;
  /** Keras's name of what makes the scores the output; `linear` for nothing. */
  readonly activation: string;
  /** True if a Dense or a convolution gives the output, so that it can be a trained head. */
  readonly hasHead: boolean;
}

export function modelOutputs(graph: LayerGraph): readonly ModelOutput[] {
  return graph.outputs.map(({ name, ref }, index) => {
    const shape = graph.nodes[ref.node]?.outputs[ref.output]?.shape ?? [null, null];
    const head = outputHead(graph, index);
    return {
      name,
      shape,
      units: shape.at(-1) ?? null,
      activation: head?.activation ?? lastActivation(graph, index),
      hasHead: head !== null,
    };
  });
}

/** The activation nearest to an output, through layers that leave each value alone. */
function lastActivation(graph: LayerGraph, index: number): string {
  for (let ref = graph.outputs[index]?.ref; ref; ) {
    const node = graph.nodes[ref.node];
    if (!node) break;
    const layer = layerAt(graph, node.layer);
    const name = activationName(layer);
    if (name !== "linear") return name;
    if (!/^(?:Activation|Reshape|Flatten|Identity|Dropout|Permute)$/u.test(layer.className)) break;
    ref = node.inputs[0];
  }
  return "linear";
}
