import type { FileOptions } from "../cli-api.ts";
import { formatNames } from "../cli-api.ts";
import type {
  CheckpointFormat,
  EngineChoice,
  FinetuneOptions,
  PreprocessMode,
  SampleUnit,
} from "../index.ts";
import { useEngine } from "../index.ts";
import type { FlagsOf } from "./command.ts";
import { flag, value } from "./command.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { Terminal } from "./terminal.ts";
import {
  byteSize,
  classWeight,
  imageSize,
  oneOf,
  plainText,
  positiveNumber,
  preprocessMode,
  wholeNumber,
} from "./values.ts";

const model = "Model and data";
const training = "Training";
const features = "Feature cache";
const output = "Output";

export interface EngineValues {
  readonly engine?: EngineChoice;
  readonly verbose?: boolean;
}

/** Flags of every command that runs a model. */
export const engineFlags: FlagsOf<EngineValues> = {
  engine: value(
    "native: TensorFlow; wasm: everywhere, slower; auto (default): the first that works",
    "NAME",
    oneOf("auto", "native", "wasm"),
    "Engine",
  ),
  verbose: flag("Let the engine's own messages through", "Engine"),
};

export interface PictureValues {
  readonly "image-size"?: number | readonly [number, number];
  readonly preprocess?: PreprocessMode | "auto";
  readonly "no-exif"?: boolean;
}

/** Flags of every command that reads pictures. */
export const pictureFlags: FlagsOf<PictureValues> = {
  "image-size": value(
    "What pictures are resized to where the model leaves it free: 224, or HEIGHTxWIDTH (the size its architecture was trained on, else 224)",
    "PX",
    imageSize,
    model,
  ),
  preprocess: value(
    "How pixels enter the model: auto (default): as noted in the file, else none if a layer rescales, else as its architecture does; caffe, tf, torch, unit (x/255), none, or mean=…,std=… of pixels from 0 to 255",
    "MODE",
    preprocessMode,
    model,
  ),
  "no-exif": flag("Ignore the orientation that a camera noted (by default pictures are turned)", model),
};

export interface ArchValue {
  readonly arch?: string;
}

export const archFlag: FlagsOf<ArchValue> = {
  arch: value(
    "Network of a file that holds weights only: a name such as resnet50, or a file of it (model.to_json(), another model file)",
    "NAME|FILE",
    plainText,
    model,
  ),
};

export interface KerasValue {
  readonly keras?: "3.0";
}

export const kerasFlag: FlagsOf<KerasValue> = {
  keras: value(
    "3.0: a .keras that Keras 3.0 to 3.3 open too; without it one for Keras 3.4 and later",
    "VERSION",
    oneOf("3.0"),
    output,
  ),
};

export interface JsonValue {
  readonly json?: boolean;
}

export const jsonFlag: FlagsOf<JsonValue> = {
  json: flag("One JSON document on stdout at the end, everything else on stderr", output),
};

export interface RunValues
  extends ArchValue,
    PictureValues,
    FreezeValues,
    EngineValues,
    KerasValue,
    JsonValue {
  readonly model?: string;
  readonly data?: string;
  readonly classes?: number;
  readonly "keep-head"?: boolean;
  readonly "strict-data"?: boolean;
  readonly epochs?: number;
  readonly "batch-size"?: number;
  readonly lr?: number;
  readonly optimizer?: string;
  readonly loss?: string;
  readonly "class-weight"?: "balanced" | Readonly<Record<string, number>>;
  readonly augment?: string;
  readonly views?: number;
  readonly seed?: number;
  readonly patience?: number;
  readonly cache?: string;
  readonly "cache-max"?: number;
  readonly "cache-dtype"?: "float32" | "float16";
  readonly "no-cache"?: boolean;
  readonly format?: CheckpointFormat;
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly "dry-run"?: boolean;
}

