import type { JsonObject } from "../../checkpoint.ts";

/** Numbers off the engine, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** One output of a batch: what a metric is computed from. */
export interface MetricBatch {
  /** Model's output as it leaves the model, `[N, …]`. */
  readonly outputs: Values;
  /** Targets as they were given: of the output's shape, or class indices. */
  readonly targets: Values;
  /** Logits that the output's softmax or sigmoid was given, if Keras keeps them with the output. */
  readonly logits?: Values | undefined;
  /** `[N]`, or one weight per position; ones where absent. */
  readonly weights?: Values | undefined;
  /** 1 at positions that count, 0 elsewhere; all count where absent. */
  readonly mask?: Values | undefined;
}

/** A metric's figure: a number, or one number per class or threshold. */
export type MetricValue = number | readonly number[];

/** A metric over the batches so far. */
export interface MetricState {
  add(batch: MetricBatch): void;
  result(): MetricValue;
}

/** A metric: how it is called, and how it starts. */
export interface Metric {
  /** Keras's name in `evaluate(return_dict=True)`. */
  readonly name: string;
  /** True if a higher figure is better. */
  readonly direction: "up" | "down";
  start(): MetricState;
}

/**
 * A metric of one's own: returns one figure for a batch, or one per sample; their mean is reported under the function's name. A
 * metric that is no mean is a {@link Metric}.
 */
export type CustomMetric = (targets: Values, outputs: Values) => number | ArrayLike<number>;

/** A Keras metric by name in any spelling, as `{ class_name, config }`, a function, or a record. */
export type MetricArgument = string | JsonObject | CustomMetric | Metric;

/** Returns the size of one sample of `shape`. */
export function rowSize(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, size) => product * size, 1);
}

/** Returns `a / b`, and 0 where `b` is 0. */
export function divideNoNan(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}
