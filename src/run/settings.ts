import { preprocessMode } from "../data/preprocess.ts";
import { precisions } from "../engine/precision.ts";
import { UsageError } from "../errors.ts";
import { defaultCacheBytes } from "../features/cache/cache-directory.ts";
import { formatNames } from "../formats/formats.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import type { OptionCheck } from "../options.ts";
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
import type { FinetuneOptions, ProgressEvent } from "./options.ts";
import { recipeNames } from "./options.ts";
import { optionElsewhere } from "./other-names.ts";
import {
  abortSignal,
  augmentation,
  callbackList,
  classWeights,
  columnNames,
  datasetOrFolder,
  folderOrFalse,
  freezePolicies,
  kerasObject,
  lossArgument,
  lossWeights,
  metricArguments,
  modelOrFile,
  pathOnDisk,
  phaseList,
  scheduleArgument,
  shareBelowOne,
} from "./setting-checks.ts";

/** Options that the model or the data decide where they are absent: `"auto"` until the preparation. */
type Decided =
  | "epochs"
  | "freeze"
  | "imageSize"
  | "learningRate"
  | "loss"
  | "monitor"
  | "outputFormat"
  | "precision"
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
  | "memory"
  | "metrics"
  | "momentum"
  | "out"
  | "layout"
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
  recipe: setting(oneOf(...recipeNames), null),
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
  memory: setting(wholeNumber(1), null),
  precision: setting(oneOf(...precisions), "auto"),
  imageSize: setting(imageSides, "auto"),
  preprocess: setting(preprocessMode, "auto"),
  exif: setting(trueOrFalse, true),
  strictData: setting(trueOrFalse, false),
  cache: setting(folderOrFalse, null),
  cacheMax: setting(wholeNumber(1), defaultCacheBytes),
  cacheDtype: setting(oneOf("float32", "float16"), "float32"),
  arch: setting(someText, null),
  classes: setting(wholeNumber(1), null),
  keepHead: setting(trueOrFalse, false),
  outputFormat: setting(oneOf(...formatNames), "auto"),
  outputKeras: setting(oneOf("3.0"), null),
  flat: setting(trueOrFalse, false),
  layout: setting(oneOf("nhwc", "nchw"), null),
  float16: setting(trueOrFalse, false),
  embedPreprocess: setting(trueOrFalse, false),
  out: setting(pathOnDisk, null),
  overwrite: setting(trueOrFalse, false),
  saveEvery: setting(wholeNumber(0), 1),
  report: setting(trueOrFalse, true),
  tensorboard: setting(trueOrFalse, false),
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
  const near = optionElsewhere(strange) ?? nearestNames(strange, known, 1)[0];
  const hint =
    near === undefined ? `The options are ${known.join(", ")}.` : `Did you mean ${optionName(near)}?`;
  throw new UsageError(`${optionName(strange)}: unknown option. ${hint}`, "option-unknown", strange);
}
