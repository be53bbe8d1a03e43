import type { FreezePolicy } from "../freeze/policy.ts";
import { argumentOf, formatPolicy } from "../freeze/policy.ts";
import { optionName, optionSetTo, shellWord } from "../options.ts";
import type { FinetuneOptions, PhaseOptions } from "./options.ts";

/** Options that are no part of what a run is: functions, and what `freeze` is written as instead. */
const notRepeated: ReadonlySet<string> = new Set([
  "freeze",
  "callbacks",
  "onProgress",
  "signal",
  "overwrite",
]);

/** Returns the call that repeats a run, as the caller wrote it: with flags on the command line, with options in code. */
export function callText(options: FinetuneOptions): string {
  const isCommand = optionName("epochs").startsWith("--");
  const given = Object.entries(options).filter(
    ([name, value]) => !notRepeated.has(name) && value !== undefined && value !== null && value !== "auto",
  );
  const frozen = [options.freeze ?? []].flat();
  if (isCommand) return ["finetune", ...given.flatMap(flagTexts), ...frozen.map(formatPolicy)].join(" ");
  const policies = frozen.length > 0 ? [`freeze: [${frozen.map(formatPolicy).join(", ")}]`] : [];
  return `finetune({ ${[...given.map(optionText), ...policies].join(", ")} })`;
}

type Given = readonly [name: string, value: unknown];

/** Returns an option as code; a model or dataset that is no path is left open. */
function optionText([name, value]: Given): string {
  if (typeof value !== "object") return optionSetTo(name, value as string | number | boolean);
  return `${name}: ${name === "model" || name === "data" ? "…" : JSON.stringify(value)}`;
}

/** Returns an option as the flag that sets it, or as several. */
function flagTexts([name, value]: Given): string[] {
  if (name === "phases")
    return (value as readonly PhaseOptions[]).map((phase) => `--phase ${phaseText(phase)}`);
  const text = flagValue(name, value);
  return [optionSetTo(name, typeof text === "string" ? shellWord(text) : text)];
}

function flagValue(name: string, value: unknown): string | number | boolean {
  if (typeof value !== "object" || value === null) return value as string | number | boolean;
  if (name === "model" || name === "data") return "…";
  if (name === "imageSize" && Array.isArray(value)) return value.join("x");
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(",");
  const entries = Object.entries(value);
  if (entries.length > 0 && entries.every(([, item]) => typeof item === "number"))
    return entries.map(([key, item]) => `${key}=${item}`).join(",");
  return JSON.stringify(value);
}

/** Returns a phase as `--phase` takes it. */
function phaseText({ freeze, epochs, learningRate, schedule, warmup }: PhaseOptions): string {
  const words = [
    cutName([freeze as FreezePolicy | readonly FreezePolicy[]].flat()),
    `epochs=${epochs}`,
    ...(learningRate === undefined ? [] : [`lr=${learningRate}`]),
    ...(schedule === undefined
      ? []
      : [`schedule=${typeof schedule === "string" ? schedule : JSON.stringify(schedule)}`]),
    ...(warmup === undefined ? [] : [`warmup=${warmup}`]),
  ];
  return shellWord(words.join(" "));
}

function cutName([policy]: readonly FreezePolicy[]): string {
  if (policy?.kind === "all-but-head") return "head";
  return policy?.kind === "until" ? String(argumentOf(policy)) : "none";
}
