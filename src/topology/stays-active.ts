import type { GraphNode, LayerGraph } from "./layer-graph.ts";
import { layerLookup } from "./layer-graph.ts";
import { specOf } from "./layer-specs.ts";

/** Calls that run in training mode even in prediction, in the graph's order. */
export interface ActiveCalls {
  /** Calls of BatchNormalization, which use batch statistics. */
  readonly normalizations: readonly GraphNode[];
  /** Calls of random layers such as Dropout. */
  readonly random: readonly GraphNode[];
}

/**
 * Finds the calls with the constant argument `training=True` in a file of Keras 2, which applies it in `predict` too.
 * Keras 3 does not (`operation_fn` of `keras/src/models/functional.py`), and Keras 1 had no such argument.
 */
export function callsThatStayActive(graph: LayerGraph): ActiveCalls {
  const layerOf = layerLookup(graph);
  const normalizations: GraphNode[] = [];
  const random: GraphNode[] = [];
  for (const node of graph.nodes) {
    const layer = layerOf(node.layer);
    const training = node.kwargs["training"];
    const isOn = training?.kind === "value" && (training.value === true || training.value === 1);
    if (!isOn || layer.keras !== 2) continue;
    const spec = specOf(layer.className);
    if (layer.className === "BatchNormalization") normalizations.push(node);
    else if (spec?.random || spec?.randomWith?.(layer.config)) random.push(node);
  }
  return { normalizations, random };
}
