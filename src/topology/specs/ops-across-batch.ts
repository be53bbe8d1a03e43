import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { DType, Shape } from "../../tensor.ts";
import { booleanAt, countAt, integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { broadcastShapes, valueCount } from "./broadcast.ts";
import { concatenatedShape } from "./merging.ts";
import { partSizes } from "./ops-arrays.ts";
import { operandShapes } from "./ops-elementwise.ts";

/**
 * Creates the spec of an operation on a whole tensor, batch included (`keras/src/ops/numpy.py`). Its outputs have no
 * batch axis, or one that combines the samples.
 */
export function acrossBatch(
  name: string,
  shapesOf: (input: Shape, call: CallShapes) => readonly Shape[],
  defaults: JsonObject = {},
  dtype?: DType,
): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: (call) => shapesOf(call.inputs[0], call),
    outputDTypes: (call) => shapesOf(call.inputs[0], call).map(() => dtype ?? call.dtypes[0]),
    couplesBatch: true,
  };
}

/** Returns the shapes of the first two operands. @throws {TopologyError} if there are fewer. */
export function twoOperands(call: CallShapes): [Shape, Shape] {
  const [first, second] = operandShapes(call);
  if (first && second) return [first, second];
  throw new TopologyError("operands: expected 2, got fewer.", "shape");
}

function diagonalMatrix(length: number | null, offset: number): Shape {
  const size = length === null ? null : length + Math.abs(offset);
  return [size, size];
}

/** Returns the shape of a diagonal matrix for a vector, or that of the diagonal for a matrix. */
function diag(input: Shape, { config }: CallShapes): Shape[] {
  const offset = integerAt(config, "k");
  const [rows = null, columns = null] = input;
  if (input.length === 1) return [diagonalMatrix(rows, offset)];
  if (input.length !== 2) {
    throw new TopologyError(`x: expected a vector or a matrix, got rank ${input.length}.`, "shape");
  }
  if (rows === null || columns === null) return [[null]];
  return [[Math.max(0, Math.min(rows + Math.min(0, offset), columns - Math.max(0, offset)))]];
}

function meshgrid(_: Shape, call: CallShapes): Shape[] {
  const sizes = operandShapes(call).map(valueCount);
  const [first = null, second = null, ...rest] = sizes;
  const shape = call.config["indexing"] === "xy" && sizes.length > 1 ? [second, first, ...rest] : sizes;
  return sizes.map(() => shape);
}

function kron(_: Shape, call: CallShapes): Shape[] {
  const [first, second] = twoOperands(call);
  const rank = Math.max(first.length, second.length);
  const padded = (shape: Shape): Shape => [...new Array<number>(rank - shape.length).fill(1), ...shape];
  const other = padded(second);
  return [padded(first).map((size, axis) => valueCount([size, other[axis] ?? null]))];
}

function correlate(_: Shape, call: CallShapes): Shape[] {
  const [[size = null], [length = null]] = twoOperands(call);
  if (size === null || length === null) return [[null]];
  const { mode } = call.config;
  return [
    [mode === "same" ? Math.max(size, length) : mode === "full" ? size + length - 1 : size - length + 1],
  ];
}

/** Returns the shape with a new axis of numbers between two ends. */
function spaced(_: Shape, call: CallShapes): Shape[] {
  const ends = broadcastShapes(...twoOperands(call));
  const axis = positiveAxis(integerAt(call.config, "axis"), ends.length + 1);
  return [[...ends.slice(0, axis), countAt(call.config, "num"), ...ends.slice(axis)]];
}

/** Returns the shapes of the unique values and, if requested, of their first indices, the inverse and the counts. */
function distinctShapes(input: Shape, { config }: CallShapes): Shape[] {
  const size = config["size"] === null ? null : countAt(config, "size");
  const axis = config["axis"] === null ? null : positiveAxis(integerAt(config, "axis"), input.length);
  return [
    axis === null ? [size] : input.map((length, at) => (at === axis ? size : length)),
    ...(booleanAt(config, "return_index") ? [[size]] : []),
    ...(booleanAt(config, "return_inverse") ? [axis === null ? input : [input[axis] ?? null]] : []),
    ...(booleanAt(config, "return_counts") ? [[size]] : []),
  ];
}

