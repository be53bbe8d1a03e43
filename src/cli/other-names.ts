import { nameElsewhere, nearestNames, optionElsewhere } from "../cli-api.ts";
import type { Flag } from "./flag.ts";

/** Names that other tools give to flags that set no option of their own, by ours. None of them is accepted: a flag has one name. */
export const flagsElsewhere: Readonly<Record<string, string>> = {
  folds: "cv kfold k-fold cross-validation n-splits",
  "freeze-until":
    "freeze-to unfreeze-from fine-tune-at finetune-at freeze-before freeze-up-to trainable-from unfreeze-at freeze-from first-trainable",
  "freeze-depth": "num-frozen freeze-n n-frozen frozen-layers freeze-first",
  "freeze-all-but-head":
    "freeze-backbone freeze-base freeze-encoder head-only freeze-feature-extractor linear-probe",
  freeze: "freeze-layers freeze-pattern exclude",
  unfreeze: "trainable train-layers trainable-layers unfreeze-layers",
  resume: "resume-from continue resume-from-checkpoint",
  "dry-run": "n dry dryrun plan",
  quiet: "q silent no-progress",
  verbose: "v debug",
  json: "output-json as-json machine-readable",
  engine: "device gpu gpus cpu cuda backend accelerator metal mps use-gpu no-gpu",
  threads: "j t jobs workers num-workers n-jobs cores cpus num-threads n-threads",
};

/** Names that other tools give to commands, by ours. */
export const commandsElsewhere: Readonly<Record<string, string>> = {
  train: "fit finetune fine-tune run start learn tune-model",
  plan: "dry-run estimate cost profile",
  inspect: "summary info show describe model layers cat view",
  why: "explain",
  predict: "infer inference classify label serve",
  evaluate: "eval test val validate score benchmark",
  "lr-find": "find-lr lrfind lr-finder learning-rate",
  sweep: "search grid tune hyperparameters hparams compare-settings",
  extract: "features embed cache precompute",
  report: "plot graph compare html",
  runs: "ls list history experiments logs",
  convert: "export save save-as onnx tfjs",
  setup: "install init build download",
  doctor: "check version env diagnose engines devices",
};

/** Returns the flag, without dashes, that `name` may stand for: what another tool calls it, else the nearest in spelling. */
export function flagMeant(
  name: string,
  flags: ReadonlyMap<string, Flag<unknown>>,
  more: readonly string[] = [],
): string | undefined {
  return flagElsewhere(name, flags) ?? nearestNames(name, [...flags.keys(), ...more], 1)[0];
}

/** Returns the flag, without dashes, that another tool calls `name`; undefined for one that these flags do not have. */
export function flagElsewhere(name: string, flags: ReadonlyMap<string, Flag<unknown>>): string | undefined {
  const own = nameElsewhere(name, flagsElsewhere);
  if (own !== undefined) return flags.has(own) ? own : undefined;
  const option = optionElsewhere(name);
  return [...flags].find(([, flag]) => option !== undefined && flag.option === option)?.[0];
}

/** Returns the command of ours that another tool calls `name`. */
export function commandElsewhere(name: string): string | undefined {
  return nameElsewhere(name, commandsElsewhere);
}
