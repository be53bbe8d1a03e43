import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { DType, Shape } from "../../tensor.ts";
import { booleanAt, integersAt, positiveAxis } from "../config-values.ts";
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

export const reductionOpSpecs: readonly LayerSpec[] = [
  ...["Sum", "Max", "Min", "Amax", "Amin", "Prod"].map((name) => reduction(name)),
  ...["Mean", "Std", "Var", "Logsumexp"].map((name) => reduction(name, "float32")),
  ...["All", "Any"].map((name) => reduction(name, "bool")),
  ...["Argmax", "Argmin"].map((name) => reduction(name, "int32")),
  alongAxis("Cumsum", { axis: null, dtype: null }),
  alongAxis("Flip", { axis: null }),
  alongAxis("Roll", { axis: null }),
  alongAxis("Normalize", { axis: -1, order: 2, epsilon: null }),
];
