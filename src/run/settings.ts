import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { preprocessMode } from "../data/preprocess.ts";
import { UsageError } from "../errors.ts";
import type { AugmentArgument } from "../features/views/recipe.ts";
import { augmentationRecipe } from "../features/views/recipe.ts";
import { formatNames } from "../formats/formats.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import type { OptionCheck, Refuse } from "../options.ts";
import {
  aFunction,
  duration,
  imageSides,
  notNegative,
  numberBetween,
  oneOf,
  optionError,
  optionName,
  positiveNumber,
  someText,
  trueOrFalse,
  wholeNumber,
} from "../options.ts";
import type { LossArgument } from "../task/losses/loss-argument.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { OptimizerArgument } from "../training/optimizer-config.ts";
import type { ScheduleArgument } from "../training/schedules.ts";
import { scheduleNames } from "../training/schedules.ts";
import type { FinetuneOptions, PhaseOptions, ProgressEvent } from "./options.ts";

/** Options that the model or the data decide where they are absent: `"auto"` until the preparation. */
type Decided =
  | "epochs"
  | "freeze"
  | "imageSize"
  | "learningRate"
  | "loss"
  | "monitor"
  | "outputFormat"
  | "preprocess"
  | "views";

/** Options that are null where they are absent: there is none of it. */
type Nullable =
  | "arch"
  | "augment"
  | "cache"
  | "classWeight"
  | "classes"
  | "clipNorm"
  | "clipValue"
  | "ema"
  | "globalClipNorm"
  | "group"
  | "layerDecay"
  | "lossWeights"
  | "masks"
  | "maxTime"
  | "metrics"
  | "momentum"
  | "out"
  | "outputKeras"
  | "patience"
  | "phases"
  | "recipe"
  | "sampleWeight"
  | "signal"
  | "splitColumn"
  | "targets"
  | "task"
  | "weightDecay"
  | "weightedMetrics"
  | "x";

/** A run's options with every default in place. */
export type RunSettings = {
  readonly [Name in keyof FinetuneOptions]-?:
    | Exclude<FinetuneOptions[Name], undefined>
    | (Name extends Decided ? "auto" : never)
    | (Name extends Nullable ? null : never);
};

/** An option: what it takes, and what stands where it is absent. */
interface Setting<T> {
  readonly check: OptionCheck<T>;
  /** Undefined where the option is required. */
  readonly otherwise: T | undefined;
}

function setting<T, Otherwise extends T>(check: OptionCheck<NoInfer<T>>, otherwise?: Otherwise): Setting<T> {
  return { check, otherwise };
}

/** Every option of a run, once. A new one is a line here, a documented entry in `FinetuneOptions`, and a flag. */
const runSettings: { readonly [Name in keyof RunSettings]: Setting<RunSettings[Name]> } = {
  model: setting(modelOrFile),
  data: setting(datasetOrFolder),
  masks: setting(someText, null),
  x: setting(columnNames, null),
  targets: setting(columnNames, null),
  sampleWeight: setting(someText, null),
  splitColumn: setting(someText, null),
  group: setting(someText, null),
  valFraction: setting(shareBelowOne, 0.2),
  task: setting(oneOf("single-label", "multi-label", "regression"), null),
  metrics: setting(metricArguments, null),
  freeze: setting(freezePolicies, "auto"),
  bnMode: setting(oneOf("inference", "follow", "freeze", "train"), "inference"),
  epochs: setting(wholeNumber(1), "auto"),
  phases: setting(phaseList, null),
  recipe: setting(oneOf("transfer"), null),
  batchSize: setting(wholeNumber(1), 32),
  optimizer: setting(kerasObject("a Keras optimizer's name or config"), "Adam"),
  learningRate: setting(positiveNumber, "auto"),
  schedule: setting(scheduleArgument, "constant"),
  warmup: setting(notNegative, 0),
  momentum: setting(numberBetween(0, 1), null),
  weightDecay: setting(notNegative, null),
  layerDecay: setting(numberBetween(0, 1), null),
  clipNorm: setting(positiveNumber, null),
  clipValue: setting(positiveNumber, null),
  globalClipNorm: setting(positiveNumber, null),
  accumulate: setting(wholeNumber(1), 1),
  ema: setting(numberBetween(0, 1), null),
  loss: setting(lossArgument, "auto"),
  lossWeights: setting(lossWeights, null),
  weightedMetrics: setting(metricArguments, null),
  labelSmoothing: setting(numberBetween(0, 1), 0),
  classWeight: setting(classWeights, null),
  augment: setting(augmentation, null),
  views: setting(wholeNumber(0), "auto"),
  seed: setting(wholeNumber(0), 0),
  patience: setting(wholeNumber(1), null),
  monitor: setting(someText, "auto"),
  minDelta: setting(notNegative, 0),
  maxTime: setting(duration, null),
  imageSize: setting(imageSides, "auto"),
  preprocess: setting(preprocessMode, "auto"),
  exif: setting(trueOrFalse, true),
  strictData: setting(trueOrFalse, false),
  cache: setting(folderOrFalse, null),
  cacheMax: setting(wholeNumber(1), 10e9),
  cacheDtype: setting(oneOf("float32", "float16"), "float32"),
  arch: setting(someText, null),
  classes: setting(wholeNumber(1), null),
  keepHead: setting(trueOrFalse, false),
  outputFormat: setting(oneOf(...formatNames), "auto"),
  outputKeras: setting(oneOf("3.0"), null),
  out: setting(someText, null),
  overwrite: setting(trueOrFalse, false),
  saveEvery: setting(wholeNumber(0), 1),
  report: setting(trueOrFalse, true),
  callbacks: setting(callbackList, []),
  onProgress: setting(aFunction<(event: ProgressEvent) => void>, () => {}),
  signal: setting(abortSignal, null),
};

