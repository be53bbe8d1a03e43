/** @file The values that the settings of an optimizer may have. */
import type { JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { kerasSchedule } from "./keras-schedules.ts";
import type { OptimizerSettings } from "./optimizers/update-rule.ts";

/**
 * Checks what Keras's constructors check.
 * @throws {UsageError} naming the setting.
 */
export function requireRanges(className: string, settings: OptimizerSettings): void {
  const refuse = (setting: string, expected: string): never => {
    throw settingError(`${className}: ${setting}`, expected, JSON.stringify(settings[setting]));
  };
  const numbers = (
    names: readonly string[],
    expected: string,
    isFit: (value: number) => boolean,
    mayBeNull = false,
  ): void => {
    for (const name of names) {
      const value = settings[name];
      if (value === undefined || (mayBeNull && value === null)) continue;
      if (typeof value !== "number" || !isFit(value)) refuse(name, expected);
    }
  };
  const rate = settings["learning_rate"];
  if (typeof rate === "object" && rate !== null) kerasSchedule(rate as JsonObject);
  else numbers(["learning_rate"], "a number of 0 or more", (value) => value >= 0 && value < Infinity);
  const shares = ["beta_1", "beta_2", "adam_beta_1", "adam_beta_2", "rho", "ema_momentum"];
  numbers(shares, "a number from 0 to 1", (value) => value >= 0 && value <= 1);
  numbers(["momentum"], "a number from 0 to 1", (value) => value >= 0 && value <= 1);
  numbers(
    ["weight_decay", "adam_weight_decay"],
    "a number of 0 or more, or null",
    (value) => value >= 0,
    true,
  );
  numbers(["clipnorm", "clipvalue", "global_clipnorm"], "a number of 0 or more", (value) => value >= 0, true);
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1;
  numbers(["ema_overwrite_frequency"], "a whole number of 1 or more, or null", isCount, true);
  const isSeveral = (value: number): boolean => Number.isInteger(value) && value >= 2;
  numbers(["gradient_accumulation_steps"], "a whole number of 2 or more, or null", isSeveral, true);
  numbers(["ns_steps"], "a whole number of 1 or more", isCount);
  numbers(["warmup_steps"], "a number of 0 or more", (value) => value >= 0);
  const strengths = ["l1_regularization_strength", "l2_regularization_strength"];
  numbers(
    [...strengths, "l2_shrinkage_regularization_strength"],
    "a number of 0 or more",
    (value) => value >= 0,
  );
  numbers(["initial_accumulator_value"], "a number of 0 or more", (value) => value >= 0);
  numbers(["learning_rate_power"], "a number of 0 or less", (value) => value <= 0);
  const clips = ["clipnorm", "clipvalue", "global_clipnorm"].filter((name) => settings[name] !== null);
  const [first, second] = clips;
  if (second !== undefined) refuse(second, `null where ${first} is given`);
}

/** Returns the error of one setting of the optimizer. */
export function settingError(setting: string, expected: string, got: string): UsageError {
  return new UsageError(
    `${optionName("optimizer")} ${setting}: expected ${expected}, got ${got}.`,
    "optimizer-setting",
    "optimizer",
  );
}
