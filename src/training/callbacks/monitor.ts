import { UsageError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import type { Metric } from "../../task/metrics/metric.ts";
import type { Epoch } from "../history.ts";

/** A figure of the history and the direction in which it improves. */
export interface Monitor {
  /** A key of an epoch's record, as `val_loss`. */
  readonly name: string;
  readonly direction: "min" | "max";
}

const rising =
  /(?:accuracy|acc|precision|recall|auc|f1_score|fbeta_score|io_?u|r2_score|similarity|correlation|dice_coefficient|specificity|sensitivity|true_positives|true_negatives)(?:_\d+)?$/i;
const falling =
  /(?:loss|error|crossentropy|hinge|divergence|poisson|logcosh|log_cosh|mae|mse|msle|mape|rmse|huber|false_positives|false_negatives)(?:_\d+)?$/i;

/**
 * Returns the monitor of that name, its direction by the metric that it ends in, as `auto` in `keras/src/callbacks/monitor_callback.py`.
 * @param metrics Metrics of the run: one of the caller's own says itself in which direction it improves.
 * @throws {UsageError} for a name whose direction is not known.
 */
export function monitorOf(
  name: string,
  metrics: readonly Pick<Metric, "name" | "direction">[] = [],
): Monitor {
  if (rising.test(name)) return { name, direction: "max" };
  if (falling.test(name)) return { name, direction: "min" };
  const own = metrics.find((metric) => name === metric.name || name.endsWith(`_${metric.name}`));
  if (own) return { name, direction: own.direction === "up" ? "max" : "min" };
  throw new UsageError(
    `${optionName("monitor")}: expected a loss or a metric that is known to rise or to fall, got "${name}". Name another figure of the history, as val_loss.`,
    "monitor-unknown",
    "monitor",
  );
}

/** Tells if `value` is better than `reference` by more than `minDelta`; anything is better than null. */
export function isImprovement(
  { direction }: Monitor,
  value: number,
  reference: number | null,
  minDelta = 0,
): boolean {
  if (reference === null) return true;
  return direction === "min" ? value + minDelta < reference : value - minDelta > reference;
}

/** Returns the monitored figure. @throws {UsageError} where the epoch has none of that name. */
export function monitoredValue({ name }: Monitor, record: Epoch): number {
  const value = record[name];
  if (value !== undefined) return value;
  throw new UsageError(
    `${optionName("monitor")}: expected one of ${Object.keys(record).join(", ")}, got "${name}".`,
    "monitor-unknown",
    "monitor",
  );
}