/**
 * Returns the options of a run, checked, with their defaults: pure, and the same again for what it returned.
 * @throws {UsageError} for a value out of range, a required option that is absent, or an option that does not exist.
 */
export function resolveOptions(options: FinetuneOptions): RunSettings {
  refuseUnknown(options);
  return resolve(runSettings, options) as RunSettings;
}

/** Returns some of a run's options, checked, with their defaults, for calls that share them with `finetune`. */
export function resolveSome<const Name extends keyof RunSettings>(
  names: readonly Name[],
  options: { readonly [Key in Name]?: unknown },
): Pick<RunSettings, Name> {
  const some = Object.fromEntries(names.map((name) => [name, runSettings[name]]));
  refuseUnknown(options);
  return resolve(some, options) as Pick<RunSettings, Name>;
}

/** The name of an option of a run. */
export type RunOption = keyof RunSettings;

/** Returns the check of one option, which other callers of a run apply to what they read: flags, config files. */
export function checkOf(name: RunOption): OptionCheck<unknown> {
  return runSettings[name].check;
}

/** Returns the default of an option, for help texts. */
export function defaultOf(name: RunOption): unknown {
  return runSettings[name].otherwise;
}

function resolve(
  known: Readonly<Record<string, Setting<unknown>>>,
  options: object,
): Record<string, unknown> {
  const given: Readonly<Record<string, unknown>> = { ...options };
  return Object.fromEntries(
    Object.entries(known).map(([name, { check, otherwise }]) => {
      const value = given[name];
      if (otherwise !== undefined && (value === undefined || value === otherwise)) return [name, otherwise];
      return [name, check(value, (expected) => optionError(name, expected, value))];
    }),
  );
}

/** Refuses a name that is no option of a run: a misspelled one would be ignored without a word. */
function refuseUnknown(options: object): void {
  const known = Object.keys(runSettings);
  const strange = Object.keys(options).find((name) => !known.includes(name));
  if (strange === undefined) return;
  const [near] = nearestNames(strange, known, 1);
  const hint =
    near === undefined ? `The options are ${known.join(", ")}.` : `Did you mean ${optionName(near)}?`;
  throw new UsageError(`${optionName(strange)}: unknown option. ${hint}`, "option-unknown", strange);
}

function modelOrFile(given: unknown, refuse: Refuse): string | Checkpoint {
  if (typeof given === "string" && given !== "") return given;
  if (isRecord(given) && isRecord(given["modelConfig"]) && given["weights"] instanceof Map) {
    return given as unknown as Checkpoint;
  }
  throw refuse("a Keras file, a run folder or a checkpoint");
}

