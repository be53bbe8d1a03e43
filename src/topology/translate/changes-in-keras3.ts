import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { layerGraph } from "../build-graph.ts";
import { isObject } from "../config-values.ts";
import { dialectOf } from "../dialects/dialect.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../layer-graph.ts";
import { layerLookup, refKey } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";
import { quantizationOf } from "../specs/quantization.ts";
import { callsThatStayActive } from "../stays-active.ts";

/** The Keras 3 that opens the written file: the current release, or 3.0 to 3.3. */
export type Keras3Release = "current" | "early";

/**
 * Lists what this Keras 3 computes differently than the Keras that wrote the model, one sentence per change in the
 * graph's layer order. Between releases of Keras 3 only masks differ: since 3.4 merging layers propagate them, since
 * 3.8 MultiHeadAttention removes them from its inputs. Written as `.h5`, a model of Keras 1 or 2 keeps its numbers in
 * that Keras.
 */
export function changesInKeras3(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  release: Keras3Release = "current",
): readonly string[] {
  const isOld = !dialectOf(checkpoint).startsWith("keras3");
  const graph = layerGraph(checkpoint);
  const masked = maskedCalls(graph, { isOld, isEarly: release === "early" });
  const active = isOld ? callsThatStayActive(graph) : undefined;
  const normalizing = new Set(active?.normalizations.map((node) => node.layer));
  const drawing = new Set(active?.random.map((node) => node.layer));
  return graph.layers.flatMap((layer) =>
    [
      ...new Set([
        ...(isOld ? changesOf(layer) : []),
        ...(normalizing.has(layer.path)
          ? [
              "used the batch's statistics in prediction, called with training=True, and now uses the moving ones",
            ]
          : []),
        ...(drawing.has(layer.path)
          ? ["drew random numbers in prediction, called with training=True, and now draws none"]
          : []),
        ...mergedWhenWritten(layer),
        ...(masked.get(layer.path) ?? []),
      ]),
    ].map((change) => `${layer.path}: ${layer.className}: ${change}`),
  );
}

/** Reports LoRA matrices of quantized layers, which writing merges into the weights. */
function mergedWhenWritten({ config }: GraphLayer): readonly string[] {
  return quantizationOf(config) && config["lora_rank"] != null
    ? ["LoRA matrices are merged into the quantized weights and, if trained, rounded with them"]
    : [];
}

/** Lists what a layer computes differently on any input. */
function changesOf({ className, config }: GraphLayer): readonly string[] {
  const changes: string[] = [];
  if (usesHardSigmoid(config))
    changes.push("hard_sigmoid was clip(0.2 x + 0.5) and is now clip(x / 6 + 0.5)");
  if (className === "RandomCrop")
    changes.push("cropped the center at inference and now returns the image as it is");
  if (className === "UpSampling2D" && config["interpolation"] === "bilinear_from_corner") {
    changes.push("bilinear interpolation did not use half-pixel centers and now does");
  }
  return changes;
}

/** Returns whether the layer, or a layer inside it, has the activation hard_sigmoid. */
function usesHardSigmoid(json: Json): boolean {
  if (Array.isArray(json)) return (json as readonly Json[]).some(usesHardSigmoid);
  if (!isObject(json)) return false;
  return Object.entries(json).some(
    ([key, value]) => (key.endsWith("activation") && value === "hard_sigmoid") || usesHardSigmoid(value),
  );
}

/** Identifies the mask of a tensor: equal values are the same mask. Undefined if the tensor has no mask. */
type MaskId = string | undefined;

/** The releases to compare. */
interface Releases {
  /** The model was written by Keras 1 or 2. */
  readonly isOld: boolean;
  /** The model is opened in Keras 3.0 to 3.3. */
  readonly isEarly: boolean;
}

