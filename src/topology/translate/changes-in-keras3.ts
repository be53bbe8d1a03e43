import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { layerGraph } from "../build-graph.ts";
import { isObject } from "../config-values.ts";
import { dialectOf } from "../dialects/dialect.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../layer-graph.ts";
import { layersByPath, refKey } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";
import { quantizationOf } from "../specs/quantization.ts";
import { callsThatStayActive } from "../stays-active.ts";

/** The Keras 3 that opens what is written: a current one, or one of 3.0 to 3.3. */
export type Keras3Release = "current" | "early";

/**
 * What that Keras 3 computes otherwise than the Keras that wrote the model, a sentence a layer in the graph's order. Between
 * releases of Keras 3 these are masks: 3.4 began to hand them on where layers merge, 3.8 to take them off attention's inputs. The
 * `.h5` of Keras 1 or 2 keeps the numbers in the Keras that wrote it.
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
              "took the batch's statistics in prediction too, called with training=True, and takes the stored ones",
            ]
          : []),
        ...(drawing.has(layer.path)
          ? ["drew random numbers in prediction too, called with training=True, and draws none"]
          : []),
        ...mergedWhenWritten(layer),
        ...(masked.get(layer.path) ?? []),
      ]),
    ].map((change) => `${layer.path}: ${layer.className}: ${change}`),
  );
}

/** An archive has no place for LoRA's matrices. */
function mergedWhenWritten({ config }: GraphLayer): readonly string[] {
  return quantizationOf(config) && config["lora_rank"] != null
    ? ["LoRA, once trained, stood beside its kernel, and is rounded with it to whole numbers"]
    : [];
}

/** What a layer computes otherwise whatever it is called on. */
function changesOf({ className, config }: GraphLayer): readonly string[] {
  const changes: string[] = [];
  if (usesHardSigmoid(config)) changes.push("hard_sigmoid was clip(0.2 x + 0.5) and is clip(x / 6 + 0.5)");
  if (className === "RandomCrop") changes.push("at inference it cropped the middle and leaves the image");
  if (className === "UpSampling2D" && config["interpolation"] === "bilinear_from_corner") {
    changes.push("bilinear interpolation began at the corner pixels and takes pixels by their centers");
  }
  return changes;
}

/** In an activation of the layer or of one inside it. */
function usesHardSigmoid(json: Json): boolean {
  if (Array.isArray(json)) return (json as readonly Json[]).some(usesHardSigmoid);
  if (!isObject(json)) return false;
  return Object.entries(json).some(
    ([key, value]) => (key.endsWith("activation") && value === "hard_sigmoid") || usesHardSigmoid(value),
  );
}

/** Where the mask of a tensor comes from: two are the same mask where they are equal; undefined for none. */
type Origin = string | undefined;

/** From which Keras to which: `isOld` is 1 or 2, `isEarly` is 3.0 to 3.3. */
interface Move {
  readonly isOld: boolean;
  readonly isEarly: boolean;
}

/** What calls with masks compute otherwise, by layer path. */
function maskedCalls(graph: LayerGraph, move: Move): ReadonlyMap<string, readonly string[]> {
  const layers = layersByPath(graph);
  const origins = new Map<string, Origin>();
  const changes = new Map<string, string[]>();
  for (const node of graph.nodes) {
    const layer = layers.get(node.layer)!;
    const given = node.inputs.map((ref) => origins.get(refKey(ref)));
    const change = given.some((origin) => origin !== undefined) && changeWithMasks(layer, node, given, move);
    if (change) changes.set(layer.path, [...(changes.get(layer.path) ?? []), change]);
    const handed = originAfter(layer, node, given);
    node.outputs.forEach((_, output) => {
      origins.set(refKey({ node: node.index, output }), handed);
    });
  }
  return changes;
}

/** Layers that are called on a list and make one mask of theirs. */
const joining: ReadonlySet<string> = new Set(
  "Add Subtract Multiply Average Maximum Minimum Concatenate Dot".split(" "),
);

const recurrent: ReadonlySet<string> = new Set(
  "SimpleRNN LSTM GRU RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D".split(" "),
);

function originAfter({ className, config }: GraphLayer, node: GraphNode, given: readonly Origin[]): Origin {
  const makes = className === "Masking" || (className === "Embedding" && config["mask_zero"] === true);
  if (makes) return `${node.index}`;
  if (!specOf(className)?.masking || endsSteps(className, config)) return undefined;
  const [first] = given;
  return given.every((origin) => origin === first) || !joining.has(className) ? first : `${node.index}`;
}

/** Whether a recurrent layer gives its last step alone. */
function endsSteps(className: string, config: JsonObject): boolean {
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

/** Layers that are called on a list, and handed no mask on before Keras 3.4. */
const listed: ReadonlySet<string> = new Set([...joining, "Attention", "AdditiveAttention"]);

function changeWithMasks(
  { className, config }: GraphLayer,
  node: GraphNode,
  given: readonly Origin[],
  { isOld, isEarly }: Move,
): string | undefined {
  if (listed.has(className)) {
    const handed = config["hands_masks"] !== false;
    if (handed && isEarly) return "handed its mask on, and hands none";
    if (!handed && !isEarly) return "handed no mask on, and hands one";
  }
  if (joining.has(className)) {
    const alike = given.every((origin) => origin === given[0]);
    return alike || !isOld || isEarly
      ? undefined
      : "showed a step where all of its masks do, and shows it where any does";
  }
  if (className === "MultiHeadAttention") {
    if (config["supports_masking"] === false) return "took no masks, and takes them";
    const left = isOld || config["leaves_masks"] === true;
    if (left === isEarly) return undefined;
    return left
      ? "left the masks on its inputs, and takes them off"
      : "took the masks off its inputs, and leaves them";
  }
  return isOld ? changeInOldLayer({ className, config }, node, given) : undefined;
}

/** What layers of Keras 1 and 2 made of masks. */
function changeInOldLayer(
  { className, config }: Pick<GraphLayer, "className" | "config">,
  node: GraphNode,
  given: readonly Origin[],
): string | undefined {
  if (recurrent.has(className)) {
    if (given.length > 1 || "initial_state" in node.kwargs)
      return "took the mask along with the states that it starts from, and takes none then";
    return className === "RNN" && isUntimed(config)
      ? "gave its state at hidden steps, and gives the output before"
      : undefined;
  }
  if (className === "Bidirectional" && isUntimed(configInside(config)))
    return "gave its states at hidden steps, and gives zeros";
  if (className === "Softmax") return "shared out a row that its mask hides whole, and gives zeros";
  return undefined;
}

/** Of Keras before 2.3, which knew no time_major. */
function isUntimed(config: JsonObject): boolean {
  return !("time_major" in config);
}
