import type { JsonObject } from "../../../checkpoint.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../../layer-graph.ts";
import { layerLookup, refKey } from "../../layer-graph.ts";
import { specOf } from "../../layer-specs.ts";
import { refuse } from "./step.ts";

/** Layer classes whose output depends on a mask. */
const readers: ReadonlySet<string> = new Set(
  "SimpleRNN LSTM GRU RNN ConvLSTM2D Bidirectional GlobalAveragePooling1D Softmax".split(" "),
);

/** Layer classes that propagate a mask in tfjs-layers. */
const carriers: ReadonlySet<string> = new Set(
  `Dense Dropout SpatialDropout1D Activation Add Multiply Average Maximum Minimum GaussianNoise GaussianDropout AlphaDropout
   BatchNormalization LayerNormalization ReLU PReLU SimpleRNN LSTM GRU RNN Bidirectional TimeDistributed`.split(
    /\s+/,
  ),
);

/**
 * Refuses a model whose masks tfjs-layers does not apply as Keras does. In tfjs-layers the mask of an Embedding is
 * lost, the mask of a Masking layer ends at layers that do not propagate it and at nested models, and once a layer has
 * used it, it applies to all layers that run later.
 * @throws {TopologyError} naming the layer that uses the mask.
 */
export function refuseLostMasks(graph: LayerGraph): void {
  const layerOf = layerLookup(graph);
  const masks = new Map<string, string>();
  const kept = new Set<string>();
  const masked: GraphLayer[] = [];
  const unmasked: GraphLayer[] = [];
  for (const node of graph.nodes) {
    const layer = layerOf(node.layer);
    const inputs = node.inputs.map(refKey);
    const given = masksGiven(node).map(refKey);
    const source = [...given, ...inputs].map((key) => masks.get(key)).find((origin) => origin !== undefined);
    const isMasked = source !== undefined || given.length > 0;
    if (readers.has(layer.className)) {
      (isMasked ? masked : unmasked).push(layer);
      if (isMasked && !inputs.slice(0, 1).every((key) => kept.has(key))) {
        refuse(layer, `computes it without the mask from ${source ?? "another layer"}`);
      }
    }
    if (layer.config["masks_inside"] === false && (isMasked || makesMask(innerLayer(layer.config)))) {
      refuse(layer, "passes masks to the inner layer, unlike Keras before 2.2");
    }
    const own = makesMask(layer);
    const origin = own ? layer.path : source;
    const carried =
      layer.className === "Masking" ||
      (carriers.has(layer.className) && inputs.length > 0 && inputs.every((key) => kept.has(key)));
    node.outputs.forEach((_, output) => {
      const key = refKey({ node: node.index, output });
      if (origin !== undefined && (own || specOf(layer.className)?.masking || isMaskArithmetic(layer))) {
        masks.set(key, origin);
      }
      if (carried && layer.containers.length === 0) kept.add(key);
    });
  }
  const [first] = masked;
  if (!first) return;
  const differing =
    unmasked[0] ??
    masked.find(({ className }) => className === "GlobalAveragePooling1D" || className === "Softmax");
  if (differing) refuse(differing, `applies masks to it and to ${first.path} alike, unlike Keras`);
}

function makesMask({ className, config }: Pick<GraphLayer, "className" | "config">): boolean {
  return className === "Masking" || (className === "Embedding" && config["mask_zero"] === true);
}

/** Returns class name and config of the layer in a wrapper. */
function innerLayer(config: JsonObject): Pick<GraphLayer, "className" | "config"> {
  const { class_name: className = "", config: inner = {} } = config["layer"] as JsonObject;
  return { className: String(className), config: inner as JsonObject };
}

function masksGiven(node: GraphNode): readonly TensorRef[] {
  const mask = node.kwargs["mask"];
  return mask?.kind === "tensor" ? [mask.ref] : [];
}

/** Returns whether an operation is part of a mask that Keras 3 computes in the graph, `any(x != 0)`. */
function isMaskArithmetic({ className }: GraphLayer): boolean {
  return className === "ops.NotEqual" || className === "ops.Any";
}