export const acrossBatchOpSpecs: readonly LayerSpec[] = [
  acrossBatch("Ravel", (input) => [[valueCount(input)]]),
  acrossBatch("Flipud", (input) => [input]),
  acrossBatch("Size", () => [[]], {}, "int32"),
  acrossBatch("Ndim", () => [[]], {}, "int32"),
  acrossBatch("Vstack", (_, { inputs }) => [concatenatedShape(inputs, 0)]),
  acrossBatch("Vsplit", (input, { config }) =>
    partSizes(config["indices_or_sections"], input[0] ?? null).map((size) => [size, ...input.slice(1)]),
  ),
  acrossBatch("Diag", diag, { k: 0 }),
  acrossBatch(
    "Diagflat",
    (input, { config }) => [diagonalMatrix(valueCount(input), integerAt(config, "k"))],
    { k: 0 },
  ),
  acrossBatch("Meshgrid", meshgrid, { indexing: "xy" }),
  acrossBatch("Outer", (_, call) => [twoOperands(call).map(valueCount)]),
  acrossBatch("Vdot", () => [[]]),
  acrossBatch("Kron", kron),
  acrossBatch("Corrcoef", ([rows = null]) => [[rows, rows]], {}, "float32"),
  acrossBatch(
    "Vander",
    ([count = null], { config }) => [[count, config["N"] === null ? count : countAt(config, "N")]],
    { N: null, increasing: false },
  ),
  acrossBatch("Scatter", (_, { config }) => [integersAt(config, "shape")]),
  acrossBatch("ScatterUpdate", (input) => [input], { reduction: null }),
  acrossBatch("SliceUpdate", (input) => [input]),
  ...["Sum", "Prod", "Max", "Min"].map((name) =>
    acrossBatch(
      `Segment${name}`,
      (input, { config }) => [
        [config["num_segments"] === null ? null : countAt(config, "num_segments"), ...input.slice(1)],
      ],
      { num_segments: null, sorted: false },
    ),
  ),
  acrossBatch("SearchSorted", (_, call) => [twoOperands(call)[1]], { side: "left" }, "int32"),
  acrossBatch("IsIn", (_, call) => [twoOperands(call)[0]], { assume_unique: false, invert: false }, "bool"),
  {
    ...acrossBatch(
      "Bincount",
      (input) => [[...input.slice(0, -1), null]],
      { weights: null, minlength: 0 },
      "int32",
    ),
    refusal: ({ weights, sparse }) =>
      weights == null && sparse !== true
        ? undefined
        : {
            reason: "it counts with weights or returns a sparse tensor",
            advice: "Count without weights and without sparse=True.",
          },
  },
  acrossBatch(
    "Histogram",
    (_, { config }) => [[countAt(config, "bins")], [countAt(config, "bins") + 1]],
    { bins: 10, range: null },
    "float32",
  ),
  acrossBatch(
    "UnravelIndex",
    (input, { config }) => integersAt(config, "shape").map(() => input),
    {},
    "int32",
  ),
  acrossBatch("Correlate", correlate, { mode: "valid" }, "float32"),
  acrossBatch("Linspace", spaced, { num: 50, endpoint: true, axis: 0 }, "float32"),
  acrossBatch("Logspace", spaced, { num: 50, endpoint: true, base: 10, axis: 0 }, "float32"),
  acrossBatch("Geomspace", spaced, { num: 50, endpoint: true, axis: 0 }, "float32"),
  acrossBatch("Full", (_, { config }) => [integersAt(config, "shape")]),
  acrossBatch(
    "Argpartition",
    (input, { config }) => [config["axis"] === null ? [valueCount(input)] : input],
    { axis: -1 },
    "int32",
  ),
  acrossBatch("Nonzero", (input) => input.map((): Shape => [null]), {}, "int32"),
  {
    ...acrossBatch("Unique", distinctShapes, {
      sorted: true,
      return_index: false,
      return_inverse: false,
      return_counts: false,
      axis: null,
      size: null,
      fill_value: null,
    }),
    outputDTypes: (call) =>
      distinctShapes(call.inputs[0], call).map((_, index) => (index === 0 ? call.dtypes[0] : "int32")),
  },
  acrossBatch("PSNR", () => [[]], {}, "float32"),
  acrossBatch("AllClose", () => [[]], { rtol: 1e-5, atol: 1e-8, equal_nan: false }, "bool"),
];
