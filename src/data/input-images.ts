import type { Notes, PreprocessMode } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { optionName, optionSetTo } from "../options.ts";
import { formatShape, type Shape } from "../tensor.ts";
import { type LayerGraph, layerAt } from "../topology/layer-graph.ts";
import type { Channels } from "./decode.ts";
import { familyOf } from "./families.ts";
import { pixelPath } from "./pixel-path.ts";

export interface DetectedPreprocess {
  readonly mode: PreprocessMode;
  /** The origin of the mode: the file's notes, a layer before the first weights, the family's habit, or nothing. */
  readonly source: "notes" | "layer" | "family" | "unknown";
  /** Why, in words. */
  readonly reason: string;
  /** The family of `keras.applications`, where the layers are named like one. */
  readonly family?: string;
  readonly warning?: string;
}

/**
 * Returns how the model's images are to be prepared: as the notes in its file say; else not at all if the model itself does it
 * before its first weights; else as its family does; else not at all, with a warning.
 */
export function detectPreprocess(graph: LayerGraph, notes: Notes): DetectedPreprocess {
  const family = familyOf(graph);
  const named = family && { family: family.name };
  if (notes.preprocess) {
    return { mode: notes.preprocess, source: "notes", reason: "noted in the file", ...named };
  }
  const { preparedBy, range } = pixelPath(graph);
  if (preparedBy !== undefined) {
    const reason = `${preparedBy} is in the model`;
    const warning = range && strangeRange(preparedBy, range);
    return { mode: "none", source: "layer", reason, ...named, ...(warning && { warning }) };
  }
  if (family) {
    const reason = `${family.name} by its layer names`;
    return { mode: family.preprocess, source: "family", reason, family: family.name };
  }
  return {
    mode: "none",
    source: "unknown",
    reason: "unknown architecture",
    warning: `preprocessing: expected a known architecture or layers that scale pixels before the first weights, got neither: pixels stay 0 to 255. Use ${optionSetTo("preprocess", "unit")} if the model was trained on x/255, or another mode.`,
  };
}

/** A model that makes larger numbers of pixels than they are was made for smaller ones. */
function strangeRange(path: string, [low, high]: readonly [number, number]): string | undefined {
  if (Math.max(-low, high) <= 400) return undefined;
  const number = (value: number) => Number(value.toFixed(2));
  return `preprocessing: ${path} makes pixels of 0 to 255 into ${number(low)} to ${number(high)}, as if it expected smaller ones. Use ${optionSetTo("preprocess", "unit")} if the model was trained on x/255.`;
}

/** Returns the warning that a mode prepares pixels which the model prepares itself, undefined where it does not. */
export function preparedTwice(graph: LayerGraph, mode: PreprocessMode): string | undefined {
  if (mode === "none") return undefined;
  const { preparedBy, range } = pixelPath(graph);
  if (preparedBy === undefined || (range && strangeRange(preparedBy, range))) return undefined;
  return `${optionSetTo("preprocess", mode)}: ${preparedBy} in the model prepares pixels too, so that they are prepared twice. Use none or auto.`;
}

/** Place of an image's pixels in the model's input. */
export interface ImageInput {
  /** `[height, width]`, null where the input leaves it free. */
  readonly size: readonly [height: number | null, width: number | null];
  readonly channels: Channels;
  /**
   * `channels`: `[height, width, channels]`; `gray`: `[height, width]`; `flat`: `[height * width * channels]`, as MNIST is often
   * given.
   */
  readonly layout: "channels" | "gray" | "flat";
  /** True if the input takes whole numbers. */
  readonly isWhole: boolean;
}

const defaultSide = 224;

/**
 * Returns the `[height, width]` that the model's images are resized to: what its input fixes; where that is free, what is asked for,
 * else what the file's notes say, else what its family was trained on, else 224.
 *
 * @throws {UsageError} if another size is asked for than the input fixes.
 * @throws {TopologyError} if the model does not take one image.
 */
export function imageSizeOf(
  graph: LayerGraph,
  notes: Notes,
  requested?: number | readonly [number, number],
): readonly [number, number] {
  const { size } = imageInputOf(graph, requested);
  const [height, width] = size;
  const asked = sizeOf(requested);
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
 * Returns the color channels of the model's images, 3 where the input leaves them free.
 *
 * @throws {TopologyError} if the model does not take one image.
 */
export function imageChannelsOf(graph: LayerGraph): Channels {
  return imageInputOf(graph).channels;
}

/**
 * Returns how an image stands in the model's only input. An input of rank 3 is a gray image where its sides could be one's, an input
 * of rank 2 a square image where its length could be one's; another shape of the same length may be asked for.
 *
 * @throws {TopologyError} if the model does not take one image.
 */
export function imageInputOf(graph: LayerGraph, requested?: number | readonly [number, number]): ImageInput {
  const found = imageInputIn(graph, requested);
  if (found) return found;
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0) {
    const names = graph.inputs.map(({ name }) => name).join(", ");
    throw new TopologyError(
      `${graph.name}: expected one input of images or texts, got ${graph.inputs.length} inputs (${names}). Train it on arrays.`,
      "not-an-image-model",
    );
  }
  const shape = graph.nodes[input.ref.node]?.outputs[input.ref.output]?.shape ?? [];
  if (readByEmbedding(graph, input.ref.node)) {
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

/** Returns how an image stands in the model's only input, undefined if the model does not take one image. */
export function imageInputIn(
  graph: LayerGraph,
  requested?: number | readonly [number, number],
): ImageInput | undefined {
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0 || readByEmbedding(graph, input.ref.node)) return undefined;
  const spec = graph.nodes[input.ref.node]?.outputs[input.ref.output];
  const place = placeOfPixels(spec?.shape ?? [], sizeOf(requested));
  return place && { ...place, isWhole: /^u?int/.test(spec?.dtype ?? "") };
}

type Place = Omit<ImageInput, "isWhole">;

function placeOfPixels(shape: Shape, asked: readonly [number, number] | undefined): Place | undefined {
  const [, height = null, width = null, channels = 3] = shape;
  if (shape.length === 4) {
    const count = channels ?? 3;
    if (count !== 1 && count !== 3 && count !== 4) return undefined;
    return { size: [height, width], channels: count, layout: "channels" };
  }
  if (shape.length === 3) {
    return couldBeSides(height, width) ? { size: [height, width], channels: 1, layout: "gray" } : undefined;
  }
  if (shape.length !== 2 || height === null) return undefined;
  for (const count of [1, 3] as const) {
    const pixels = height / count;
    if (asked && asked[0] * asked[1] === pixels) return { size: asked, channels: count, layout: "flat" };
    const side = Math.sqrt(pixels);
    if (Number.isInteger(side) && couldBeSides(side, side)) {
      return { size: [side, side], channels: count, layout: "flat" };
    }
  }
  return undefined;
}

/** A window of readings, `[128, 9]`, is no image. */
function couldBeSides(height: number | null, width: number | null): boolean {
  if (height === null || width === null) return false;
  return Math.min(height, width) >= 8 && Math.max(height, width) <= 4 * Math.min(height, width);
}

function sizeOf(requested?: number | readonly [number, number]): readonly [number, number] | undefined {
  return typeof requested === "number" ? [requested, requested] : requested;
}

function readByEmbedding(graph: LayerGraph, input: number): boolean {
  const readers = graph.nodes.filter(({ inputs }) => inputs.some((ref) => ref.node === input));
  return readers.some(({ layer }) => layerAt(graph, layer).className.endsWith("Embedding"));
}
