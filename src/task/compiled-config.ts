/** Writes the compile config of a tuned model, in the dialect of its file. */
import type { Json, JsonObject } from "../checkpoint.ts";
import type { Dialect } from "../topology/dialects/dialect.ts";
import { kerasRelease } from "../topology/dialects/dialect.ts";
import { inModule } from "../topology/translate/keras-modules.ts";
import { lossClassName, lossNamed, lossOf, namedLoss } from "./losses/loss.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import { metricDefinitions } from "./metrics/definitions.ts";
import type { MetricArgument } from "./metrics/metric.ts";
import { accuracyName, metricNamed, namedMetric } from "./metrics/named-metric.ts";
import type { Task, TaskOutput } from "./task.ts";

export interface CompiledModel {
  /** Undefined where a loss cannot be written: Keras then opens the file uncompiled. */
  readonly trainingConfig: JsonObject | undefined;
  /** Losses and metrics that Keras has no words for. */
  readonly leftOut: readonly string[];
}

/**
 * Returns the compile config of a run: its losses, their weights, its metrics and its optimizer.
 *
 * @param kerasVersion The Keras of the file.
 */
export function compiledConfig(
  { outputs }: Task,
  optimizer: JsonObject,
  dialect: Dialect,
  kerasVersion: string,
): CompiledModel {
  const leftOut: string[] = [];
  const form = dialect === "keras3" || dialect === "keras2-archive" ? "archive" : "plain";
  const losses = outputs.map(({ loss }) => writtenLoss(loss, dialect));
  for (const [index, loss] of losses.entries()) {
    const given = outputs[index]?.loss;
    if (loss === undefined && given) leftOut.push(`loss ${nameOf(given)}`);
  }
  const { isTensorFlows, minor = 0 } = kerasRelease(kerasVersion);
  const resolvesEarly = dialect === "keras2" && isTensorFlows && minor >= 3;
  const takesWordsOnly = dialect === "keras2" && !isTensorFlows && minor < 3;
  const taken = new Set<string>();
  const listOf = (list: readonly MetricArgument[], output: TaskOutput, weighted: boolean): Json[] =>
    list.flatMap((metric) => {
      const written = takesWordsOnly
        ? metricWord(writtenMetric(metric, dialect))
        : writtenMetric(metric, dialect);
      if (written === undefined) leftOut.push(`metric ${metricName(metric)}`);
      if (written === undefined) return [];
      if (!resolvesEarly) return [written];
      return [resolvedMetric(written, output, { several: outputs.length > 1, weighted, taken })];
    });
  const metrics = outputs.map((output) => listOf(output.metrics, output, false));
  const weightedMetrics = outputs.map((output) => listOf(output.weightedMetrics, output, true));
  if (losses.includes(undefined)) return { trainingConfig: undefined, leftOut };
  const [only] = outputs;
  const several = outputs.length > 1;
  const byName = <T extends Json>(values: readonly T[]): Json =>
    Object.fromEntries(outputs.map(({ name }, index) => [name, values[index] ?? null]));
  const isWeighted = outputs.some(({ lossWeight }) => lossWeight !== 1);
  const anyOf = (lists: readonly Json[][]): Json =>
    lists.every((list) => list.length === 0) ? null : several ? byName(lists) : (lists[0] ?? []);
  const written: JsonObject = {
    loss: several ? byName(losses as Json[]) : ((losses[0] ?? null) as Json),
    loss_weights: !isWeighted
      ? null
      : several
        ? byName(outputs.map(({ lossWeight }) => lossWeight))
        : (only?.lossWeight ?? 1),
    metrics: anyOf(metrics),
    weighted_metrics: anyOf(weightedMetrics),
  };
  const { class_name: className = null, config = {} } = optimizer;
  const named = { class_name: className, config: dialect === "keras3-h5" ? config : earlyArguments(config) };
  if (form === "archive") {
    return {
      trainingConfig: {
        optimizer: dialect === "keras3" ? optimizer : inModule(named, "keras.optimizers"),
        ...written,
        run_eagerly: false,
        steps_per_execution: 1,
        jit_compile: false,
      },
      leftOut,
    };
  }
  return { trainingConfig: { ...written, optimizer_config: named }, leftOut };
}

/** Arguments that the optimizers of every Keras 2 take. */
const earlyOptimizer: ReadonlySet<string> = new Set(
  "name learning_rate momentum nesterov rho centered epsilon beta_1 beta_2 amsgrad initial_accumulator_value learning_rate_power l1_regularization_strength l2_regularization_strength l2_shrinkage_regularization_strength beta clipnorm clipvalue".split(
    " ",
  ),
);

function earlyArguments(config: Json): JsonObject {
  const known = Object.entries(config as JsonObject).filter(
    ([name, value]) => earlyOptimizer.has(name) && value !== null,
  );
  return Object.fromEntries(known);
}

