/**
 * Keras's learning rate schedules by their configs (`keras/src/optimizers/schedules/learning_rate_schedule.py`): float32 numbers,
 * rounded where TensorFlow rounds them.
 */
import type { Json, JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";

/** Returns the learning rate of the step that follows `iteration` steps. */
export type Schedule = (iteration: number) => number;

const f = Math.fround;
const pi = f(Math.PI);

/** Keras's names of an argument, with its default where it has one. */
type Arguments = Readonly<Record<string, Json | undefined>>;

interface ScheduleClass {
  readonly defaults: Arguments;
  /** Takes checked arguments. */
  make(arguments_: Readonly<Record<string, Json>>): Schedule;
}

const required = undefined;

const exponentialDecay = decay((initial, rate, passed) => f(initial * f(rate ** passed)));

/** Makes a schedule of the share of `decay_steps` that has passed, in whole steps where it is a staircase. */
function decay(rateOf: (initial: number, rate: number, passed: number) => number): ScheduleClass {
  return {
    defaults: {
      initial_learning_rate: required,
      decay_steps: required,
      decay_rate: required,
      staircase: false,
    },
    make: ({ initial_learning_rate, decay_steps, decay_rate, staircase }) => {
      const [initial, steps, rate] = [
        f(Number(initial_learning_rate)),
        f(Number(decay_steps)),
        f(Number(decay_rate)),
      ];
      return (iteration) => {
        const share = f(iteration / steps);
        return rateOf(initial, rate, staircase === true ? Math.floor(share) : share);
      };
    },
  };
}

const piecewiseConstantDecay: ScheduleClass = {
  defaults: { boundaries: required, values: required },
  make: (given) => {
    const boundaries = (given["boundaries"] as readonly number[]).map(Math.trunc);
    const values = (given["values"] as readonly number[]).map(f);
    return (iteration) => {
      const passed = boundaries.filter((boundary) => iteration > boundary).length;
      return values[passed] ?? 0;
    };
  },
};

const polynomialDecay: ScheduleClass = {
  defaults: {
    initial_learning_rate: required,
    decay_steps: required,
    end_learning_rate: 0.0001,
    power: 1,
    cycle: false,
  },
  make: ({ initial_learning_rate, decay_steps, end_learning_rate, power, cycle }) => {
    const [initial, end] = [f(Number(initial_learning_rate)), f(Number(end_learning_rate))];
    const [steps, exponent] = [f(Number(decay_steps)), f(Number(power))];
    return (iteration) => {
      const cycles = cycle === true && iteration > 0 ? Math.ceil(f(iteration / steps)) : 1;
      const horizon = f(steps * cycles);
      const share = f((cycle === true ? iteration : Math.min(iteration, horizon)) / horizon);
      return f(f(f(initial - end) * f(f(1 - share) ** exponent)) + end);
    };
  },
};

const inverseTimeDecay = decay((initial, rate, passed) => f(initial / f(1 + f(rate * passed))));

const cosineDecay: ScheduleClass = {
  defaults: {
    initial_learning_rate: required,
    decay_steps: required,
    alpha: 0,
    warmup_target: null,
    warmup_steps: 0,
  },
  make: ({ initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps }) => {
    const [initial, steps, floor] = [f(Number(initial_learning_rate)), f(Number(decay_steps)), Number(alpha)];
    const decayed = (from: number, step: number): number => {
      const cosine = f(0.5 * f(1 + f(Math.cos(f(pi * f(step / steps))))));
      return f(from * f(f(f(1 - floor) * cosine) + f(floor)));
    };
    if (warmup_target === null) return (iteration) => decayed(initial, Math.min(iteration, steps));
    const [target, warmup] = [f(Number(warmup_target)), f(Number(warmup_steps))];
    return (iteration) => {
      const step = Math.min(iteration, f(steps + warmup));
      if (step >= warmup) return decayed(target, step - warmup);
      return f(f(f(target - initial) * f(step / warmup)) + initial);
    };
  },
};

const cosineDecayRestarts: ScheduleClass = {
  defaults: { initial_learning_rate: required, first_decay_steps: required, t_mul: 2, m_mul: 1, alpha: 0 },
  make: ({ initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha }) => {
    const [initial, steps] = [f(Number(initial_learning_rate)), f(Number(first_decay_steps))];
    const [growth, height, floor] = [f(Number(t_mul)), f(Number(m_mul)), f(Number(alpha))];
    return (iteration) => {
      const share = f(iteration / steps);
      const [restart, within] = growth === 1 ? evenRestart(share) : geometricRestart(share, growth);
      const scale = f(0.5 * f(height ** restart));
      const cosine = f(scale * f(1 + f(Math.cos(f(pi * within)))));
      return f(initial * f(f(f(1 - floor) * cosine) + floor));
    };
  },
};

/** Returns how many restarts came before and the share of the present cycle that is over. */
function evenRestart(share: number): readonly [restart: number, within: number] {
  const restart = Math.floor(share);
  return [restart, f(share - restart)];
}

function geometricRestart(share: number, growth: number): readonly [restart: number, within: number] {
  const reached = f(1 - f(share * f(1 - growth)));
  const restart = Math.floor(f(f(Math.log(reached)) / f(Math.log(growth))));
  const factor = f(growth ** restart);
  const sum = f(f(1 - factor) / f(1 - growth));
  return [restart, f(f(share - sum) / factor)];
}

const classes: Readonly<Record<string, ScheduleClass>> = {
  ExponentialDecay: exponentialDecay,
  PiecewiseConstantDecay: piecewiseConstantDecay,
  PolynomialDecay: polynomialDecay,
  InverseTimeDecay: inverseTimeDecay,
  CosineDecay: cosineDecay,
  CosineDecayRestarts: cosineDecayRestarts,
};

/** Keras 1 and 2 spell the argument otherwise. */
const oldArguments: Readonly<Record<string, string>> = { _t_mul: "t_mul", _m_mul: "m_mul" };

/**
 * Returns the schedule of a Keras config, `{ class_name, config }`.
 * @throws {UsageError} for a class that is none of Keras's six, and for arguments that the class does not take.
 */
export function kerasSchedule(given: JsonObject): Schedule {
  const { className, settings } = scheduleSettings(given);
  const schedule = classes[className];
  if (!schedule) throw new Error(`schedules: no class ${className}`);
  return schedule.make(settings);
}

/** Returns the names of the arguments that a schedule class takes; none for a class that is not known. */
export function scheduleArguments(className: string): readonly string[] {
  return Object.keys(classes[className]?.defaults ?? {});
}

/** Returns the class of a schedule and all its arguments, defaults filled in. @throws {UsageError} as `kerasSchedule`. */
export function scheduleSettings(given: JsonObject): {
  readonly className: string;
  readonly settings: Readonly<Record<string, Json>>;
} {
  const name =
    String(given["class_name"] ?? "")
      .split(">")
      .at(-1) ?? "";
  const className = Object.keys(classes).find((known) => known.toLowerCase() === name.toLowerCase());
  const known = className === undefined ? undefined : classes[className];
  if (className === undefined || !known) {
    throw refused(`"${name}"`, `one of ${Object.keys(classes).join(", ")}`, "an unknown class");
  }
  const settings: Record<string, Json> = {};
  const config = (given["config"] ?? {}) as JsonObject;
  for (const [key, value] of Object.entries(config)) {
    const argument = oldArguments[key] ?? key;
    if (argument === "name") continue;
    if (!(argument in known.defaults)) {
      throw refused(className, `arguments among ${Object.keys(known.defaults).join(", ")}`, `"${key}"`);
    }
    settings[argument] = value;
  }
  for (const [argument, value] of Object.entries(known.defaults)) {
    if (settings[argument] !== undefined) continue;
    if (value === undefined) throw refused(className, `a value of ${argument}`, "none");
    settings[argument] = value;
  }
  requireRanges(className, settings);
  return { className, settings };
}

function requireRanges(className: string, settings: Readonly<Record<string, Json>>): void {
  for (const name of ["decay_steps", "first_decay_steps"]) {
    const value = settings[name];
    if (value !== undefined && !(typeof value === "number" && value > 0)) {
      throw refused(className, `${name} above 0`, JSON.stringify(value));
    }
  }
  for (const [name, value] of Object.entries(settings)) {
    const isList = name === "boundaries" || name === "values";
    const isFlag = name === "staircase" || name === "cycle";
    const isNumber = Number.isFinite(value) || (name === "warmup_target" && value === null);
    const isFit = isList ? isNumbers(value) : isFlag ? typeof value === "boolean" : isNumber;
    if (!isFit) {
      const expected = isList ? "a list of numbers" : isFlag ? "true or false" : "a number";
      throw refused(className, `${expected} for ${name}`, JSON.stringify(value));
    }
  }
  const { boundaries, values } = settings;
  if (Array.isArray(boundaries) && Array.isArray(values) && boundaries.length !== values.length - 1) {
    throw refused(
      className,
      "one boundary less than values",
      `${boundaries.length} boundaries and ${values.length} values`,
    );
  }
}

function isNumbers(value: Json | undefined): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((each) => Number.isFinite(each));
}

function refused(what: string, expected: string, got: string): UsageError {
  const option = optionName("schedule");
  return new UsageError(`${option} ${what}: expected ${expected}, got ${got}.`, "schedule", "schedule");
}
