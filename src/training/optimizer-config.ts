import type { Json, JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";

/** A Keras optimizer's config, its class's defaults filled in. */
export interface OptimizerConfig {
  readonly className: string;
  readonly settings: Readonly<Record<string, Json>>;
}

/** What a caller may give: a Keras class name in any spelling, or `{ class_name, config }`. */
export type OptimizerArgument = string | JsonObject;

const shared = {
  weight_decay: null,
  clipnorm: null,
  clipvalue: null,
  global_clipnorm: null,
  use_ema: false,
  ema_momentum: 0.99,
  ema_overwrite_frequency: null,
  loss_scale_factor: null,
  gradient_accumulation_steps: null,
} as const;

const adam = { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 } as const;

/** Keras 3's constructor defaults (`keras/src/optimizers/*.py`). */
const defaults: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  SGD: { ...shared, learning_rate: 0.01, momentum: 0, nesterov: false },
  RMSprop: { ...shared, learning_rate: 0.001, rho: 0.9, momentum: 0, epsilon: 1e-7, centered: false },
  Adam: { ...shared, ...adam, amsgrad: false },
  AdamW: { ...shared, ...adam, amsgrad: false, weight_decay: 0.004 },
  Adamax: { ...shared, ...adam },
  Nadam: { ...shared, ...adam },
  Adagrad: { ...shared, learning_rate: 0.001, initial_accumulator_value: 0.1, epsilon: 1e-7 },
  Adadelta: { ...shared, learning_rate: 0.001, rho: 0.95, epsilon: 1e-7 },
  Lion: { ...shared, learning_rate: 0.001, beta_1: 0.9, beta_2: 0.99 },
};

/** Keras 1 and 2 spellings of settings. */
const oldNames: Readonly<Record<string, string>> = { lr: "learning_rate" };
const ignored = new Set(["name", "jit_compile", "is_legacy_optimizer", "decay", "schedule_decay"]);

export function optimizerNames(): readonly string[] {
  return Object.keys(defaults);
}

/**
 * The optimizer that `argument` names, with Keras's defaults. `learningRate` wins over what `argument` says, and `otherwise` stands
 * where neither says a rate.
 * @throws {UsageError} for a class, setting or schedule that is not known here.
 */
export function optimizerConfig(
  argument: OptimizerArgument,
  learningRate?: number,
  otherwise?: number,
): OptimizerConfig {
  const { name, config } = named(argument);
  const className = optimizerNames().find((known) => known.toLowerCase() === name.toLowerCase());
  if (!className) {
    throw new UsageError(
      `${optionName("optimizer")} "${name}": expected one of ${optimizerNames().join(", ")}, got an unknown name.`,
      "optimizer-unknown",
      "optimizer",
    );
  }
  const settings: Record<string, Json> = {
    ...defaults[className],
    ...(otherwise !== undefined && { learning_rate: otherwise }),
  };
  for (const [key, value] of Object.entries(config)) {
    const setting = oldNames[key] ?? key;
    if (ignored.has(setting) && !(key === "decay" && value !== 0)) continue;
    if (!(setting in settings)) {
      throw new UsageError(
        `optimizer ${className}: "${key}": expected one of ${Object.keys(settings).join(", ")}, got an unknown setting.`,
        "optimizer-setting",
        "optimizer",
      );
    }
    if (value !== null) settings[setting] = value;
  }
  if (learningRate !== undefined) settings["learning_rate"] = learningRate;
  refuseUnsupported(className, settings);
  return { className, settings };
}

function named(argument: OptimizerArgument): { name: string; config: JsonObject } {
  if (typeof argument === "string") return { name: argument, config: {} };
  const name = argument["class_name"];
  if (typeof name !== "string") {
    throw new UsageError(
      `${optionName("optimizer")}: expected a name or { class_name, config }, got ${JSON.stringify(argument)}.`,
      "optimizer-unknown",
      "optimizer",
    );
  }
  return { name: name.split(">").at(-1)!, config: (argument["config"] as JsonObject | undefined) ?? {} };
}

function refuseUnsupported(className: string, settings: Readonly<Record<string, Json>>): void {
  const refuse = (setting: string, expected: string): never => {
    throw new UsageError(
      `optimizer ${className}: ${setting}: expected ${expected}, got ${JSON.stringify(settings[setting])}.`,
      "optimizer-setting",
      "optimizer",
    );
  };
  const rate = settings["learning_rate"];
  if (typeof rate !== "number")
    refuse("learning_rate", "a number (schedules are given to the run, not the optimizer)");
  if (!((rate as number) >= 0)) refuse("learning_rate", "a number of 0 or more");
  if (settings["use_ema"]) refuse("use_ema", "false");
  if (settings["loss_scale_factor"] !== null) refuse("loss_scale_factor", "null (training is float32)");
  if (settings["gradient_accumulation_steps"] !== null) refuse("gradient_accumulation_steps", "null");
  const clips = ["clipnorm", "clipvalue", "global_clipnorm"].filter((name) => settings[name] !== null);
  if (clips.length > 1) refuse(clips[1]!, `null where ${clips[0]} is given`);
}
