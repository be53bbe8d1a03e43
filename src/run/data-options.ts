/** @file The options of a run that say how data at a path is read. */
import type { DataOptions } from "../data/model-files.ts";
import type { FinetuneOptions } from "./options.ts";
import type { RunSettings } from "./settings.ts";

/** Names of the options. */
export const dataOptionNames = [
  "masks",
  "x",
  "targets",
  "sampleWeight",
  "splitColumn",
  "group",
  "task",
  "valFraction",
] as const;

/** Options of a run that say how data at a path is read. */
export type PathDataOptions = Pick<FinetuneOptions, (typeof dataOptionNames)[number]>;

/** Returns what `openData` takes of a run's settings. */
export function dataOptions(settings: RunSettings): DataOptions {
  const { valFraction } = settings;
  const given = dataOptionNames.flatMap((name) =>
    name === "valFraction" || settings[name] === null ? [] : [[name, settings[name]] as const],
  );
  return { ...Object.fromEntries(given), validationFraction: valFraction };
}
