import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { booleanAt, integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { broadcastShapes } from "./broadcast.ts";
import { indexedShape } from "./indexing.ts";
import { concatenatedShape } from "./merging.ts";
import { sampleSize } from "./windows.ts";

/** Ops of keras.ops that reduce, move or join axes (`keras/src/ops/numpy.py`). */
function op(
  name: string,
  shapeOf: (input: Shape, call: CallShapes) => Shape,
  defaults: JsonObject = {},
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: (call) => [shapeOf(call.inputs[0]!, call)],
    outputDTypes: ({ dtypes }) => [dtypes[0]!],
    ...more,
  };
}

/** Samples never meet: the frozen part runs on other batches than the rest. */
function reduced(input: Shape, { config }: CallShapes): Shape {
  const axes = new Set(
    config["axis"] === null
      ? input.map((_, axis) => axis)
      : integersAt(config, "axis").map((axis) => positiveAxis(axis, input.length)),
  );
  if (axes.has(0)) {
    throw new TopologyError(
      `axis: expected axes within a sample, got ${JSON.stringify(config["axis"])}, which reduces the batch. ` +
        "Reduce over the other axes.",
      "unsupported",
    );
  }
  if (booleanAt(config, "keepdims")) return input.map((size, axis) => (axes.has(axis) ? 1 : size));
  return input.filter((_, axis) => !axes.has(axis));
}

const reductions = ["Mean", "Sum", "Max", "Min", "Amax", "Amin", "Prod", "Std", "Var"].map((name) =>
  op(name, reduced, { axis: null, keepdims: false }),
);

/** The batch counts among the values of the new shape. */
const reshape = op("Reshape", (input, { config }) => {
  const target = integersAt(config, "newshape");
  const known = target.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const total = input.reduce<number | null>(
    (product, size) => (product === null || size === null ? null : product * size),
    1,
  );
  if (total !== null && (target.includes(-1) ? total % known !== 0 : total !== known)) {
    throw new TopologyError(
      `newshape: expected one of as many values as ${formatShape(input)}, got ${formatShape(target)}.`,
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
    return axes.map((axis) => input[axis]!);
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
    const input = inputs[0]!;
    const axis = positiveAxis(integerAt(config, "axis"), input.length);
    const whole = input[axis]!;
    return splitSizes(config, whole).map((size) => input.map((length, at) => (at === axis ? size : length)));
  },
  outputDTypes: ({ dtypes, config }) => splitSizes(config, null).map(() => dtypes[0]!),
};

/** Sizes from a number of equal parts, or from the positions of the cuts. */
function splitSizes(config: JsonObject, whole: number | null): (number | null)[] {
  const given = config["indices_or_sections"];
  if (Array.isArray(given)) {
    const cuts = integersAt(config, "indices_or_sections");
    const ends: (number | null)[] = [...cuts, whole];
    return ends.map((end, index) => (end === null ? null : end - (cuts[index - 1] ?? 0)));
  }
  const parts = integerAt(config, "indices_or_sections");
  return Array.from({ length: parts }, () => (whole === null ? null : whole / parts));
}

const getItem = op("GetItem", (input, { args, kwargs }) => {
  const key = args[1] ?? kwargs["key"];
  if (key?.kind !== "value") {
    throw new TopologyError(
      "key: expected indices and slices, got a tensor. Index with constants.",
      "unsupported",
    );
  }
  return indexedShape(input, key.value);
});

/** `keras/src/ops/operation_utils.py`, compute_matmul_output_shape. */
const matmul: LayerSpec = {
  className: "ops.Matmul",
  defaults: {},
  outputShapes: ({ inputs }) => {
    const [a, b] = inputs;
    if (!a || !b) throw new TopologyError(`operands: expected 2 tensors, got ${inputs.length}.`, "shape");
    const left = a.length === 1 ? [1, a[0]!] : a;
    const right = b.length === 1 ? [b[0]!, 1] : b;
    const inner = [left.at(-1)!, right.at(-2)!];
    if (inner[0] !== null && inner[1] !== null && inner[0] !== inner[1]) {
      throw new TopologyError(
        `operands: expected equal inner sizes, got ${formatShape(a)} and ${formatShape(b)}.`,
        "shape",
      );
    }
    return [
      [
        ...broadcastShapes(left.slice(0, -2), right.slice(0, -2)),
        ...(a.length === 1 ? [] : [left.at(-2)!]),
        ...(b.length === 1 ? [] : [right.at(-1)!]),
      ],
    ];
  },
  multiplyAdds: ({ inputs, outputs }) => sampleSize(outputs[0]!) * (inputs[0]!.at(-1) ?? 0),
};

export const shapeOpSpecs: readonly LayerSpec[] = [
  ...reductions,
  reshape,
  transpose,
  expandDims,
  squeeze,
  concatenate,
  stack,
  split,
  getItem,
  matmul,
];
