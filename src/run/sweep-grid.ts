/** @file The settings that a sweep tries: every combination of the values that its grid lists. */
import { UsageError } from "../errors.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { argumentOf } from "../freeze/policy.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import { optionError, optionName } from "../options.ts";
import type { FinetuneOptions } from "./options.ts";
import { checkOf, defaultOf } from "./settings.ts";

/** An option that a sweep may vary. Those that change what the loss means are not among them: their runs could not be ranked. */
export type SweepOption =
  | "freeze"
  | "bnMode"
  | "augment"
  | "views"
  | "batchSize"
  | "epochs"
  | "optimizer"
  | "learningRate"
  | "schedule"
  | "warmup"
  | "momentum"
  | "weightDecay"
  | "layerDecay"
  | "clipNorm"
  | "clipValue"
  | "globalClipNorm"
  | "accumulate"
  | "ema"
  | "seed";

/** Options that a sweep may vary, in the order of their loops: the last varies fastest. */
export const sweepOptions: readonly SweepOption[] = [
  "freeze",
  "bnMode",
  "augment",
  "views",
  "batchSize",
  "epochs",
  "optimizer",
  "learningRate",
  "schedule",
  "warmup",
  "momentum",
  "weightDecay",
  "layerDecay",
  "clipNorm",
  "clipValue",
  "globalClipNorm",
  "accumulate",
  "ema",
  "seed",
];

/** Values to try of each option; null stands for the option's default. */
export type SweepGrid = {
  readonly [Name in SweepOption]?: readonly (Exclude<FinetuneOptions[Name], undefined> | null)[];
};

/** Values that one run of a sweep has of the options that vary. */
export type SweepSettings = {
  readonly [Name in SweepOption]?: Exclude<FinetuneOptions[Name], undefined> | null;
};

/**
 * Returns the settings of every run, each combination once.
 * @throws {UsageError} for a grid without values, an option that cannot vary, a value that the option does not take, or an option that
 * is given outside the grid too.
 */
export function gridSettings(grid: SweepGrid, base: Partial<FinetuneOptions>): readonly SweepSettings[] {
  const given = Object.entries(grid).filter(([, values]) => values !== undefined);
  for (const [name, values] of given) requireValues(name, values, base);
  if (given.length === 0) {
    throw new UsageError(
      `sweep: expected an option with several values, such as ${optionName("learningRate")}, got none. A sweep may vary ${sweepOptions.map(optionName).join(", ")}.`,
      "sweep-empty",
      "grid",
    );
  }
  let all: readonly SweepSettings[] = [{}];
  for (const name of sweepOptions) {
    const values = grid[name];
    if (values) all = all.flatMap((settings) => values.map((value) => ({ ...settings, [name]: value })));
  }
  const seen = new Set<string>();
  return all.filter((settings) => {
    const key = settingsKey(settings);
    return seen.has(key) ? false : seen.add(key);
  });
}

function requireValues(name: string, values: unknown, base: Partial<FinetuneOptions>): void {
  const option = sweepOptions.find((known) => known === name);
  if (!option) {
    const [near] = nearestNames(name, sweepOptions, 1);
    const hint = near === undefined ? "" : ` Did you mean ${optionName(near)}?`;
    throw new UsageError(
      `${optionName(name)}: expected an option that a sweep may vary (${sweepOptions.map(optionName).join(", ")}), got another.${hint}`,
      "sweep-option",
      name,
    );
  }
  if (!Array.isArray(values) || values.length === 0)
    throw optionError(option, "a list of values to try", values);
  const check = checkOf(option);
  for (const value of values as readonly unknown[]) {
    if (value !== null && value !== defaultOf(option))
      check(value, (expected) => optionError(option, expected, value));
  }
  if (base[option] === undefined) return;
  throw optionError(option, "to be given once, in the grid or beside it", "both", { code: "sweep-twice" });
}

/** Returns the options of a run: the shared ones with the settings of its own. */
export function optionsWith(base: FinetuneOptions, settings: SweepSettings): FinetuneOptions {
  const own = Object.entries(settings).filter(([, value]) => value !== null);
  return { ...base, ...Object.fromEntries(own) };
}

/** Returns a text that equal settings share. */
export function settingsKey(settings: SweepSettings): string {
  return JSON.stringify(settings);
}

/** Returns a value of an option as a table shows it: `until conv4`, `0.001`, `Adam`. */
export function settingText(value: SweepSettings[SweepOption]): string {
  if (value === null || value === undefined) return "default";
  if (typeof value !== "object") return String(value);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.every(isPolicy)) return list.length === 0 ? "none" : list.map(policyText).join(", ");
  if (list.every((item) => typeof item === "string")) return list.join(",");
  return JSON.stringify(value);
}

function isPolicy(value: unknown): value is FreezePolicy {
  return typeof value === "object" && value !== null && "kind" in value;
}

function policyText(policy: FreezePolicy): string {
  if (policy.kind === "all-but-head") return "head";
  return `${policy.kind} ${argumentOf(policy) ?? ""}`.trimEnd();
}