function writtenLoss(loss: LossArgument | null, dialect: Dialect): Json | undefined {
  if (loss === null) return null;
  if (typeof loss === "function") return undefined;
  const { given, config } = namedLoss(loss);
  const name = lossNamed(given);
  if (name === undefined) return undefined;
  if (dialect !== "keras3" && dialect !== "keras3-h5" && onlyInKeras3.has(name)) return undefined;
  const { fn: _fn, name: _name, dtype: _dtype, ...settings } = config;
  if (Object.keys(settings).length === 0) return name;
  if (dialect === "keras1") return undefined;
  const reduction = settings["reduction"];
  const own = { ...settings, ...(reduction === "auto" && { reduction: "sum_over_batch_size" }) };
  return inDialect(lossClassName(name) ?? given, own, "keras.losses", dialect);
}

/** Losses that Keras 2 does not have. */
const onlyInKeras3: ReadonlySet<string> = new Set([
  "dice",
  "tversky",
  "circle",
  "ctc",
  "categorical_generalized_cross_entropy",
]);

/** Metrics that early releases of Keras 2 do not have. */
const late: ReadonlySet<string> = new Set([
  "f1_score",
  "fbeta_score",
  "r2_score",
  "binary_io_u",
  "io_u",
  "one_hot_io_u",
  "one_hot_mean_io_u",
  "pearson_correlation",
  "concordance_correlation",
]);

function writtenMetric(metric: MetricArgument, dialect: Dialect): Json | undefined {
  if (typeof metric === "function" || (typeof metric === "object" && "start" in metric)) return undefined;
  const { given, name, config } = namedMetric(metric as string | JsonObject);
  if (/^acc(?:uracy)?$/iu.test(given)) return name === "acc" ? "acc" : "accuracy";
  const kind = metricNamed(given);
  const definition = kind === undefined ? undefined : metricDefinitions[kind];
  if (kind === undefined || !definition) return undefined;
  const isKeras2 = dialect !== "keras3" && dialect !== "keras3-h5";
  if (isKeras2 && late.has(kind)) return undefined;
  // A threshold of 0, which decides logits, is none that Keras's F-scores take.
  if ((kind === "f1_score" || kind === "fbeta_score") && config["threshold"] === 0) return undefined;
  const { fn: _fn, ...settings } = config;
  if (dialect === "keras1") return kind;
  // Keras 3 calls a metric of an .h5 that is a word by its class's name: `mae` is an object with that name.
  const isPlain = Object.keys(settings).length === 0 && name === kind;
  if (isPlain) return name;
  return inDialect(definition.className, { name, ...settings }, "keras.metrics", dialect);
}

/** Returns a metric as a word, which is all that Keras 2.2 and before read; undefined where its settings would be lost. */
function metricWord(written: Json | undefined): Json | undefined {
  if (written === undefined || typeof written === "string") return written;
  const { given, config } = namedMetric(written as JsonObject);
  return Object.keys(config).length === 0 ? metricNamed(given) : undefined;
}

interface ResolvedNames {
  readonly several: boolean;
  readonly weighted: boolean;
  /** Names that are reported already. */
  readonly taken: Set<string>;
}

/**
 * Returns a metric as Keras 2 writes it into an `.h5`, where it names it as it reports it and resolves `accuracy`: on loading it does
 * neither (`MetricsContainer` in `keras/src/engine/compile_utils.py`), but takes the outputs for targets, so that the word would mean
 * the accuracy of one-hot targets (`try_build_compiled_arguments` in `keras/src/saving/legacy/saving_utils.py`).
 */
function resolvedMetric(
  written: Json,
  output: TaskOutput,
  { several, weighted, taken }: ResolvedNames,
): Json {
  const { name, given, config } = namedMetric(written as string | JsonObject);
  const prefix = several ? `${output.name}_` : "";
  const reported = weighted && taken.has(prefix + name) ? `${prefix}weighted_${name}` : prefix + name;
  taken.add(reported);
  const isIndices = output.loss !== null && lossOf(output.loss).targets === "indices" && output.units !== 1;
  const isAccuracy = written === "accuracy" || written === "acc";
  if (reported === name && !(isAccuracy && isIndices)) return written;
  const kind = isAccuracy
    ? accuracyName({ units: output.units ?? 1, indices: isIndices })
    : metricNamed(given);
  const className = kind === undefined ? given : (metricDefinitions[kind]?.className ?? given);
  return { class_name: className, config: { name: reported, dtype: "float32", ...config } };
}

function inDialect(className: string, config: JsonObject, module: string, dialect: Dialect): Json {
  const object = { class_name: className, config };
  return dialect === "keras3" || dialect === "keras2-archive" ? inModule(object, module) : object;
}

function nameOf(loss: LossArgument): string {
  return typeof loss === "function" ? loss.name || "of a function" : namedLoss(loss).given;
}

function metricName(metric: MetricArgument): string {
  if (typeof metric === "function") return metric.name || "of a function";
  return typeof metric === "object" && "start" in metric
    ? (metric as { name: string }).name
    : namedMetric(metric as string | JsonObject).name;
}
