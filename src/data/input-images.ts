import type { Notes, PreprocessMode } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { formatShape, type Shape } from "../tensor.ts";
import { type LayerGraph, layerAt } from "../topology/layer-graph.ts";
import type { Channels } from "./decode.ts";
import { familyOf } from "./families.ts";

export interface DetectedPreprocess {
  readonly mode: PreprocessMode;
  /** What the mode follows from: the file's notes, a layer at the input, the family's habit, or nothing. */
  readonly source: "notes" | "layer" | "family" | "unknown";
  /** Why, in words. */
  readonly reason: string;
  /** The family of `keras.applications`, where the layers are named like one. */
  readonly family?: string;
  readonly warning?: string;
}

const defaultSide = 224;

/**
 * How the model's images are to be prepared: as the notes in its file say; else not at all if a layer at its input does it; else
 * as its family does; else not at all, with a warning.
 */
export function detectPreprocess(graph: LayerGraph, notes: Notes): DetectedPreprocess {
  const family = familyOf(graph);
  const named = family && { family: family.name };
  if (notes.preprocess) {
    return { mode: notes.preprocess, source: "notes", reason: "noted in the file", ...named };
  }
  const layer = preprocessingLayer(graph);
  if (layer) return { mode: "none", source: "layer", reason: `${layer} is in the model`, ...named };
  if (family) {
    const reason = `${family.name} by its layer names`;
    return { mode: family.preprocess, source: "family", reason, family: family.name };
  }
  return {
    mode: "none",
    source: "unknown",
    reason: "unknown architecture",
    warning: `preprocessing: expected a known architecture or a Rescaling layer at the input, got neither: pixels stay 0-255. Use ${optionName("preprocess")} if the model was trained on other values.`,
  };
}

/**
 * The `[height, width]` that the model's images are resized to: what its input fixes; where that is free, what is asked for, else
 * what the file's notes say, else what its family was trained on, else 224.
 *
 * @throws {UsageError} if another size is asked for than the input fixes.
 * @throws {TopologyError} if the model does not take one image.
 */
export function imageSizeOf(
  graph: LayerGraph,
  notes: Notes,
  requested?: number | readonly [number, number],
): readonly [number, number] {
  const [, height = null, width = null] = imageShape(graph);
  const asked = typeof requested === "number" ? ([requested, requested] as const) : requested;
  if (asked && ((height !== null && height !== asked[0]) || (width !== null && width !== asked[1]))) {
    throw new UsageError(
      `${optionName("imageSize")}: expected ${height ?? "any"}x${width ?? "any"}, the model's fixed input, got ${asked.join("x")}.`,
      "image-size",
      "imageSize",
    );
  }
  const side = familyOf(graph)?.imageSize ?? defaultSide;
  const free = asked ?? notes.imageSize ?? [side, side];
  return [height ?? free[0], width ?? free[1]];
}

/**
 * Colour channels of the model's images, 3 where the input leaves them free.
 *
 * @throws {TopologyError} if the model does not take one image.
 */
export function imageChannelsOf(graph: LayerGraph): Channels {
  return (imageShape(graph)[3] ?? 3) as Channels;
}

/** Layers that leave the values of pixels as they are, or change them in training alone. */
const passesPixels =
  /^(InputLayer|Identity|Dropout|ZeroPadding2D|Cropping2D|CenterCrop|Resizing|Reshape|Permute|Random\w+|Gaussian\w+|RandAugment|AugMix|AutoContrast|Pipeline)$/;

const rescales = /^(Rescaling|Normalization)$/;

/** Arithmetic on pixels, as `preprocess_input` leaves it in a functional model. */
const arithmetic =
  /^(ops\.(TrueDivide|Divide|Subtract|Add|Multiply|Stack|Flip|GetItem|Take)|TFOpLambda|SlicingOpLambda|TensorFlowOpLayer|Lambda)$/;

/** Path of the first layer, before any with weights, that rescales or normalizes the pixels. */
function preprocessingLayer(graph: LayerGraph): string | undefined {
  const pixels = new Set(graph.inputs.map(({ ref }) => ref.node));
  for (const node of graph.nodes) {
    if (!node.inputs.some((ref) => pixels.has(ref.node))) continue;
    const { path, className } = layerAt(graph, node.layer);
    if (rescales.test(className) || arithmetic.test(className)) return path;
    if (passesPixels.test(className)) pixels.add(node.index);
  }
  return undefined;
}

function imageShape(graph: LayerGraph): Shape {
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0) {
    const names = graph.inputs.map(({ name }) => name).join(", ");
    throw new TopologyError(
      `${graph.name}: expected one input of images or texts, got ${graph.inputs.length} inputs (${names}). Train it on arrays.`,
      "not-an-image-model",
    );
  }
  const shape = graph.nodes[input.ref.node]?.outputs[input.ref.output]?.shape ?? [];
  const channels = shape[3] ?? 3;
  if (shape.length === 4 && (channels === 1 || channels === 3 || channels === 4)) return shape;
  if (readByEmbedding(graph)) {
    throw new TopologyError(
      `${input.name}: expected images or texts, got ${formatShape(shape)}, numbers that stand for words, and the file does not say which. Put the TextVectorization that made them in front, keras.Sequential([vectorize, model]), and save again; or train it on arrays of these numbers.`,
      "not-a-text-model",
    );
  }
  const channelsFirst = shape.length === 4 && (shape[1] === 1 || shape[1] === 3);
  const advice = channelsFirst ? "Channels-first images are not supported." : "Train it on arrays.";
  throw new TopologyError(
    `${input.name}: expected images [None,height,width,3] (1 for gray, 4 with alpha), got ${formatShape(shape)}. ${advice}`,
    "not-an-image-model",
  );
}

function readByEmbedding(graph: LayerGraph): boolean {
  const { node } = graph.inputs[0]!.ref;
  const readers = graph.nodes.filter(({ inputs }) => inputs.some((ref) => ref.node === node));
  return readers.some(({ layer }) => layerAt(graph, layer).className.endsWith("Embedding"));
}
