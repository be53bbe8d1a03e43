/** Keras's metrics by name, class name or config, resolved for one output. */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { UsageError } from "../../errors.ts";
import { isObject } from "../../topology/config-values.ts";
import type { MetricDefinition } from "./definitions.ts";
import { metricDefinitions } from "./definitions.ts";
import { meanOf } from "./mean.ts";
import type { CustomMetric, Metric, MetricArgument, MetricBatch, Values } from "./metric.ts";

/** Facts that resolve a metric: the output's units, how targets are given, and the Keras that computes. */
export interface MetricContext {
  /** Size of the output's last axis. */
  readonly units: number;
  /** True if targets are class indices. */
  readonly indices: boolean;
  /** In Keras 2 a mask counts in every metric, and overlaps weigh with fractions. */
  readonly keras: 1 | 2 | 3;
}

/** Returns Keras's function names of all metrics. */
export function metricNames(): readonly string[] {
  return ["accuracy", ...Object.keys(metricDefinitions)];
}

/**
 * Returns the metric that an argument means for an output. `accuracy` resolves by shape (`get_metric` in
 * `keras/src/trainers/compile_utils.py`); an overlap without a number of classes takes the output's.
 * @throws {UsageError} for a name or a setting that is not known here.
 */
export function metricOf(argument: MetricArgument, context: MetricContext): Metric {
  if (typeof argument === "function") return ownMean(argument);
  if (isRecord(argument)) return argument;
  const { given, name, config } = namedMetric(argument);
  if (isAccuracy(given)) return defined(accuracyName(context), name, {}, context);
  if (isCrossentropy(given)) return defined(crossentropyName(context), name, {}, context);
  const found = metricNamed(given);
  if (found === undefined) {
    throw new UsageError(
      `metric "${given}": expected one of ${metricNames().join(", ")}, got an unknown name.`,
      "metric-unknown",
    );
  }
  return defined(found, name, config, context);
}

/** Returns Keras's function name of a metric in any spelling; undefined where there is none of that name. */
export function metricNamed(given: string): string | undefined {
  const plain = given.toLowerCase().replaceAll("_", "");
  return Object.entries(metricDefinitions).find(([name, { className, aliases = [] }]) =>
    [name, className, ...aliases].some((spelling) => spelling.toLowerCase().replaceAll("_", "") === plain),
  )?.[0];
}

/** Returns whether a config names a metric that is known here. */
export function isKnownMetric(argument: string | JsonObject): boolean {
  const { given } = namedMetric(argument);
  return isAccuracy(given) || isCrossentropy(given) || metricNamed(given) !== undefined;
}

/**
 * Returns the name by which a metric is found, the name under which it is reported, and its settings. What Keras wrote as
 * `accuracy` with the function that it had resolved to stays `accuracy`.
 */
export function namedMetric(argument: string | JsonObject): {
  given: string;
  name: string;
  config: JsonObject;
} {
  if (typeof argument === "string") return { given: argument, name: argument, config: {} };
  const { class_name: className, config } = argument;
  if (className === "function" && typeof config === "string")
    return { given: config, name: config, config: {} };
  const { name, fn, ...settings } = isObject(config) ? config : {};
  const reported = typeof name === "string" ? name : undefined;
  const wrapped = fn === undefined ? undefined : functionName(fn);
  const own = String(className).split(">").at(-1) ?? "";
  // The class compares for equality; the name `accuracy` resolves by shape.
  const given = wrapped ?? (own === "Accuracy" ? "exact_accuracy" : own);
  const isResolved =
    wrapped !== undefined && reported !== undefined && isAccuracy(reported) && wrapped.endsWith("accuracy");
  return {
    given: isResolved ? reported : given,
    name: reported ?? metricNamed(given) ?? given,
    config: settings,
  };
}

function functionName(fn: Json): string {
  return isObject(fn) && typeof fn["config"] === "string" ? fn["config"] : String(fn);
}

function isAccuracy(given: string): boolean {
  return /^acc(?:uracy)?$/iu.test(given);
}

function isCrossentropy(given: string): boolean {
  return /^(?:ce|crossentropy)$/iu.test(given);
}

function isRecord(argument: MetricArgument): argument is Metric {
  return typeof argument === "object" && typeof (argument as Partial<Metric>).start === "function";
}

/** Returns the metric that `accuracy` means for an output. */
export function accuracyName({ units, indices }: Pick<MetricContext, "units" | "indices">): string {
  if (units === 1) return "binary_accuracy";
  return indices ? "sparse_categorical_accuracy" : "categorical_accuracy";
}

function crossentropyName(context: MetricContext): string {
  return accuracyName(context).replace("accuracy", "crossentropy");
}

function defined(kind: string, name: string, config: JsonObject, context: MetricContext): Metric {
  const definition = metricDefinitions[kind];
  if (!definition) throw new Error(`metric ${kind}: no such definition`);
  const settings = settingsOf(kind, definition, config, context);
  const convert = converter(definition, settings, context);
  const countsMask = definition.masked || context.keras < 3;
  return {
    name,
    direction: definition.direction,
    start: () => {
      const { add, result } = definition.start(settings);
      return {
        add: ({ mask, ...batch }) => add(convert({ ...batch, ...(countsMask && mask && { mask }) })),
        result,
      };
    },
  };
}

