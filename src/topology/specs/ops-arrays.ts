import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { broadcastShapes, valueCount } from "./broadcast.ts";
import { concatenatedShape } from "./merging.ts";
import { operandShapes } from "./ops-elementwise.ts";
import { axesAt, joinsSamples } from "./ops-reductions.ts";

/**
 * Creates the spec of an operation that splits, joins or selects within samples (`keras/src/ops/numpy.py`, `core.py`).
 */
function arrayOp(
  name: string,
  shapesOf: (input: Shape, call: CallShapes) => readonly Shape[],
  defaults: JsonObject = {},
  couplesBatch: NonNullable<LayerSpec["couplesBatch"]> = false,
): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    couplesBatch,
    outputShapes: (call) => shapesOf(call.inputs[0], call),
    outputDTypes: (call) => shapesOf(call.inputs[0], call).map(() => call.dtypes[0]),
  };
}

/**
 * Returns the sizes of the parts of an axis that is split at given indices or into a number of parts. If the size is
 * not a multiple of that number, the first parts are larger.
 */
export function partSizes(given: JsonObject[string] | undefined, size: number | null): (number | null)[] {
  if (Array.isArray(given)) {
    const ends = [...(given as readonly number[]), size];
    return ends.map((end, index) => (end === null ? null : end - (index === 0 ? 0 : (ends[index - 1] ?? 0))));
  }
  const parts = Number(given);
  if (!Number.isSafeInteger(parts) || parts < 1 || parts > 1024) {
    throw new TopologyError(`indices_or_sections: expected 1 to 1024 parts or a list, got ${String(given)}.`);
  }
  return Array.from({ length: parts }, (_, part) =>
    size === null ? null : Math.floor(size / parts) + (part < size % parts ? 1 : 0),
  );
}

function splitAlong(input: Shape, axis: number, given: JsonObject[string] | undefined): Shape[] {
  return partSizes(given, input[axis] ?? null).map((size) =>
    input.map((length, at) => (at === axis ? size : length)),
  );
}

function loneAxis(config: JsonObject, key: string, rank: number): number {
  return positiveAxis(integerAt(config, key), rank);
}

function matrixAxes(config: JsonObject, rank: number): [number, number] {
  return ["axis1", "axis2"].map((key) => positiveAxis(integerAt(config, key), rank)) as [number, number];
}

const matrixDefaults: JsonObject = { offset: 0, axis1: 0, axis2: 1 };

const joinsInMatrices = ({ config, inputs }: Pick<CallShapes, "config" | "inputs">): boolean =>
  matrixAxes(config, inputs[0].length).includes(0);

function diagonalShape(input: Shape, config: JsonObject): Shape {
  const [one, other] = matrixAxes(config, input.length);
  const [rows, columns] = [input[one] ?? null, input[other] ?? null];
  const offset = integerAt(config, "offset");
  const kept = input.filter((_, axis) => axis !== one && axis !== other);
  if (rows === null || columns === null) return [...kept, null];
  const length = offset >= 0 ? Math.min(rows, columns - offset) : Math.min(rows + offset, columns);
  return [...kept, Math.max(0, length)];
}

const takeAlongAxis: LayerSpec = arrayOp(
  "TakeAlongAxis",
  (input, call) => {
    const indices = operandShapes(call)[1] ?? [];
    if (call.config["axis"] === null) return [indices];
    const axis = loneAxis(call.config, "axis", input.length);
    if (indices.length !== input.length) {
      throw new TopologyError(
        `indices: expected as many axes as ${formatShape(input)}, got ${formatShape(indices)}.`,
        "shape",
      );
    }
    return [input.map((size, at) => (at === axis ? (indices[at] ?? null) : size))];
  },
  { axis: null },
  joinsSamples("axis"),
);

const unstack = arrayOp(
  "Unstack",
  (input, { config }) => {
    const axis = loneAxis(config, "axis", input.length);
    const size = input[axis] ?? null;
    if (size === null) throw new TopologyError("axis: expected a known size, got an unknown one.", "shape");
    return Array.from({ length: size }, () => input.filter((_, at) => at !== axis));
  },
  { num: null, axis: 0 },
  joinsSamples("axis"),
);

/** The output shape of `ops.slice` is an argument. */
const slice = arrayOp("Slice", (_, { config }) => [integersAt(config, "shape")], {}, true);

const rot90 = arrayOp(
  "Rot90",
  (input, { config }) => {
    const axes = [...axesAt(config, "axes", input.length)] as [number, number];
    if (integerAt(config, "k") % 2 === 0) return [input];
    return [input.map((_, at) => input[at === axes[0] ? axes[1] : at === axes[1] ? axes[0] : at] ?? null)];
  },
  { k: 1, axes: [0, 1] },
  joinsSamples("axes"),
);

export const arrayOpSpecs: readonly LayerSpec[] = [
  arrayOp("Fliplr", (input) => [input]),
  arrayOp("Hstack", (_, { inputs }) => [concatenatedShape(inputs, 1)]),
  arrayOp("Dstack", (_, { inputs }) => [concatenatedShape(inputs, 2)]),
  arrayOp(
    "Append",
    (input, call) => {
      if (call.config["axis"] !== null) {
        return [concatenatedShape(call.inputs, loneAxis(call.config, "axis", input.length))];
      }
      const counts = operandShapes(call).map(valueCount);
      return [[counts.reduce((sum, count) => (sum === null || count === null ? null : sum + count), 0)]];
    },
    { axis: null },
    joinsSamples("axis"),
  ),
  arrayOp(
    "ArraySplit",
    (input, { config }) =>
      splitAlong(input, loneAxis(config, "axis", input.length), config["indices_or_sections"]),
    { axis: 0 },
    joinsSamples("axis"),
  ),
  arrayOp("Hsplit", (input, { config }) => splitAlong(input, 1, config["indices_or_sections"])),
  arrayOp("Dsplit", (input, { config }) => splitAlong(input, 2, config["indices_or_sections"])),
  unstack,
  rot90,
  arrayOp("Tril", (input) => [input], { k: 0 }),
  arrayOp("Triu", (input) => [input], { k: 0 }),
  arrayOp("Diagonal", (input, { config }) => [diagonalShape(input, config)], matrixDefaults, joinsInMatrices),
  arrayOp(
    "Trace",
    (input, { config }) => [diagonalShape(input, config).slice(0, -1)],
    matrixDefaults,
    joinsInMatrices,
  ),
  takeAlongAxis,
  slice,
  arrayOp("ExtractSequences", (input, { config }) => {
    const length = integerAt(config, "sequence_length");
    const samples = input.at(-1) ?? null;
    const count =
      samples === null ? null : 1 + Math.floor((samples - length) / integerAt(config, "sequence_stride"));
    return [[...input.slice(0, -1), count, length]];
  }),
  arrayOp("Select", (_, call) => [operandShapes(call).reduce(broadcastShapes)]),
];
