import type { GraphNode, LayerGraph } from "./layer-graph.ts";
import { layersByPath } from "./layer-graph.ts";
import { specOf } from "./layer-specs.ts";

/** Calls that behave in prediction as in training, in the graph's order. */
export interface ActiveCalls {
  /** Of BatchNormalization: on the statistics of the batch. */
  readonly normalizations: readonly GraphNode[];
  /** Of Dropout and the like. */
  readonly random: readonly GraphNode[];
}

/**
 * The calls with `training=True` of a file of Keras 2, which holds to that in `predict` too; Keras 3 does not
 * (`keras/src/models/functional.py`, operation_fn), and Keras 1 had no such argument.
 */
export function callsThatStayActive(graph: LayerGraph): ActiveCalls {
  const layers = layersByPath(graph);
  const normalizations: GraphNode[] = [];
  const random: GraphNode[] = [];
  for (const node of graph.nodes) {
    const layer = layers.get(node.layer)!;
    const training = node.kwargs["training"];
    const isOn = training?.kind === "value" && (training.value === true || training.value === 1);
    if (!isOn || layer.keras !== 2) continue;
    const spec = specOf(layer.className);
    if (layer.className === "BatchNormalization") normalizations.push(node);
    else if (spec?.random || spec?.randomWith?.(layer.config)) random.push(node);
  }
  return { normalizations, random };
}
