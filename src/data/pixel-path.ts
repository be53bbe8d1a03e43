import type { Json } from "../checkpoint.ts";
import type { Argument, GraphLayer, GraphNode, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { layerAt, refKey } from "../topology/layer-graph.ts";

/** Changes that the graph itself makes to pixels before its first layer with weights. */
export interface PixelPath {
  /** Path of the first layer that scales or shifts pixels or exchanges their channels; undefined if none does. */
  readonly preparedBy: string | undefined;
  /** Smallest and largest value that reaches a layer with weights where pixels are 0 to 255; null where it is not known. */
  readonly range: readonly [low: number, high: number] | null;
}

/** The values of a tensor made of pixels. */
interface Values {
  readonly low: number;
  readonly high: number;
  /** For each channel, which one of the input it is; null where channels are mixed or gone. */
  readonly channels: readonly number[] | null;
  /** Path of the first layer that changed them. */
  readonly changedBy?: string;
}

/**
 * Follows pixels of 0 to 255 from the inputs as far as the first layers with weights, by the range of their values: whatever leaves
 * the range (casts, resizing, padding, pooling, concatenation, random layers) is passed, in nested models too.
 */
export function pixelPath(graph: LayerGraph): PixelPath {
  const known = new Map<string, Values>();
  for (const { ref } of graph.inputs) known.set(refKey(ref), pixelsOf(graph, ref));
  const ends: Values[] = [];
  for (const node of graph.nodes) {
    const given = node.inputs.flatMap((ref) => known.get(refKey(ref)) ?? []);
    if (given.length === 0) continue;
    const after = valuesAfter(layerAt(graph, node.layer), node, known);
    if (after === "end") ends.push(...given);
    else for (const output of node.outputs.keys()) known.set(refKey({ node: node.index, output }), after);
  }
  for (const { ref } of graph.outputs) ends.push(...[known.get(refKey(ref)) ?? []].flat());
  const changed = ends.find(isChanged);
  if (changed === undefined) return { preparedBy: undefined, range: [0, 255] };
  const { low, high, changedBy } = changed;
  return { preparedBy: changedBy, range: Number.isFinite(low) && Number.isFinite(high) ? [low, high] : null };
}

function pixelsOf({ nodes }: LayerGraph, { node, output }: TensorRef): Values {
  const channels = nodes[node]?.outputs[output]?.shape?.[3];
  return {
    ...{ low: 0, high: 255 },
    channels: channels === undefined || channels === null ? null : [...Array(channels).keys()],
  };
}

/** Within two percent pixels are what they were: the shares of colors in a gray value do not sum to exactly one. */
function isChanged({ low, high, channels }: Values): boolean {
  return Math.abs(low) > 5 || Math.abs(high - 255) > 5 || isReordered(channels ?? []);
}

/** Returns whether the channels are those of the input, each once, in another order. */
function isReordered(channels: readonly number[]): boolean {
  const isWhole = new Set(channels).size === channels.length && Math.max(...channels) === channels.length - 1;
  return isWhole && channels.some((channel, index) => channel !== index);
}

/** Layers that leave the range of pixels as it is, or change it in training alone. */
const passes =
  /^(InputLayer|Identity|Activity\w+|(Spatial)?Dropout(\dD)?|Gaussian\w+|AlphaDropout|ZeroPadding\dD|Cropping\dD|CenterCrop|Resizing|Reshape|Permute|Flatten|RepeatVector|UpSampling\dD|(Max|Average)Pooling\dD|Global(Max|Average)Pooling\dD|ReLU|Random\w+|RandAugment|AugMix|AutoContrast|Equalization|CutMix|MixUp|Pipeline|ops\.(Cast|Reshape|Transpose|Permute|Swapaxes|Moveaxis|ExpandDims|Squeeze|Repeat|Tile|BroadcastTo|Identity|Copy|StopGradient|Pad|Resize|CropImages|PadImages|ExtractPatches|Mean|Median|Quantile|Amax|Amin|Max|Min|Round|Floor|Ceil|Trunc|Relu|MaxPool|AveragePool|RGBToGrayscale|Ravel|Roll|Rot90|NanToNum|Fliplr|Flipud|AffineTransform|PerspectiveTransform|GaussianBlur))$/;

/** Layers that put several tensors into one. */
const joins =
  /^(Concatenate|Maximum|Minimum|Average|ops\.(Concatenate|Stack|Maximum|Minimum|Hstack|Vstack|Dstack|Where))$/;

const arithmetic: Readonly<Record<string, (a: Interval, b: Interval) => Interval>> = {
  Add: (a, b) => [a[0] + b[0], a[1] + b[1]],
  Subtract: (a, b) => [a[0] - b[1], a[1] - b[0]],
  Multiply: products,
  TrueDivide: (a, b) => quotients(a, b),
  Divide: (a, b) => quotients(a, b),
  DivideNoNan: (a, b) => quotients(a, b),
};

type Interval = readonly [low: number, high: number];

const anything: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

function valuesAfter(layer: GraphLayer, node: GraphNode, known: ReadonlyMap<string, Values>): Values | "end" {
  const { className, config, path } = layer;
  const given = node.inputs.flatMap((ref) => known.get(refKey(ref)) ?? []);
  const [first] = given;
  if (first === undefined) return "end";
  if (className === "ops.RGBToGrayscale") return { ...first, channels: null };
  if (passes.test(className)) return first;
  if (joins.test(className)) return noted(joined(given), path);
  if (className === "Rescaling") {
    const [scale, offset] = [extent(config["scale"]), extent(config["offset"] ?? 0)];
    const scaled = scale && offset && arithmetic["Add"]?.(products([first.low, first.high], scale), offset);
    return changed(first, path, scaled ?? anything);
  }
  if (className === "Normalization") return changed(first, path, anything);
  const operation = arithmetic[className.replace(/^ops\./, "")];
  if (operation) {
    const operands = [...node.args, ...Object.values(node.kwargs)].flatMap((argument) =>
      operandsIn(argument, known),
    );
    const result = operands.length > 1 ? operands.reduce(operation) : anything;
    return changed(first, path, result);
  }
  if (/^ops\.(GetItem|Take|Flip|Split|Unstack|Slice)$/.test(className)) {
    return noted({ ...first, channels: channelsTaken(first.channels, layer, node) }, path);
  }
  if (className === "ops.Clip") return first;
  return className.startsWith("ops.") || className === "Lambda" ? changed(first, path, anything) : "end";
}

/** Returns the values with a new range; the layer that first changes them is remembered. */
function changed(values: Values, path: string, [low, high]: Interval): Values {
  return noted({ ...values, low, high }, path);
}

function noted(values: Values, path: string): Values {
  return isChanged(values) ? { ...values, changedBy: values.changedBy ?? path } : values;
}

function joined(given: readonly Values[]): Values {
  const changedBy = given.find((values) => values.changedBy !== undefined)?.changedBy;
  const channels = given.every((values) => values.channels !== null)
    ? given.flatMap((values) => values.channels ?? [])
    : null;
  return {
    low: Math.min(...given.map(({ low }) => low)),
    high: Math.max(...given.map(({ high }) => high)),
    channels,
    ...(changedBy !== undefined && { changedBy }),
  };
}

function products(a: Interval, b: Interval): Interval {
  const all = a.flatMap((x) => b.map((y) => x * y));
  return [Math.min(...all), Math.max(...all)];
}

function quotients(a: Interval, b: Interval): Interval {
  if (b[0] <= 0 && b[1] >= 0) return anything;
  return products(a, [1 / b[1], 1 / b[0]]);
}

function operandsIn(argument: Argument, known: ReadonlyMap<string, Values>): readonly Interval[] {
  if (argument.kind === "tensor") {
    const values = known.get(refKey(argument.ref));
    return [values ? [values.low, values.high] : anything];
  }
  if (argument.kind === "list") return argument.items.flatMap((item) => operandsIn(item, known));
  const constant = argument.kind === "value" ? extent(argument.value) : undefined;
  return constant ? [constant] : [];
}

/** Returns the smallest and the largest number in a constant, undefined where it holds something else. */
function extent(value: Json | undefined): Interval | undefined {
  const numbers = [value].flat(8) as readonly unknown[];
  if (numbers.length === 0 || numbers.some((each) => typeof each !== "number")) return undefined;
  return [Math.min(...(numbers as number[])), Math.max(...(numbers as number[]))];
}

/** Returns the channels that a slice, a list of indices or a reversal of the last axis leaves, in their order. */
function channelsTaken(
  channels: readonly number[] | null,
  { className, config }: GraphLayer,
  { args }: GraphNode,
): readonly number[] | null {
  if (channels === null) return null;
  if (className === "ops.Flip") {
    const axes = [config["axis"] ?? null].flat();
    return axes.includes(-1) || axes.includes(3) ? [...channels].reverse() : channels;
  }
  const given = args[1]?.kind === "value" ? args[1].value : undefined;
  if (className === "ops.Take") {
    if (config["axis"] !== -1 && config["axis"] !== 3) return channels;
    return [given ?? []].flat().map((index) => channels.at(Number(index)) ?? 0);
  }
  if (className !== "ops.GetItem" || !Array.isArray(given))
    return className === "ops.GetItem" ? channels : null;
  const keys = given as readonly Json[];
  const last = keys.at(-1);
  const reachesLast = keys.length === 4 || JSON.stringify(keys[0] ?? null).includes("__ellipsis__");
  if (!reachesLast) return channels;
  if (typeof last === "number") return [channels.at(last) ?? 0];
  const { start = null, stop = null, step = null } = sliceOf(last);
  if (step === -1 && start === null && stop === null) return [...channels].reverse();
  return step === null || step === 1 ? channels.slice(start ?? undefined, stop ?? undefined) : null;
}

function sliceOf(key: Json | undefined): {
  start?: number | null;
  stop?: number | null;
  step?: number | null;
} {
  const isSlice =
    typeof key === "object" && key !== null && "class_name" in key && key["class_name"] === "__slice__";
  return isSlice ? ((key as { config: object })["config"] as ReturnType<typeof sliceOf>) : {};
}
