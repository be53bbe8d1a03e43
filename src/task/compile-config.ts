/** Reads the compile config of a file, as Keras 1, 2 and 3 write it. */
import type { Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";
import { lossNamed, lossOf, namedLoss } from "./losses/loss.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import { isKnownMetric, namedMetric } from "./metrics/named-metric.ts";

/** Compile settings of one output. */
export interface CompiledOutput {
  /** Undefined where the file names none that can be computed; null for an output that is not trained. */
  readonly loss: LossArgument | null | undefined;
  readonly lossWeight: number;
  readonly metrics: readonly (string | JsonObject)[];
  readonly weightedMetrics: readonly (string | JsonObject)[];
}

export interface Compiled {
  readonly outputs: readonly CompiledOutput[];
  /** True if a metric is named for any output. */
  readonly hasMetrics: boolean;
  /** Losses and metrics that are code in Python, or unknown, by name. */
  readonly passedOver: readonly string[];
}

/**
 * Returns how the model was compiled; null where the file does not say.
 *
 * @param outputs names of the model's outputs, in order.
 */
export function compiledIn(
  training: JsonObject | undefined,
  outputs: readonly string[],
  keras: 1 | 2 | 3,
): Compiled | null {
  if (!training || !("loss" in training)) return null;
  const passedOver: string[] = [];
  const losses = byOutput(training["loss"] ?? null, outputs);
  const weights = byOutput(training["loss_weights"] ?? null, outputs);
  const metrics = metricsByOutput(training["metrics"] ?? null, outputs, keras);
  const weightedMetrics = metricsByOutput(training["weighted_metrics"] ?? null, outputs, keras);
  const known = (list: readonly (string | JsonObject)[], output: string): (string | JsonObject)[] =>
    list.flatMap((metric) => {
      if (isKnownMetric(metric)) return [withoutPrefix(metric, output, outputs.length > 1)];
      passedOver.push(`metric ${namedMetric(metric).given}`);
      return [];
    });
  const anyLoss = losses.some((loss) => loss !== null);
  const compiled = outputs.map((output, index): CompiledOutput => {
    const loss = losses[index] ?? null;
    const weight = weights[index];
    return {
      loss: loss === null ? (anyLoss ? null : undefined) : knownLoss(loss, passedOver),
      lossWeight: typeof weight === "number" ? weight : 1,
      metrics: known(metrics[index] ?? [], output),
      weightedMetrics: known(weightedMetrics[index] ?? [], output),
    };
  });
  return {
    outputs: compiled,
    hasMetrics: compiled.some((output) => output.metrics.length + output.weightedMetrics.length > 0),
    passedOver: [...new Set(passedOver)],
  };
}

function knownLoss(loss: Json, passedOver: string[]): LossArgument | undefined {
  if (typeof loss !== "string" && !isObject(loss)) return undefined;
  const { given } = namedLoss(loss);
  if (isByShape(given)) return given;
  if (lossNamed(given) !== undefined) {
    try {
      lossOf(loss);
      return loss;
    } catch {
      // A setting that is not known here makes it another loss.
    }
  }
  passedOver.push(`loss ${given}`);
  return undefined;
}

/** Returns whether Keras resolves a loss of this name by the shapes. */
export function isByShape(name: string): boolean {
  return /^(?:ce|crossentropy)$/iu.test(name);
}

/** One value for all outputs, a list in their order, or a record by their names. */
function byOutput(json: Json, outputs: readonly string[]): readonly Json[] {
  if (Array.isArray(json)) return outputs.map((_, index) => (json as readonly Json[])[index] ?? null);
  if (isObject(json) && !("class_name" in json)) return outputs.map((name) => json[name] ?? null);
  return outputs.map(() => json);
}

type Metrics = readonly (string | JsonObject)[];

/**
 * One list for each output. Keras 3 gives each of several outputs an entry of a flat list, Keras 2 gives each of them the whole
 * list (`keras/engine/compile_utils.py`).
 */
function metricsByOutput(json: Json, outputs: readonly string[], keras: 1 | 2 | 3): readonly Metrics[] {
  if (json === null) return outputs.map(() => []);
  if (isObject(json) && !("class_name" in json)) return outputs.map((name) => flat(json[name] ?? null));
  const list: readonly Json[] = Array.isArray(json) ? json : [json];
  if (outputs.length === 1) return [flat(list)];
  const isNested = list.some((entry) => Array.isArray(entry));
  if (!isNested && keras < 3) return outputs.map(() => flat(list));
  return outputs.map((_, index) => flat(list[index] ?? null));
}

function flat(json: Json): Metrics {
  if (Array.isArray(json)) return (json as readonly Json[]).flatMap(flat);
  return typeof json === "string" || isObject(json) ? [json] : [];
}

/** Keras 2 writes the output's name before a metric's where there are several outputs. */
function withoutPrefix(metric: string | JsonObject, output: string, several: boolean): string | JsonObject {
  if (typeof metric === "string" || !several || !isObject(metric["config"])) return metric;
  const { name } = metric["config"];
  const prefix = `${output}_`;
  if (typeof name !== "string" || !name.startsWith(prefix)) return metric;
  return { ...metric, config: { ...metric["config"], name: name.slice(prefix.length) } };
}
