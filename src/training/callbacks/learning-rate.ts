import type { Json, JsonObject } from "../../checkpoint.ts";
import { UsageError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import type { Schedule } from "../keras-schedules.ts";
import type { Callback } from "./callback.ts";
import type { Monitor } from "./monitor.ts";
import { isImprovement, monitoredValue } from "./monitor.ts";

/** Sets the rate of each step by a schedule. */
export function scheduled(schedule: Schedule): Callback {
  return { name: "schedule", learningRate: ({ iteration }) => schedule(iteration) };
}

/** Arguments of Keras's ReduceLROnPlateau with its defaults (`keras/src/callbacks/reduce_lr_on_plateau.py`). */
export interface Plateau {
  readonly factor: number;
  readonly patience: number;
  readonly min_delta: number;
  readonly cooldown: number;
  readonly min_lr: number;
}

const defaults: Plateau = { factor: 0.1, patience: 10, min_delta: 1e-4, cooldown: 0, min_lr: 0 };

/** Returns the arguments of a plateau. @throws {UsageError} for one that Keras does not take. */
export function plateauSettings(config: JsonObject = {}): Plateau {
  const refuse = (key: string, expected: string, got: Json): never => {
    throw new UsageError(
      `${optionName("schedule")} ReduceLROnPlateau: ${key}: expected ${expected}, got ${JSON.stringify(got)}.`,
      "schedule",
      "schedule",
    );
  };
  for (const [key, value] of Object.entries(config)) {
    if (!(key in defaults)) refuse(key, `one of ${Object.keys(defaults).join(", ")}`, value);
    if (typeof value !== "number" || !(value >= 0)) refuse(key, "a number of 0 or more", value);
  }
  const settings = { ...defaults, ...(config as Partial<Plateau>) };
  if (settings.factor >= 1) refuse("factor", "a number below 1", settings.factor);
  return settings;
}

/**
 * Lowers the rate when the monitored figure has stopped improving, as Keras's ReduceLROnPlateau: its decisions act on whole epochs.
 * `schedule` gives the rate until the first of them, and where its warm-up is not over.
 */
export function reduceOnPlateau(
  monitor: Monitor,
  schedule: Schedule,
  warmup: number,
  settings: Plateau,
): Callback {
  const { factor, patience, min_delta, cooldown, min_lr } = settings;
  let rate: number | null = null;
  let best: number | null = null;
  let waited = 0;
  let cooling = 0;
  return {
    name: "schedule",
    learningRate: ({ iteration }) => (rate === null || iteration < warmup ? schedule(iteration) : rate),
    epochEnd: (record) => {
      const value = monitoredValue(monitor, record);
      if (cooling > 0) {
        cooling--;
        waited = 0;
      }
      if (isImprovement(monitor, value, best, min_delta)) {
        best = value;
        waited = 0;
        return;
      }
      if (cooling > 0) return;
      waited++;
      if (waited < patience || record.lr <= Math.fround(min_lr)) return;
      rate = Math.fround(Math.max(Math.fround(record.lr) * factor, min_lr));
      cooling = cooldown;
      waited = 0;
    },
    state: () => ({ rate, best, waited, cooling }),
    restore: (state) => {
      ({ rate, best, waited, cooling } = state as {
        rate: number | null;
        best: number | null;
        waited: number;
        cooling: number;
      });
    },
  };
}
