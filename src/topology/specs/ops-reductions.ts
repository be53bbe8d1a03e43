import type { JsonObject } from "../../checkpoint.ts";
import type { DType, Shape } from "../../tensor.ts";
import { booleanAt, countAt, integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { valueCount } from "./broadcast.ts";
import { constantAt } from "./call-shapes.ts";

/** @file Operations of keras.ops that reduce or accumulate along axes (`keras/src/ops/numpy.py`, `math.py`). */

/** Returns the axes of an operation, counted from the front. A null argument means all axes. */
export function axesAt(config: JsonObject, key: string, rank: number): ReadonlySet<number> {
  if (config[key] == null) return new Set(Array.from({ length: rank }, (_, axis) => axis));
  return new Set(integersAt(config, key).map((axis) => positiveAxis(axis, rank)));
}

/** Returns a function that tells whether an operation along the axes in its config combines the samples of a batch. */
export function joinsSamples(key: string): (call: Pick<CallShapes, "config" | "inputs">) => boolean {
  return ({ config, inputs }) => {
    const first = (axis: number): boolean => axis === 0 || axis === -inputs[0].length;
    return config[key] == null || integersAt(config, key).some(first);
  };
}

function reduction(name: string, dtype?: DType): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults: { axis: null, keepdims: false },
    outputShapes: ({ config, inputs }: CallShapes) => {
      const input = inputs[0];
      const axes = axesAt(config, "axis", input.length);
      if (booleanAt(config, "keepdims")) return [input.map((size, axis) => (axes.has(axis) ? 1 : size))];
      return [input.filter((_, axis) => !axes.has(axis))];
    },
    outputDTypes: ({ dtypes }) => [dtype ?? dtypes[0]],
    couplesBatch: joinsSamples("axis"),
  };
}

/** Creates the spec of an operation along axes that keeps the shape. A null axis means all axes. */
function alongAxes(name: string, defaults: JsonObject): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: ({ config, inputs }): readonly Shape[] => {
      axesAt(config, "axis", inputs[0].length);
      return [inputs[0]];
    },
    outputDTypes: ({ dtypes }) => [dtypes[0]],
    couplesBatch: joinsSamples("axis"),
  };
}

/** Creates the spec of an operation along one axis that keeps the shape. A null axis flattens the tensor. */
function alongAxis(name: string, defaults: JsonObject): LayerSpec {
  const spec = alongAxes(name, defaults);
  return {
    ...spec,
    outputShapes: (call) =>
      call.config["axis"] === null ? [[valueCount(call.inputs[0])]] : spec.outputShapes(call),
  };
}

/** Creates the spec of a quantile operation. A list of quantiles adds a first axis to the result. */
function quantile(name: string): LayerSpec {
  const spec = reduction(name, "float32");
  return {
    ...spec,
    outputShapes: (call) => {
      const shares = constantAt(call, 1, "q");
      const [shape = []] = spec.outputShapes(call);
      return [Array.isArray(shares) ? [shares.length, ...shape] : shape];
    },
  };
}

/** Moments, which returns the mean and the variance. */
const moments: LayerSpec = {
  className: "ops.Moments",
  defaults: { keepdims: false },
  outputShapes: (call) => {
    const one = reduction("Moments").outputShapes({
      ...call,
      config: { ...call.config, axis: call.config["axes"] ?? null },
    });
    return [...one, ...one];
  },
  couplesBatch: joinsSamples("axes"),
};

/** TopK, which returns the largest values of the last axis and their indices. */
const topK: LayerSpec = {
  className: "ops.TopK",
  defaults: { sorted: true },
  outputShapes: ({ config, inputs }) => {
    const shape = [...inputs[0].slice(0, -1), countAt(config, "k")];
    return [shape, shape];
  },
  outputDTypes: ({ dtypes }) => [dtypes[0], "int32"],
};

/** Diff, which shortens an axis by the order of the difference. */
const diff: LayerSpec = {
  ...alongAxis("Diff", { axis: -1, n: 1 }),
  outputShapes: ({ config, inputs }) => {
    const [axis] = axesAt(config, "axis", inputs[0].length);
    const times = integerAt(config, "n");
    return [inputs[0].map((size, at) => (at === axis && size !== null ? Math.max(0, size - times) : size))];
  },
};

export const reductionOpSpecs: readonly LayerSpec[] = [
  ..."Sum Max Min Amax Amin Prod Ptp Nansum Nanmax Nanmin Nanprod".split(" ").map((name) => reduction(name)),
  ..."Mean Std Var Logsumexp Median Nanmean Nanvar Nanstd Norm Average Trapezoid Nanmedian"
    .split(" ")
    .map((name) => reduction(name, "float32")),
  ...["Quantile", "Percentile", "Nanquantile", "Nanpercentile"].map(quantile),
  reduction("CountNonzero", "int32"),
  moments,
  topK,
  diff,
  alongAxis("Sort", { axis: -1 }),
  { ...alongAxis("Argsort", { axis: -1 }), outputDTypes: () => ["int32"] },
  ...["Cumprod", "Nancumsum", "Nancumprod"].map((name) => alongAxis(name, { axis: null, dtype: null })),
  ...["All", "Any"].map((name) => reduction(name, "bool")),
  ...["Argmax", "Argmin", "Nanargmax", "Nanargmin"].map((name) => reduction(name, "int32")),
  alongAxis("Cumsum", { axis: null, dtype: null }),
  alongAxes("Flip", { axis: null }),
  alongAxes("Roll", { axis: null }),
  alongAxes("Normalize", { axis: -1, order: 2, epsilon: null }),
];