function datasetOrFolder(given: unknown, refuse: Refuse): string | Dataset {
  if (typeof given === "string" && given !== "") return given;
  const isDataset = isRecord(given) && (typeof given["kind"] === "string" || Symbol.asyncIterator in given);
  if (isDataset) return given as unknown as Dataset;
  throw refuse("a folder or a dataset");
}

/** Takes metrics of every output, or of each by its name. */
function metricArguments(given: unknown, refuse: Refuse): NonNullable<FinetuneOptions["metrics"]> {
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

function columnNames(given: unknown, refuse: Refuse): readonly string[] {
  const names: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (names.length > 0 && names.every((name) => typeof name === "string" && name.trim() !== "")) {
    return names as readonly string[];
  }
  throw refuse("a column's name, or a list of them");
}

function shareBelowOne(given: unknown, refuse: Refuse): number {
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

function freezePolicies(given: unknown, refuse: Refuse): readonly FreezePolicy[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.every((policy) => isRecord(policy) && policyKinds.includes(policy["kind"]))) {
    return list as readonly FreezePolicy[];
  }
  throw refuse('a freeze policy such as freezeUntil("conv4"), or a list of them');
}

/** Takes what Keras names or writes as `{ class_name, config }`. */
function kerasObject(expected: string): OptionCheck<OptimizerArgument> {
  return (given, refuse) => {
    if (typeof given === "string" && given.trim() !== "") return given;
    if (isRecord(given) && typeof given["class_name"] === "string") return given as OptimizerArgument;
    throw refuse(expected);
  };
}

/** Takes phases, each checked as the options of a run of the same names. */
function phaseList(given: unknown, refuse: Refuse): readonly PhaseOptions[] {
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
function lossArgument(given: unknown, refuse: Refuse): NonNullable<FinetuneOptions["loss"]> {
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

function lossWeights(given: unknown, refuse: Refuse): NonNullable<FinetuneOptions["lossWeights"]> {
  const weights: readonly unknown[] = isRecord(given) || Array.isArray(given) ? Object.values(given) : [];
  if (weights.length > 0 && weights.every((weight) => Number.isFinite(weight))) {
    return given as NonNullable<FinetuneOptions["lossWeights"]>;
  }
  throw refuse("a number for each output, in order or by its name");
}

function scheduleArgument(given: unknown, refuse: Refuse): ScheduleArgument {
  if (isRecord(given) && typeof given["class_name"] === "string") return given as ScheduleArgument;
  const name = scheduleNames.find((known) => known === given);
  if (name !== undefined) return name;
  throw refuse(`one of ${scheduleNames.join(", ")}, or the config of a Keras schedule`);
}

function classWeights(given: unknown, refuse: Refuse): "balanced" | Readonly<Record<string, number>> {
  if (given === "balanced") return given;
  const weights: readonly unknown[] = isRecord(given) ? Object.values(given) : [];
  if (weights.length > 0 && weights.every((weight) => Number.isFinite(weight) && Number(weight) > 0)) {
    return given as Readonly<Record<string, number>>;
  }
  throw refuse("balanced, or a weight above 0 for each class, by its name or index");
}

/** Takes a recipe as it is written, if it can be made out. */
function augmentation(given: unknown, refuse: Refuse): AugmentArgument {
  const items: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (!items.every((item) => typeof item === "string" || isRecord(item))) {
    throw refuse("transformations such as flip,rotate=10, or light, medium or strong");
  }
  augmentationRecipe(given as AugmentArgument);
  return given as AugmentArgument;
}

function folderOrFalse(given: unknown, refuse: Refuse): string | false {
  if (given === false || (typeof given === "string" && given.trim() !== "")) return given;
  throw refuse("a folder, or false for no cache");
}

function callbackList(given: unknown, refuse: Refuse): readonly Callback[] {
  if (Array.isArray(given) && given.every((one) => isRecord(one) && typeof one["name"] === "string")) {
    return given;
  }
  throw refuse("a list of callbacks, each with a name");
}

function abortSignal(given: unknown, refuse: Refuse): AbortSignal {
  if (given instanceof AbortSignal) return given;
  throw refuse("an AbortSignal");
}

function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === "object" && given !== null && !Array.isArray(given);
}
