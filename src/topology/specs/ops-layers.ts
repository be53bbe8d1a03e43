/**
 * @file Operations of keras.ops that compute what layers do, with weights as operands (`keras/src/ops/nn.py`,
 * `image.py`).
 */
import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { countAt, integerAt, positiveAxis, sizesAt, stringAt } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { transposedShape } from "./convolution-transpose.ts";
import { operandShapes } from "./ops-elementwise.ts";
import {
  channelCount,
  imageShape,
  requireRank,
  sampleSize,
  spatialShape,
  visitedLength,
  windowAt,
} from "./windows.ts";

const window: JsonObject = { strides: 1, padding: "valid", data_format: null, dilation_rate: 1 };

/** Returns the shape of an operand, a tensor or a constant. @throws {TopologyError} if it is missing. */
function operand(call: CallShapes, index: number, name: string): Shape {
  const shape = operandShapes(call)[index];
  if (shape) return shape;
  throw new TopologyError(`${name}: expected an operand, got none.`, "shape");
}

/** Returns the output shape of a kernel that slides over the input's spatial axes. */
function slid(input: Shape, config: JsonObject, kernel: Shape, filters: number | null): Shape {
  const rank = input.length - 2;
  const strides = sizesAt(config, "strides", rank);
  const dilations = sizesAt(config, "dilation_rate", rank);
  const spatial = spatialShape(input, config).map((length, axis) =>
    visitedLength(length, windowAt(axis, kernel, strides, dilations), stringAt(config, "padding")),
  );
  return imageShape(input[0] ?? null, spatial, filters, config);
}

function taps(kernel: Shape, end: number): number {
  return kernel.slice(0, end).reduce<number>((product, size) => product * (size ?? 0), 1);
}

const convolutions: readonly LayerSpec[] = [
  operation(
    "Conv",
    (input, call) => {
      const kernel = operand(call, 1, "kernel");
      return slid(input, call.config, kernel, kernel.at(-1) ?? null);
    },
    window,
    { multiplyAdds: (call) => sampleSize(call.outputs[0]) * taps(operand(call, 1, "kernel"), -1) },
  ),
  operation(
    "DepthwiseConv",
    (input, call) => {
      const kernel = operand(call, 1, "kernel");
      return slid(input, call.config, kernel, channelCount(input, call.config) * (kernel.at(-1) ?? 0));
    },
    window,
    { multiplyAdds: (call) => sampleSize(call.outputs[0]) * taps(operand(call, 1, "kernel"), -2) },
  ),
  operation(
    "SeparableConv",
    (input, call) =>
      slid(
        input,
        call.config,
        operand(call, 1, "kernel"),
        operand(call, 2, "pointwise kernel").at(-1) ?? null,
      ),
    window,
  ),
  operation(
    "ConvTranspose",
    (input, call) => {
      const kernel = operand(call, 1, "kernel");
      const config = { ...call.config, kernel_size: kernel.slice(0, -2) as readonly number[] };
      return transposedShape(config, input, input.length - 2, kernel.at(-2) ?? 0);
    },
    { ...window, output_padding: null },
  ),
];

function adaptivePool(name: string): LayerSpec {
  return operation(
    name,
    (input, { config }) =>
      imageShape(
        input[0] ?? null,
        sizesAt(config, "output_size", input.length - 2),
        channelCount(input, config),
        config,
      ),
    { data_format: null },
  );
}

/** Creates the spec of an operation that moves blocks of positions to channels or back. */
function blocks(
  name: string,
  sizeOf: (size: number, block: number) => number,
  depthOf: (depth: number, area: number) => number,
): LayerSpec {
  return operation(
    name,
    (input, { config }) => {
      requireRank(input, 4);
      const block = countAt(config, "block_size");
      const spatial = spatialShape(input, config).map((size) => (size === null ? null : sizeOf(size, block)));
      const depth = depthOf(channelCount(input, config), block * block);
      if (Number.isInteger(depth) && spatial.every((size) => size === null || Number.isInteger(size))) {
        return imageShape(input[0] ?? null, spatial, depth, config);
      }
      throw new TopologyError(
        `block_size: expected a divisor of the sizes ${formatShape(input)}, got ${block}.`,
        "shape",
      );
    },
    { data_format: null },
  );
}

const multiHot = operation(
  "MultiHot",
  (input, { config }) => {
    const kept = input.length > 1 ? input.filter((_, axis) => axis !== 1) : input;
    const axis = positiveAxis(integerAt(config, "axis"), kept.length + 1);
    return [...kept.slice(0, axis), countAt(config, "num_classes"), ...kept.slice(axis)];
  },
  { axis: -1 },
);

/** DotProductAttention of queries `[N, T, heads, size]`, keys and values `[N, S, heads, size]`. */
const dotProductAttention = operation(
  "DotProductAttention",
  (query, call) => {
    requireRank(query, 4);
    return [...query.slice(0, -1), operand(call, 2, "value").at(-1) ?? null];
  },
  { is_causal: false, attn_logits_soft_cap: null },
);

