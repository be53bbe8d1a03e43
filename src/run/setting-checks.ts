/** @file Checks of a run's options, beyond plain numbers, names and switches. */
import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import type { AugmentArgument } from "../features/views/recipe.ts";
import { augmentationRecipe } from "../features/views/recipe.ts";
import { isRemoteAddress, remoteTargetError } from "../formats/remote-address.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import type { OptionCheck, Refuse } from "../options.ts";
import { notNegative, positiveNumber, someText, wholeNumber } from "../options.ts";
import type { LossArgument } from "../task/losses/loss-argument.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { OptimizerArgument } from "../training/optimizer-config.ts";
import type { ScheduleArgument } from "../training/schedules.ts";
import { scheduleNames } from "../training/schedules.ts";
import type { FinetuneOptions, PhaseOptions } from "./options.ts";

/** Takes a path of a Keras file or run folder, or a checkpoint. */
export function modelOrFile(given: unknown, refuse: Refuse): string | Checkpoint {
  if (typeof given === "string" && given !== "") return given;
  if (isRecord(given) && isRecord(given["modelConfig"]) && given["weights"] instanceof Map) {
    return given as unknown as Checkpoint;
  }
  throw refuse("a Keras file, a run folder or a checkpoint");
}

/** Takes a path of a folder or table, or a dataset. */
export function datasetOrFolder(given: unknown, refuse: Refuse): string | Dataset {
  if (typeof given === "string" && given !== "") return given;
  const isDataset = isRecord(given) && (typeof given["kind"] === "string" || Symbol.asyncIterator in given);
  if (isDataset) return given as unknown as Dataset;
  throw refuse("a folder or a dataset");
}

/** Takes a path on a disk, of which an address would make a strange folder. */
export const pathOnDisk: OptionCheck<string> = (given, refuse) => {
  const path = someText(given, refuse);
  if (isRemoteAddress(path)) throw remoteTargetError(path, "out");
  return path;
};

/** Takes metrics of every output, or of each by its name. */
export function metricArguments(given: unknown, refuse: Refuse): NonNullable<FinetuneOptions["metrics"]> {
  const isMetric = (one: unknown): boolean =>
    (typeof one === "string" && one.trim() !== "") || typeof one === "function" || isRecord(one);
  const lists: readonly unknown[] = Array.isArray(given)
    ? [given]
    : isRecord(given)
      ? Object.values(given)
      : [null];
  if (lists.every((list) => Array.isArray(list) && list.every(isMetric))) {
    return given as NonNullable<FinetuneOptions["metrics"]>;
  }
  throw refuse("a list of metrics, by name or config, or a list for each output by its name");
}

/** Takes one or more columns of a table, by name. */
export function columnNames(given: unknown, refuse: Refuse): readonly string[] {
  const names: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (names.length > 0 && names.every((name) => typeof name === "string" && name.trim() !== "")) {
    return names as readonly string[];
  }
  throw refuse("a column's name, or a list of them");
}

/** Takes a share of a whole that leaves something of it. */
export function shareBelowOne(given: unknown, refuse: Refuse): number {
  if (typeof given === "number" && given >= 0 && given < 1) return given;
  throw refuse("a number from 0 to below 1");
}

const policyKinds: readonly unknown[] = [
  "until",
  "through",
  "freeze",
  "unfreeze",
  "depth",
  "all-but-head",
] satisfies readonly FreezePolicy["kind"][];

/** Takes a freeze policy, or a list of them. */
export function freezePolicies(given: unknown, refuse: Refuse): readonly FreezePolicy[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.every((policy) => isRecord(policy) && policyKinds.includes(policy["kind"]))) {
    return list as readonly FreezePolicy[];
  }
  throw refuse('a freeze policy such as freezeUntil("conv4"), or a list of them');
}

/** Takes what Keras names or writes as `{ class_name, config }`. */
export function kerasObject(expected: string): OptionCheck<OptimizerArgument> {
  return (given, refuse) => {
    if (typeof given === "string" && given.trim() !== "") return given;
    if (isRecord(given) && typeof given["class_name"] === "string") return given as OptimizerArgument;
    throw refuse(expected);
  };
}

