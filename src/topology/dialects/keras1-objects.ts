import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";

/**
 * Translates initializers, regularizers, constraints and the data format in a config to Keras 2.
 * @throws {TopologyError} for a regularizer that Keras 2 dropped.
 */
export function withObjects(config: JsonObject, path: string): JsonObject {
  const entries = Object.entries(config).flatMap(([key, value]): [string, Json][] => {
    if (key === "input_dtype") return [];
    if (key === "data_format") return [[key, dataFormat(value)]];
    if (key.endsWith("_initializer")) return [[key, initializer(value)]];
    if (key.endsWith("_regularizer")) return [[key, regularizer(value, path)]];
    if (key.endsWith("_constraint")) return [[key, constraint(value, kernelAxes(config))]];
    return [[key, value]];
  });
  return Object.fromEntries(entries);
}

/** Translates `dim_ordering` to a data format. A data format is returned unchanged. */
export function dataFormat(ordering: Json): Json {
  if (ordering === "th") return "channels_first";
  return ordering === "tf" ? "channels_last" : ordering;
}

const initializers: Readonly<Record<string, JsonObject>> = {
  uniform: { class_name: "RandomUniform", config: { minval: -0.05, maxval: 0.05, seed: null } },
  normal: { class_name: "RandomNormal", config: { mean: 0, stddev: 0.05, seed: null } },
  zero: { class_name: "Zeros", config: {} },
  one: { class_name: "Ones", config: {} },
  identity: { class_name: "Identity", config: { gain: 1 } },
  orthogonal: { class_name: "Orthogonal", config: { gain: 1, seed: null } },
  glorot_uniform: scaling(1, "fan_avg", "uniform"),
  glorot_normal: scaling(1, "fan_avg", "normal"),
  he_uniform: scaling(2, "fan_in", "uniform"),
  he_normal: scaling(2, "fan_in", "normal"),
  lecun_uniform: scaling(1, "fan_in", "uniform"),
};

function scaling(scale: number, mode: string, distribution: string): JsonObject {
  return { class_name: "VarianceScaling", config: { scale, mode, distribution, seed: null } };
}

function initializer(value: Json): Json {
  return typeof value === "string" ? (initializers[value] ?? value) : value;
}

/** Translates a regularizer, which Keras 1 writes as `{ name, l1, l2 }`. */
function regularizer(value: Json, path: string): Json {
  if (!isObject(value) || "class_name" in value) return value;
  if (value["name"] === "EigenvalueRegularizer") throw dropped(path, "the EigenvalueRegularizer");
  return { class_name: "L1L2", config: { l1: value["l1"] ?? 0, l2: value["l2"] ?? 0 } };
}

const constraintNames: Readonly<Record<string, string>> = {
  m: "max_value",
  low: "min_value",
  high: "max_value",
};

/** Translates a constraint such as `{ name: "MaxNorm", m, axis }`. Its axes change with the layout of the kernel. */
function constraint(value: Json, axes: readonly number[]): Json {
  if (!isObject(value) || "class_name" in value) return value;
  const { name, ...rest } = value;
  const own = renamed(rest, constraintNames);
  const { axis } = own;
  const moved = Array.isArray(axis)
    ? (axis as readonly Json[]).map((one) => axes[Number(one)] ?? one)
    : typeof axis === "number"
      ? (axes[axis] ?? axis)
      : undefined;
  return { class_name: name ?? null, config: moved === undefined ? own : { ...own, axis: moved } };
}

/**
 * Returns the new positions of the axes of a kernel `[filters, channels, rows, columns]`, an empty list for other
 * layouts.
 */
function kernelAxes(config: JsonObject): readonly number[] {
  const size = config["kernel_size"];
  if (config["data_format"] !== "th" || !Array.isArray(size)) return [];
  const rank = size.length;
  return [rank + 1, rank, ...Array.from({ length: rank }, (_, axis) => axis)];
}

/** Creates the error for a layer with a feature that Keras 2 dropped. */
export function dropped(path: string, what: string): TopologyError {
  return new TopologyError(
    `${path}: ${what}: Keras 2 and 3 have no such feature, so it is not read. Rebuild that layer in Keras 2 and save the model again.`,
    "unsupported-version",
  );
}

/** Renames keys of a config and keeps their order. */
export function renamed(config: JsonObject, names: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [names[key] ?? key, value]));
}