const extractPatches = operation(
  "ExtractPatches",
  (input, { config }) => {
    requireRank(input, 4);
    const size = sizesAt(config, "size", 2);
    const strides = config["strides"] ?? size;
    const channels = size.reduce((product, length) => product * length, channelCount(input, config));
    return slid(input, { ...config, strides }, size, channels);
  },
  { strides: null, dilation_rate: 1, padding: "valid", data_format: null },
);

/** Creates the spec of an operation that pads or crops images, given two of both margins and the target size. */
function resizedImages(name: string, adds: boolean): LayerSpec {
  const words = adds ? "padding" : "cropping";
  return operation(
    name,
    (input, { config }) => {
      requireRank(input, 4);
      const [height = null, width = null] = spatialShape(input, config);
      const sizes = [
        margins(config, words, adds, height, "height"),
        margins(config, words, adds, width, "width"),
      ];
      return imageShape(
        input[0] ?? null,
        sizes.map(({ size }) => size),
        channelCount(input, config),
        config,
      );
    },
    { data_format: null },
  );
}

/** Margins that are padded or cropped along one axis of images, and the resulting size. */
export interface Margins {
  readonly before: number;
  readonly after: number;
  readonly size: number | null;
}

/**
 * Computes the margins along one axis from two of both margins and the target size.
 * @param words `padding` or `cropping`, which the arguments' names contain.
 * @param adds True for padding.
 * @throws {TopologyError} if fewer than two are given.
 */
export function margins(
  config: JsonObject,
  words: string,
  adds: boolean,
  length: number | null,
  axis: "height" | "width",
): Margins {
  const [first, last] = axis === "height" ? ["top", "bottom"] : ["left", "right"];
  const read = (key: string): number | undefined =>
    typeof config[key] === "number" ? Number(config[key]) : undefined;
  const target = read(`target_${axis}`);
  const before = read(`${first}_${words}`);
  const after = read(`${last}_${words}`);
  const total =
    target === undefined || length === null ? undefined : adds ? target - length : length - target;
  const start = before ?? (total === undefined ? undefined : total - (after ?? 0));
  const end = after ?? (total === undefined ? undefined : total - (before ?? 0));
  if (start === undefined || end === undefined || start < 0 || end < 0) {
    throw new TopologyError(
      `${first}_${words}: expected two of both margins and the target ${axis}, got fewer.`,
      "shape",
    );
  }
  if (length === null) return { before: start, after: end, size: target ?? null };
  return { before: start, after: end, size: adds ? length + start + end : length - start - end };
}

const sameShape = (input: Shape): Shape => input;

function withoutClasses(input: Shape, { config }: CallShapes): Shape {
  const classes = positiveAxis(integerAt(config, "axis"), input.length);
  return input.filter((_, axis) => axis !== classes);
}

export const layerOpSpecs: readonly LayerSpec[] = [
  ...convolutions,
  adaptivePool("AdaptiveAveragePool"),
  adaptivePool("AdaptiveMaxPool"),
  blocks(
    "DepthToSpace",
    (size, block) => size * block,
    (depth, area) => depth / area,
  ),
  blocks(
    "SpaceToDepth",
    (size, block) => size / block,
    (depth, area) => depth * area,
  ),
  multiHot,
  operation("BatchNorm", sameShape, { epsilon: 0.001 }),
  operation("LayerNorm", sameShape, { axis: -1, epsilon: null, rms_scaling: false }),
  operation("RMSNorm", sameShape, { axis: -1, epsilon: null }),
  dotProductAttention,
  operation(
    "RGBToGrayscale",
    (input, { config }) => imageShape(input[0] ?? null, spatialShape(input, config), 1, config),
    { data_format: null },
  ),
  operation("GaussianBlur", sameShape, { kernel_size: 3, sigma: 1, data_format: null }),
  operation("SobelEdges", (input) => [...input, 2], { data_format: null }),
  operation("RGBToHSV", sameShape, { data_format: null }),
  operation("HSVToRGB", sameShape, { data_format: null }),
  operation("BinaryCrossentropy", sameShape, { from_logits: false }),
  operation("CategoricalCrossentropy", withoutClasses, { from_logits: false, axis: -1 }),
  operation("SparseCategoricalCrossentropy", (_, call) => operand(call, 1, "output").slice(0, -1), {
    from_logits: false,
  }),
  operation("CTCLoss", (input) => [input[0] ?? null], { mask_index: 0 }),
  {
    className: "ops.CTCDecode",
    defaults: { strategy: "greedy", beam_width: 100, top_paths: 1, merge_repeated: true, mask_index: 0 },
    outputShapes: ({ config, inputs }) => {
      const [batch = null, steps = null] = inputs[0];
      const paths = config["strategy"] === "greedy" ? 1 : countAt(config, "top_paths");
      return [
        [paths, batch, steps],
        [batch, paths],
      ];
    },
    outputDTypes: () => ["int32", "float32"],
  },
  operation("InTopK", sameShape, {}, { outputDTypes: () => ["bool"] }),
  extractPatches,
  resizedImages("PadImages", true),
  resizedImages("CropImages", false),
];