/** Takes phases, each checked as the options of a run of the same names. */
export function phaseList(given: unknown, refuse: Refuse): readonly PhaseOptions[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [];
  if (list.length === 0) throw refuse("a list of phases such as { freeze: freezeAllButHead(), epochs: 3 }");
  return list.map((phase, index) => {
    const refuseOne = (expected: string): Error => refuse(`in phase ${index + 1} ${expected}`);
    if (!isRecord(phase)) throw refuseOne("a record of options");
    const strange = Object.keys(phase).find((name) => !Object.hasOwn(phaseChecks, name));
    if (strange !== undefined) {
      throw refuseOne(`options among ${Object.keys(phaseChecks).join(", ")} alone, not ${strange}`);
    }
    const entries = Object.entries(phaseChecks).flatMap(([name, check]) => {
      const value = phase[name];
      const isRequired = name === "freeze" || name === "epochs";
      if (value === undefined && !isRequired) return [];
      return [[name, check(value, (expected) => refuseOne(`${expected} for ${name}`))] as const];
    });
    return Object.fromEntries(entries) as unknown as PhaseOptions;
  });
}

const phaseChecks: { readonly [Name in keyof PhaseOptions]-?: OptionCheck<unknown> } = {
  freeze: freezePolicies,
  epochs: wholeNumber(1),
  learningRate: positiveNumber,
  schedule: scheduleArgument,
  warmup: notNegative,
};

/** Takes a loss for every output, or one for each by its name. */
export function lossArgument(given: unknown, refuse: Refuse): NonNullable<FinetuneOptions["loss"]> {
  if (isLoss(given)) return given;
  const byOutput: readonly unknown[] =
    isRecord(given) && !("class_name" in given) ? Object.values(given) : [];
  if (byOutput.length > 0 && byOutput.every((loss) => loss === null || isLoss(loss))) {
    return given as NonNullable<FinetuneOptions["loss"]>;
  }
  throw refuse("a Keras loss's name or config, a function, or one of these for each output by its name");
}

function isLoss(given: unknown): given is LossArgument {
  if (typeof given === "string") return given.trim() !== "";
  return typeof given === "function" || (isRecord(given) && typeof given["class_name"] === "string");
}

/** Takes a weight for each output's loss. */
export function lossWeights(given: unknown, refuse: Refuse): NonNullable<FinetuneOptions["lossWeights"]> {
  const weights: readonly unknown[] = isRecord(given) || Array.isArray(given) ? Object.values(given) : [];
  if (weights.length > 0 && weights.every((weight) => Number.isFinite(weight))) {
    return given as NonNullable<FinetuneOptions["lossWeights"]>;
  }
  throw refuse("a number for each output, in order or by its name");
}

/** Takes a schedule, by name or as a Keras config. */
export function scheduleArgument(given: unknown, refuse: Refuse): ScheduleArgument {
  if (isRecord(given) && typeof given["class_name"] === "string") return given as ScheduleArgument;
  const name = scheduleNames.find((known) => known === given);
  if (name !== undefined) return name;
  throw refuse(`one of ${scheduleNames.join(", ")}, or the config of a Keras schedule`);
}

/** Takes a weight for each class, or `balanced`. */
export function classWeights(given: unknown, refuse: Refuse): "balanced" | Readonly<Record<string, number>> {
  if (given === "balanced") return given;
  const weights: readonly unknown[] = isRecord(given) ? Object.values(given) : [];
  if (weights.length > 0 && weights.every((weight) => Number.isFinite(weight) && Number(weight) > 0)) {
    return given as Readonly<Record<string, number>>;
  }
  throw refuse("balanced, or a weight above 0 for each class, by its name or index");
}

/** Takes a recipe as it is written, if it can be made out. */
export function augmentation(given: unknown, refuse: Refuse): AugmentArgument {
  const items: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (!items.every((item) => typeof item === "string" || isRecord(item))) {
    throw refuse("transformations such as flip,rotate=10, or light, medium or strong");
  }
  augmentationRecipe(given as AugmentArgument);
  return given as AugmentArgument;
}

/** Takes a folder, or false for none. */
export function folderOrFalse(given: unknown, refuse: Refuse): string | false {
  if (given === false || (typeof given === "string" && given.trim() !== "")) return given;
  throw refuse("a folder, or false for no cache");
}

/** Takes callbacks, each with its name. */
export function callbackList(given: unknown, refuse: Refuse): readonly Callback[] {
  if (Array.isArray(given) && given.every((one) => isRecord(one) && typeof one["name"] === "string")) {
    return given;
  }
  throw refuse("a list of callbacks, each with a name");
}

/** Takes the signal that stops a run. */
export function abortSignal(given: unknown, refuse: Refuse): AbortSignal {
  if (given instanceof AbortSignal) return given;
  throw refuse("an AbortSignal");
}

function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === "object" && given !== null && !Array.isArray(given);
}
