import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { DType, Shape } from "../../tensor.ts";
import { booleanAt, countAt, integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";

/** Ops of keras.ops that run along axes: reduce them, or accumulate over them (`keras/src/ops/numpy.py`, `math.py`). */

/**
 * The axes of an op, from the front. @throws {TopologyError} for the batch's, also where no axis means all: samples never
 * meet, since the frozen part runs on other batches than the rest.
 */
export function sampleAxes(config: JsonObject, key: string, rank: number): ReadonlySet<number> {
  const axes = config[key] == null ? [0] : integersAt(config, key).map((axis) => positiveAxis(axis, rank));
  if (!axes.includes(0)) return new Set(axes);
  throw new TopologyError(
    `${key}: expected axes within a sample, got ${JSON.stringify(config[key] ?? null)}, which joins those of a batch. ` +
      "Name the other axes and save again.",
    "unsupported",
  );
}

function reduction(name: string, dtype?: DType): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults: { axis: null, keepdims: false },
    outputShapes: ({ config, inputs }: CallShapes) => {
      const input = inputs[0]!;
      const axes = sampleAxes(config, "axis", input.length);
      if (booleanAt(config, "keepdims")) return [input.map((size, axis) => (axes.has(axis) ? 1 : size))];
      return [input.filter((_, axis) => !axes.has(axis))];
    },
    outputDTypes: ({ dtypes }) => [dtype ?? dtypes[0]!],
  };
}

function alongAxis(name: string, defaults: JsonObject): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: ({ config, inputs }): readonly Shape[] => {
      sampleAxes(config, "axis", inputs[0]!.length);
      return [inputs[0]!];
    },
    outputDTypes: ({ dtypes }) => [dtypes[0]!],
  };
}

/** Two outputs: the mean and the variance. */
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
};

/** The largest of the last axis and where they stand. */
const topK: LayerSpec = {
  className: "ops.TopK",
  defaults: { sorted: true },
  outputShapes: ({ config, inputs }) => {
    const shape = [...inputs[0]!.slice(0, -1), countAt(config, "k")];
    return [shape, shape];
  },
  outputDTypes: ({ dtypes }) => [dtypes[0]!, "int32"],
};

/** An axis shorter by as many as differences of differences are taken. */
const diff: LayerSpec = {
  ...alongAxis("Diff", { axis: -1, n: 1 }),
  outputShapes: ({ config, inputs }) => {
    const [axis] = sampleAxes(config, "axis", inputs[0]!.length);
    const times = integerAt(config, "n");
    return [inputs[0]!.map((size, at) => (at === axis && size !== null ? Math.max(0, size - times) : size))];
  },
};

export const reductionOpSpecs: readonly LayerSpec[] = [
  ..."Sum Max Min Amax Amin Prod Ptp Nansum Nanmax Nanmin Nanprod".split(" ").map((name) => reduction(name)),
  ..."Mean Std Var Logsumexp Median Quantile Percentile Nanmean Nanvar Nanstd Norm Average Trapezoid Nanmedian Nanquantile Nanpercentile"
    .split(" ")
    .map((name) => reduction(name, "float32")),
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
  alongAxis("Flip", { axis: null }),
  alongAxis("Roll", { axis: null }),
  alongAxis("Normalize", { axis: -1, order: 2, epsilon: null }),
];
