import type { JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import type { Schedule } from "./keras-schedules.ts";
import { kerasSchedule, scheduleArguments } from "./keras-schedules.ts";

/**
 * Schedule of the learning rate over a phase: a name, or the config of one of Keras's schedules, which may leave its rate and its steps to
 * the run.
 */
export type ScheduleArgument = ScheduleName | JsonObject;
export type ScheduleName = (typeof scheduleNames)[number];

export const scheduleNames = ["constant", "cosine", "linear", "exponential", "one-cycle", "plateau"] as const;

export interface ScheduleHorizon {
  /** The rate that the schedule starts from, or rises to. */
  readonly learningRate: number;
  /** Planned steps of the phase. */
  readonly steps: number;
  /** Steps in which the rate rises from zero; below 1 a share of `steps`. */
  readonly warmup: number;
}

/** Fraction of the rate that is left at the end of an exponential schedule. */
const exponentialRest = 0.01;
/** fastai's `fit_one_cycle`: where a cycle starts and ends beside its peak, and the share of its rise. */
const oneCycle = { div: 25, divFinal: 1e5, rise: 0.25 } as const;

const f = Math.fround;

/** Returns the steps in which the rate rises. */
export function warmupSteps({ warmup, steps }: ScheduleHorizon): number {
  return warmup < 1 ? Math.round(warmup * steps) : warmup;
}

/**
 * Returns the learning rate of each step of a phase, as float32. After the planned steps a named schedule keeps its last rate; a Keras
 * schedule goes on as Keras's does. A plateau is constant here: it acts on epochs.
 * @throws {UsageError} for a warm-up that takes the whole phase, and for a schedule of Keras with wrong arguments.
 */
export function scheduleOf(argument: ScheduleArgument, horizon: ScheduleHorizon): Schedule {
  const rise = warmupSteps(horizon);
  const { learningRate: rate, steps } = horizon;
  if (rise > 0 && rise >= steps) {
    throw new UsageError(
      `${optionName("warmup")}: expected fewer steps than the ${steps} of the phase, got ${rise}.`,
      "warmup",
      "warmup",
    );
  }
  if (typeof argument !== "string") return warmed(kerasSchedule(withDefaults(argument, horizon)), rate, rise);
  const rest = Math.max(1, steps - rise);
  const last = Math.max(0, steps - 1);
  const within =
    (schedule: Schedule): Schedule =>
    (iteration) =>
      schedule(Math.min(iteration, last));
  switch (argument) {
    case "constant":
    case "plateau":
      return warmed(() => f(rate), rate, rise);
    case "cosine":
      return within(warmed(kerasSchedule(named("CosineDecay", rate, rest)), rate, rise));
    case "linear": {
      const linear = named("PolynomialDecay", rate, rest, { end_learning_rate: 0, power: 1 });
      return within(warmed(kerasSchedule(linear), rate, rise));
    }
    case "exponential": {
      const exponential = named("ExponentialDecay", rate, rest, { decay_rate: exponentialRest });
      return within(warmed(kerasSchedule(exponential), rate, rise));
    }
    case "one-cycle":
      return within(cycle(rate, steps, rise > 0 ? rise : Math.round(oneCycle.rise * steps)));
  }
}

/** The rate rises in a straight line from zero, as in Keras's CosineDecay; then the schedule begins at its first step. */
function warmed(schedule: Schedule, rate: number, rise: number): Schedule {
  if (rise === 0) return schedule;
  return (iteration) => (iteration < rise ? f(f(rate) * f(iteration / rise)) : schedule(iteration - rise));
}

/** Two half cosines: up from a 25th of the rate, down to a 100,000th of it. */
function cycle(rate: number, steps: number, rise: number): Schedule {
  const between = (from: number, to: number, share: number): number =>
    f(from + ((to - from) * (1 - Math.cos(Math.PI * share))) / 2);
  return (iteration) => {
    if (iteration < rise) return between(rate / oneCycle.div, rate, iteration / rise);
    return between(rate, rate / oneCycle.divFinal, (iteration - rise) / Math.max(1, steps - rise));
  };
}

function named(className: string, rate: number, steps: number, rest: JsonObject = {}): JsonObject {
  const config = { initial_learning_rate: rate, decay_steps: steps, ...rest };
  return { class_name: className, config };
}

/** A config that names neither its rate nor its steps takes the run's. */
function withDefaults(argument: JsonObject, horizon: ScheduleHorizon): JsonObject {
  const config = (argument["config"] ?? {}) as JsonObject;
  const names = scheduleArguments(String(argument["class_name"] ?? ""));
  const steps = Math.max(1, horizon.steps - warmupSteps(horizon));
  const known: JsonObject = {
    initial_learning_rate: horizon.learningRate,
    decay_steps: steps,
    first_decay_steps: steps,
  };
  const missing = Object.entries(known).filter(([key]) => names.includes(key) && config[key] === undefined);
  return { ...argument, config: { ...config, ...Object.fromEntries(missing) } };
}