function settingsOf(
  kind: string,
  definition: MetricDefinition,
  config: JsonObject,
  context: MetricContext,
): Readonly<Record<string, Json>> {
  const isOverlap = "num_classes" in definition.defaults && "sparse_y_true" in definition.defaults;
  const settings: Record<string, Json> = {
    ...definition.defaults,
    ...(isOverlap && config["num_classes"] === undefined && overlapDefaults(context)),
    // Keras 3 counts overlaps in whole numbers, Keras 2 in floats.
    ...("num_classes" in definition.defaults && { dtype: context.keras < 3 ? "float32" : "int" }),
  };
  const required = definition.required ?? [];
  for (const [key, value] of Object.entries(config)) {
    if (key === "dtype") {
      if (typeof value === "string" && "dtype" in settings) settings[key] = value;
      continue;
    }
    if (!(key in settings) && !required.includes(key)) {
      const names = [...Object.keys(definition.defaults), ...required].join(", ") || "no settings";
      throw badSetting(kind, key, names, value);
    }
    settings[key] = value;
  }
  // Keras compares indices with scores there, and fails: `keras/src/metrics/iou_metrics.py`.
  if (isOverlap && context.indices && context.units > 1) settings["sparse_y_pred"] = false;
  const missing = required.find((key) => (settings[key] ?? null) === null);
  if (missing !== undefined) throw badSetting(kind, missing, "a value", null);
  return settings;
}

/** An overlap that is asked for by name alone compares what the output and the targets are. */
function overlapDefaults({ units, indices }: MetricContext): Record<string, Json> {
  if (units === 1) return { num_classes: 2, threshold: 0.5, sparse_y_true: true, sparse_y_pred: true };
  return { num_classes: units, sparse_y_true: indices, sparse_y_pred: false };
}

function badSetting(metric: string, key: string, expected: string, value: Json): UsageError {
  return new UsageError(
    `metric ${metric}: "${key}": expected ${expected}, got ${JSON.stringify(value)}.`,
    "metric-setting",
  );
}

/** Targets as the metric reads them: indices become one-hot values, and one-hot values indices, where Keras would fail. */
function converter(
  definition: MetricDefinition,
  settings: Readonly<Record<string, Json>>,
  { units, indices }: MetricContext,
): (batch: MetricBatch) => MetricBatch {
  const reads =
    "sparse_y_true" in settings
      ? settings["sparse_y_true"] === false
        ? "values"
        : "indices"
      : definition.targets;
  if (reads === "values" && indices) {
    return (batch) => ({
      ...batch,
      targets:
        units === 1
          ? { ...batch.targets, shape: batch.outputs.shape }
          : oneHot(batch.targets, batch.outputs.shape),
    });
  }
  if (reads === "indices" && !indices && units > 1 && definition.targets === "indices") {
    return (batch) => ({ ...batch, targets: indicesOf(batch.targets) });
  }
  return (batch) => batch;
}

function oneHot({ data }: Values, shape: readonly number[]): Values {
  const units = shape.at(-1) ?? 1;
  const values = new Float32Array(data.length * units);
  for (let row = 0; row < data.length; row++) values[row * units + Math.trunc(data[row] ?? 0)] = 1;
  return { shape, data: values };
}

function indicesOf({ shape, data }: Values): Values {
  const units = shape.at(-1) ?? 1;
  const found = Array.from({ length: data.length / units }, (_, row) => {
    let best = 0;
    for (let unit = 1; unit < units; unit++) {
      if ((data[row * units + unit] ?? 0) > (data[row * units + best] ?? 0)) best = unit;
    }
    return best;
  });
  return { shape: shape.slice(0, -1), data: found };
}

/** Refuses what is neither a figure of the batch nor one for each sample. */
function requireFigures({ name }: CustomMetric, figures: unknown, samples: number): void {
  if (typeof figures === "number") return;
  const length = typeof figures === "object" ? (figures as ArrayLike<number> | null)?.length : undefined;
  if (length !== undefined && length > 0 && length % samples === 0) return;
  const got = length === undefined ? typeof figures : `${length} of them`;
  throw new UsageError(
    `metric ${name || "of a function"}: expected a number, or one for each of ${samples} samples, got ${got}.`,
    "metric-value",
    "metrics",
  );
}

function ownMean(given: CustomMetric): Metric {
  return {
    name: given.name || "metric",
    direction: "down",
    start: () =>
      meanOf(({ targets, outputs }) => {
        const figures = given(targets, outputs);
        const samples = outputs.shape[0] ?? 1;
        requireFigures(given, figures, samples);
        return typeof figures === "number"
          ? { shape: [samples], data: new Array<number>(samples).fill(figures) }
          : { shape: [samples, figures.length / samples], data: figures };
      }),
  };
}