/** The flags of a training run. */
export const runFlags: FlagsOf<RunValues> = {
  model: value("Keras file (.h5, .keras), tfjs folder, or run folder; required", "FILE", plainText, model),
  data: value(
    "Folder of class folders, or of train/ and val/ with class folders: pictures, or .txt files for a model that takes texts; required",
    "DIR",
    plainText,
    model,
  ),
  ...archFlag,
  classes: value("End the run if the data has another number of classes", "K", wholeNumber(1), model),
  "keep-head": flag(
    "Keep the model's head, whatever its labels (by default it is replaced unless its labels, or without labels their number, are the data's)",
    model,
  ),
  ...pictureFlags,
  "strict-data": flag(
    "End the run at a file that cannot be used (by default it is left out and listed)",
    model,
  ),
  ...freezeFlags,
  epochs: value("Passes over the training data (10)", "N", wholeNumber(1), training),
  "batch-size": value("Samples a step (32)", "N", wholeNumber(1), training),
  lr: value("Learning rate (0.001 if only new layers train, else 0.0001)", "RATE", positiveNumber, training),
  optimizer: value(
    "SGD, RMSprop, Adam (default), AdamW, Adamax, Nadam, Adagrad, Adadelta, Lion; with Keras's settings",
    "NAME",
    plainText,
    training,
  ),
  loss: value("Keras loss (categorical or binary cross-entropy, by the head)", "NAME", plainText, training),
  "class-weight": value(
    "What a sample counts by its class: balanced, or name=weight such as cat=2,dog=0.5 (all alike)",
    "W",
    classWeight,
    training,
  ),
  augment: value(
    "How training images vary: light, medium, strong, or a list such as flip,rotate=10,zoom=0.1,crop,brightness=0.2 (see docs/augmentation.md)",
    "LIST",
    plainText,
    training,
  ),
  views: value(
    "Cached variants of each training image that epochs take in turn (4 with --augment); 0 draws fresh ones in each epoch and caches none",
    "K",
    wholeNumber(0),
    training,
  ),
  seed: value(
    "Of the new head, the order of samples and dropout (0): same seed, engine and machine, same weights",
    "N",
    wholeNumber(0),
    training,
  ),
  patience: value(
    "End the run after N epochs without a lower val_loss (off); the best epoch is saved either way",
    "N",
    wholeNumber(1),
    training,
  ),
  cache: value(
    "Folder of the cache (features in KERAS_FINETUNE_HOME, else in ~/.cache/keras-finetune)",
    "DIR",
    plainText,
    features,
  ),
  "cache-max": value(
    "What the whole cache may hold; the least recently used features go first (10GB)",
    "SIZE",
    byteSize,
    features,
  ),
  "cache-dtype": value(
    "float32 (default); float16 halves the size and rounds, also what is not cached yet",
    "TYPE",
    oneOf("float32", "float16"),
    features,
  ),
  "no-cache": flag("Neither read nor write cached features", features),
  ...engineFlags,
  format: value(
    `Format of the tuned model: keras (default), ${formatNames.slice(1).join(", ")}`,
    "NAME",
    oneOf(...formatNames),
    output,
  ),
  ...kerasFlag,
  out: value("Run folder, new or empty (runs/<model>-<n>, the first free n)", "DIR", plainText, output),
  overwrite: flag("Replace the results of an earlier run in --out, once the new ones are complete", output),
  "dry-run": flag("Print the plan and stop before anything is computed or written", output),
  ...jsonFlag,
};

/** The options that the flags state, by the API's names; what was not given is absent. */
export function runOptions(
  values: RunValues & { readonly model: string; readonly data: string },
): FinetuneOptions {
  const freeze = freezePolicies(values);
  const cache: string | false | undefined = values["no-cache"] ? false : values.cache;
  return withoutUndefined({
    model: values.model,
    data: values.data,
    freeze: freeze.length > 0 ? freeze : undefined,
    bnMode: values["bn-mode"],
    epochs: values.epochs,
    batchSize: values["batch-size"],
    optimizer: values.optimizer,
    learningRate: values.lr,
    loss: values.loss,
    classWeight: values["class-weight"],
    augment: values.augment,
    views: values.views,
    seed: values.seed,
    patience: values.patience,
    imageSize: values["image-size"],
    preprocess: values.preprocess,
    exif: values["no-exif"] ? false : undefined,
    strictData: values["strict-data"],
    cache,
    cacheMax: values["cache-max"],
    cacheDtype: values["cache-dtype"],
    arch: values.arch,
    classes: values.classes,
    keepHead: values["keep-head"],
    outputFormat: values.format,
    outputKeras: values.keras,
    out: values.out,
    overwrite: values.overwrite,
  });
}

/** How files are read, as the flags state it; progress and warnings go to the terminal. */
export function fileOptions(
  values: PictureValues,
  terminal: Terminal,
  label: string,
  unit: SampleUnit,
): FileOptions {
  return {
    ...withoutUndefined({ imageSize: values["image-size"], preprocess: values.preprocess }),
    exif: !values["no-exif"],
    onWarning: (message) => terminal.notice(`warning: ${message}`),
    onProgress: (done, total) => terminal.progress.update(label, done, total, unit),
  };
}

/** Takes the engine that the flags name, before anything touches tensors. */
export function chooseEngine(values: EngineValues): void {
  const verbose = values.verbose ?? false;
  if (values.engine !== undefined || verbose) useEngine(values.engine ?? "auto", { verbose });
}

/** Names that may be undefined become optional. */
type Defined<T> = {
  [Name in keyof T as undefined extends T[Name] ? never : Name]: T[Name];
} & {
  [Name in keyof T as undefined extends T[Name] ? Name : never]?: Exclude<T[Name], undefined>;
};

/** The record without the names whose value is undefined. */
export function withoutUndefined<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, given]) => given !== undefined)) as Defined<T>;
}
