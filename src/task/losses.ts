/** Keras's losses by name, one value a sample before the mean. */
import type { Json, JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { crossentropies } from "./crossentropies.ts";
import { distances } from "./distances.ts";
import type { LossArgument } from "./loss-argument.ts";
import type { LossDefinition, LossSettings, PerSample } from "./loss-definition.ts";

export interface Loss {
  /** Keras's function name. */
  readonly name: string;
  /** How targets are given: class indices `[N]`, or values of the output's shape. */
  readonly targets: "indices" | "values";
  readonly perSample: PerSample;
}

const definitions: Readonly<Record<string, LossDefinition>> = { ...crossentropies, ...distances };

export function lossNames(): readonly string[] {
  return Object.keys(definitions);
}

/** @throws {UsageError} for a name or a setting that is not known here. */
export function lossOf(argument: LossArgument): Loss {
  const { given, config } = named(argument);
  const plain = given.toLowerCase().replaceAll("_", "");
  const found = Object.entries(definitions).find(([name, { className, aliases = [] }]) =>
    [name, className, ...aliases].some((spelling) => spelling.toLowerCase().replaceAll("_", "") === plain),
  );
  if (!found) {
    throw new UsageError(
      `${optionName("loss")} "${given}": expected one of ${lossNames().join(", ")}, got an unknown name.`,
      "loss-unknown",
      "loss",
    );
  }
  const [name, definition] = found;
  return {
    name,
    targets: definition.targets ?? "values",
    perSample: definition.perSample(settingsOf(name, definition, config)),
  };
}

/** Keras 3 writes a function that a model was compiled with as an object: its name is the config. */
function named(argument: LossArgument): { given: string; config: JsonObject } {
  if (typeof argument === "string") return { given: argument, config: {} };
  const { class_name: className, config } = argument;
  if (className === "function" && typeof config === "string") return { given: config, config: {} };
  return { given: String(className).split(">").at(-1)!, config: (config ?? {}) as JsonObject };
}

function settingsOf(name: string, { defaults = {} }: LossDefinition, config: JsonObject): LossSettings {
  const settings: Record<string, Json> = { ...defaults };
  for (const [key, value] of Object.entries(config)) {
    if (["name", "dtype", "fn"].includes(key)) continue;
    if (key === "reduction" && ["sum_over_batch_size", "mean", "auto"].includes(value as string)) continue;
    if (!(key in settings)) {
      throw new UsageError(
        `loss ${name}: "${key}": expected one of ${Object.keys(settings).join(", ") || "no settings"}, got ${JSON.stringify(value)}.`,
        "loss-setting",
        "loss",
      );
    }
    settings[key] = value;
  }
  if (settings["axis"] !== undefined && settings["axis"] !== -1) {
    throw new UsageError(
      `loss ${name}: axis: expected -1, got ${JSON.stringify(settings["axis"])}.`,
      "loss-setting",
      "loss",
    );
  }
  if (settings["ignore_class"] !== undefined && settings["ignore_class"] !== null) {
    throw new UsageError(
      `loss ${name}: ignore_class: expected null, got ${JSON.stringify(settings["ignore_class"])}.`,
      "loss-setting",
      "loss",
    );
  }
  return settings;
}

/** Whether a loss compares classes, so that a head of as many units as classes serves it. @throws {UsageError} */
export function isClassification(argument: LossArgument): boolean {
  return lossOf(argument).name.endsWith("crossentropy");
}
