import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { DType, Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { countAt, integerAt, integersAt, marginsAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { halvedShape } from "./activation.ts";
import { broadcastShapes, valueCount } from "./broadcast.ts";
import { indexedShape } from "./indexing.ts";
import { concatenatedShape } from "./merging.ts";
import { operandShapes } from "./ops-elementwise.ts";
import { joinsSamples } from "./ops-reductions.ts";

/** Creates the spec of an operation that moves, joins, repeats or selects along axes (`keras/src/ops/numpy.py`). */
function op(
  name: string,
  shapeOf: (input: Shape, call: CallShapes) => Shape,
  defaults: JsonObject = {},
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return operation(name, shapeOf, defaults, { outputDTypes: ({ dtypes }) => [dtypes[0]], ...more });
}

/** Reshape, whose new shape includes the batch. */
const reshape = op("Reshape", (input, { config }) => {
  const target = integersAt(config, "newshape");
  const known = target.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const total = input.reduce<number | null>(
    (product, size) => (product === null || size === null ? null : product * size),
    1,
  );
  if (total !== null && (target.includes(-1) ? total % known !== 0 : total !== known)) {
    throw new TopologyError(
      `newshape: expected a shape with as many values as ${formatShape(input)}, got ${formatShape(target)}.`,
      "shape",
    );
  }
  return target.map((size) => (size !== -1 ? size : total === null ? null : total / known));
});

const transpose = op(
  "Transpose",
  (input, { config }) => {
    if (config["axes"] === null) return [...input].reverse();
    const axes = integersAt(config, "axes").map((axis) => positiveAxis(axis, input.length));
    if (new Set(axes).size !== input.length) {
      throw new TopologyError(
        `axes: expected each axis of ${formatShape(input)} once, got ${formatShape(axes)}.`,
        "shape",
      );
    }
    return axes.map((axis) => input[axis] ?? null);
  },
  { axes: null },
);

const expandDims = op("ExpandDims", (input, { config }) => {
  const axes = integersAt(config, "axis");
  const rank = input.length + axes.length;
  const inserted = new Set(axes.map((axis) => positiveAxis(axis, rank)));
  const sizes = input[Symbol.iterator]();
  return Array.from({ length: rank }, (_, axis) =>
    inserted.has(axis) ? 1 : (sizes.next().value as number | null),
  );
});

const squeeze = op(
  "Squeeze",
  (input, { config }) => {
    if (config["axis"] === null) return input.filter((size) => size !== 1);
    const axes = new Set(integersAt(config, "axis").map((axis) => positiveAxis(axis, input.length)));
    if ([...axes].some((axis) => input[axis] !== 1)) {
      throw new TopologyError(
        `axis: expected axes of size 1 in ${formatShape(input)}, got ${[...axes].join(", ")}.`,
        "shape",
      );
    }
    return input.filter((_, axis) => !axes.has(axis));
  },
  { axis: null },
);

const concatenate = op(
  "Concatenate",
  (_, { config, inputs }) => concatenatedShape(inputs, integerAt(config, "axis")),
  {
    axis: -1,
  },
);

const stack = op(
  "Stack",
  (input, { config, inputs }) => {
    const axis = positiveAxis(integerAt(config, "axis"), input.length + 1);
    return [...input.slice(0, axis), inputs.length, ...input.slice(axis)];
  },
  { axis: 0 },
);

const split: LayerSpec = {
  className: "ops.Split",
  defaults: { axis: 0 },
  outputShapes: ({ config, inputs }) => {
    const input = inputs[0];
    const axis = positiveAxis(integerAt(config, "axis"), input.length);
    const whole = input[axis] ?? null;
    return splitSizes(config, whole).map((size) => input.map((length, at) => (at === axis ? size : length)));
  },
  outputDTypes: ({ dtypes, config }) => splitSizes(config, null).map(() => dtypes[0]),
};

/** Returns the sizes of the parts, given by the number of equal parts or by the indices of the cuts. */
function splitSizes(config: JsonObject, whole: number | null): (number | null)[] {
  const given = config["indices_or_sections"];
  if (Array.isArray(given)) {
    const cuts = integersAt(config, "indices_or_sections");
    const ends: (number | null)[] = [...cuts, whole];
    return ends.map((end, index) => (end === null ? null : end - (cuts[index - 1] ?? 0)));
  }
  const parts = countAt(config, "indices_or_sections");
  if (parts > 1024 || (whole !== null && whole % parts !== 0)) {
    throw new TopologyError(
      `indices_or_sections: expected a divisor of ${whole ?? "the axis size"}, at most 1024, got ${parts}.`,
      "shape",
    );
  }
  return Array.from({ length: parts }, () => (whole === null ? null : whole / parts));
}

const getItem = op("GetItem", (input, { args, kwargs }) => {
  const key = args[1] ?? kwargs["key"];
  if (key?.kind !== "value") {
    throw new TopologyError(
      "key: expected constant indices and slices, got a tensor. Index with constants.",
      "unsupported",
    );
  }
  return indexedShape(input, key.value);
});

const swapAxes = op("Swapaxes", (input, { config }) => {
  const a = positiveAxis(integerAt(config, "axis1"), input.length);
  const b = positiveAxis(integerAt(config, "axis2"), input.length);
  return input.map((_, axis) => input[axis === a ? b : axis === b ? a : axis] ?? null);
});

const moveAxis = op("Moveaxis", (input, { config }) => {
  const from = integersAt(config, "source").map((axis) => positiveAxis(axis, input.length));
  const to = integersAt(config, "destination").map((axis) => positiveAxis(axis, input.length));
  const others = input.filter((_, axis) => !from.includes(axis));
  return input.map((_, axis) => {
    const moved = from[to.indexOf(axis)];
    return (moved === undefined ? others.shift() : input[moved]) ?? null;
  });
});

/** Tile. If there are fewer repeats than axes, they apply to the last axes. */
const tile = op("Tile", (input, { config }) => {
  const repeats = integersAt(config, "repeats");
  const rank = Math.max(input.length, repeats.length);
  const times = [...new Array<number>(rank - repeats.length).fill(1), ...repeats];
  const sizes: Shape = [...new Array<number>(rank - input.length).fill(1), ...input];
  return sizes.map((size, axis) => (size === null ? null : size * (times[axis] ?? 1)));
});

const repeat = op(
  "Repeat",
  (input, { config }) => {
    const repeats = integersAt(config, "repeats");
    const repeated = (size: number | null): number | null => {
      const [times = 1, ...others] = repeats;
      if (others.length > 0) return repeats.reduce((sum, count) => sum + count, 0);
      return size === null ? null : size * times;
    };
    if (config["axis"] === null) return [repeated(valueCount(input))];
    const axis = positiveAxis(integerAt(config, "axis"), input.length);
    return input.map((size, at) => (at === axis ? repeated(size) : size));
  },
  { axis: null },
  { couplesBatch: joinsSamples("axis") },
);

/** Pad, with a pair of margins for each axis or one pair for all axes. */
const pad = op(
  "Pad",
  (input, { config }) => {
    const given = config["pad_width"];
    const lone = Array.isArray(given) && given.length === 1;
    const margins = marginsAt(config, "pad_width", lone ? 1 : input.length);
    return input.map((size, axis) => {
      const [before, after] = margins[lone ? 0 : axis] ?? [0, 0];
      return size === null ? null : size + before + after;
    });
  },
  { mode: "constant" },
);

const broadcastTo = op("BroadcastTo", (input, { config }) => {
  const shape = config["shape"];
  const isShape = (value: unknown): value is Shape =>
    Array.isArray(value) && value.every((size) => size === null || Number.isSafeInteger(size));
  if (!isShape(shape)) {
    throw new TopologyError(`shape: expected sizes, got ${JSON.stringify(shape ?? null)}.`, "shape");
  }
  broadcastShapes(input, shape);
  return shape;
});

const take = op(
  "Take",
  (_, call) => {
    const [input = [], indices = []] = operandShapes(call);
    if (call.config["axis"] === null) return indices;
    const axis = positiveAxis(integerAt(call.config, "axis"), input.length);
    return [...input.slice(0, axis), ...indices, ...input.slice(axis + 1)];
  },
  { axis: null },
  { couplesBatch: joinsSamples("axis") },
);

const oneHot = op(
  "OneHot",
  (input, { config }) => {
    const axis = positiveAxis(integerAt(config, "axis"), input.length + 1);
    return [...input.slice(0, axis), countAt(config, "num_classes"), ...input.slice(axis)];
  },
  { axis: -1, dtype: null },
  { outputDTypes: ({ config }) => [(config["dtype"] as DType | null) ?? "float32"] },
);

const glu = op("Glu", (input, { config }) => halvedShape(input, integerAt(config, "axis")), { axis: -1 });

export const shapeOpSpecs: readonly LayerSpec[] = [
  reshape,
  transpose,
  expandDims,
  squeeze,
  concatenate,
  stack,
  split,
  getItem,
  swapAxes,
  moveAxis,
  tile,
  repeat,
  pad,
  broadcastTo,
  take,
  oneHot,
  glu,
];
