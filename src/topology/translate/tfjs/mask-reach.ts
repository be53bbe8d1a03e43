import type { JsonObject } from "../../../checkpoint.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../../layer-graph.ts";
import { layersByPath, refKey } from "../../layer-graph.ts";
import { specOf } from "../../layer-specs.ts";
import { refuse } from "./step.ts";

/** Layers whose output depends on a mask. */
const readers: ReadonlySet<string> = new Set(
  "SimpleRNN LSTM GRU RNN ConvLSTM2D Bidirectional GlobalAveragePooling1D Softmax".split(" "),
);

/** Layers that hand a mask on in tfjs-layers. */
const carriers: ReadonlySet<string> = new Set(
  `Dense Dropout SpatialDropout1D Activation Add Multiply Average Maximum Minimum GaussianNoise GaussianDropout AlphaDropout
   BatchNormalization LayerNormalization ReLU PReLU SimpleRNN LSTM GRU RNN Bidirectional TimeDistributed`.split(
    /\s+/,
  ),
);

/**
 * Refuses a model in which a mask changes numbers that tfjs-layers computes without it. There an Embedding's mask is lost, one
 * of a Masking ends at layers that carry none and at a nested model, and what has seen it leaves it to all that runs later.
 * @throws {TopologyError} naming the layer that reads the mask.
 */
export function refuseLostMasks(graph: LayerGraph): void {
  const layers = layersByPath(graph);
  const masks = new Map<string, string>();
  const kept = new Set<string>();
  const masked: GraphLayer[] = [];
  const unmasked: GraphLayer[] = [];
  for (const node of graph.nodes) {
    const layer = layers.get(node.layer)!;
    const inputs = node.inputs.map(refKey);
    const given = masksGiven(node).map(refKey);
    const source = [...given, ...inputs].map((key) => masks.get(key)).find((origin) => origin !== undefined);
    const isMasked = source !== undefined || given.length > 0;
    if (readers.has(layer.className)) {
      (isMasked ? masked : unmasked).push(layer);
      if (isMasked && !inputs.slice(0, 1).every((key) => kept.has(key))) {
        refuse(layer, `computes it without the mask of ${source ?? "another layer"}`);
      }
    }
    if (layer.config["masks_inside"] === false && (isMasked || makesMask(innerLayer(layer.config)))) {
      refuse(layer, "hands masks to the layer inside, which Keras before 2.2 does not");
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
  const odd =
    unmasked[0] ??
    masked.find(({ className }) => className === "GlobalAveragePooling1D" || className === "Softmax");
  if (odd) refuse(odd, `computes it with or without the mask as it does ${first.path}, not as Keras does`);
}

function makesMask({ className, config }: Pick<GraphLayer, "className" | "config">): boolean {
  return className === "Masking" || (className === "Embedding" && config["mask_zero"] === true);
}

/** The layer in a wrapper. */
function innerLayer(config: JsonObject): Pick<GraphLayer, "className" | "config"> {
  const { class_name: className = "", config: inner = {} } = config["layer"] as JsonObject;
  return { className: String(className), config: inner as JsonObject };
}

function masksGiven(node: GraphNode): readonly TensorRef[] {
  const mask = node.kwargs["mask"];
  return mask?.kind === "tensor" ? [mask.ref] : [];
}

/** Keras 3 computes masks in the graph: `any(x != 0)`. */
function isMaskArithmetic({ className }: GraphLayer): boolean {
  return className === "ops.NotEqual" || className === "ops.Any";
}