/** Lists what calls with masks compute differently, by layer path. */
function maskedCalls(graph: LayerGraph, releases: Releases): ReadonlyMap<string, readonly string[]> {
  const layerOf = layerLookup(graph);
  const masks = new Map<string, MaskId>();
  const changes = new Map<string, string[]>();
  for (const node of graph.nodes) {
    const layer = layerOf(node.layer);
    const given = node.inputs.map((ref) => masks.get(refKey(ref)));
    const change = given.some((mask) => mask !== undefined) && changeWithMasks(layer, node, given, releases);
    if (change) changes.set(layer.path, [...(changes.get(layer.path) ?? []), change]);
    const propagated = maskAfter(layer, node, given);
    node.outputs.forEach((_, output) => {
      masks.set(refKey({ node: node.index, output }), propagated);
    });
  }
  return changes;
}

/** Layers that merge a list of inputs and their masks. */
const merging: ReadonlySet<string> = new Set(
  "Add Subtract Multiply Average Maximum Minimum Concatenate Dot".split(" "),
);

const recurrent: ReadonlySet<string> = new Set(
  "SimpleRNN LSTM GRU RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D".split(" "),
);

function maskAfter({ className, config }: GraphLayer, node: GraphNode, given: readonly MaskId[]): MaskId {
  const makes = className === "Masking" || (className === "Embedding" && config["mask_zero"] === true);
  if (makes) return `${node.index}`;
  if (!specOf(className)?.masking || returnsLastStep(className, config)) return undefined;
  const [first] = given;
  return given.every((mask) => mask === first) || !merging.has(className) ? first : `${node.index}`;
}

/** Returns whether a recurrent layer returns its last output only. */
function returnsLastStep(className: string, config: JsonObject): boolean {
  const steps = recurrent.has(className)
    ? config
    : className === "Bidirectional"
      ? configInside(config)
      : undefined;
  return steps !== undefined && steps["return_sequences"] !== true;
}

function configInside({ layer }: JsonObject): JsonObject {
  return isObject(layer) && isObject(layer["config"]) ? layer["config"] : {};
}

/** Layers that are called on a list, and did not propagate masks before Keras 3.4. */
const calledOnLists: ReadonlySet<string> = new Set([...merging, "Attention", "AdditiveAttention"]);

function changeWithMasks(
  { className, config }: GraphLayer,
  node: GraphNode,
  given: readonly MaskId[],
  { isOld, isEarly }: Releases,
): string | undefined {
  if (calledOnLists.has(className)) {
    const propagated = config["hands_masks"] !== false;
    if (propagated && isEarly) return "propagated its mask and now propagates none";
    if (!propagated && !isEarly) return "propagated no mask and now propagates one";
  }
  if (merging.has(className)) {
    const isOneMask = given.every((mask) => mask === given[0]);
    return isOneMask || !isOld || isEarly
      ? undefined
      : "kept a step if all of its masks did and now keeps it if any does";
  }
  if (className === "MultiHeadAttention") {
    if (config["supports_masking"] === false) return "ignored masks and now uses them";
    const kept = isOld || config["leaves_masks"] === true;
    if (kept === isEarly) return undefined;
    return kept
      ? "kept the masks of its inputs and now removes them"
      : "removed the masks of its inputs and now keeps them";
  }
  return isOld ? changeInOldLayer({ className, config }, node, given) : undefined;
}

/** Returns what a layer of Keras 1 or 2 computed differently with a mask. */
function changeInOldLayer(
  { className, config }: Pick<GraphLayer, "className" | "config">,
  node: GraphNode,
  given: readonly MaskId[],
): string | undefined {
  if (recurrent.has(className)) {
    if (given.length > 1 || "initial_state" in node.kwargs)
      return "used its mask with initial states and now ignores it";
    return className === "RNN" && isUntimed(config)
      ? "returned its state at masked steps and now returns the previous output"
      : undefined;
  }
  if (className === "Bidirectional" && isUntimed(configInside(config)))
    return "returned its states at masked steps and now returns zeros";
  if (className === "Softmax") return "returned probabilities for a fully masked row and now returns zeros";
  return undefined;
}

/** Returns whether the config was written before Keras 2.3, which introduced time_major. */
function isUntimed(config: JsonObject): boolean {
  return !("time_major" in config);
}
