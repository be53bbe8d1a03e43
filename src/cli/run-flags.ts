import type { FileOptions } from "../cli-api.ts";
import { formatNames, oneOf, someText } from "../cli-api.ts";
import type { EngineChoice, SampleUnit } from "../index.ts";
import { useEngine } from "../index.ts";
import type { GivenOptions } from "./command.ts";
import { picked } from "./command.ts";
import type { FlagsOf, OptionFlag } from "./flag.ts";
import { flag, sets, setsList, switches, value } from "./flag.ts";
import type { Terminal } from "./terminal.ts";
import { byteSize, classWeight, imageSize, listOrJson, nameOrJson, names, number, phase } from "./values.ts";

/** Headings of the help, whose order `help.ts` has. */
const data = "Model and data";
const tables = "Tables";
const task = "Task";
const training = "Training";
const rate = "Optimizer and rate";
const augmentation = "Augmentation";
const cache = "Feature cache";
const output = "Output";
const machine = "Machine";

type OptionFlags = Readonly<Record<string, OptionFlag>>;

/** Returns some of a group's flags. */
export function only(flags: OptionFlags, ...names: readonly string[]): OptionFlags {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => names.includes(name)));
}

/** The model of a run. */
export const modelFlag: OptionFlags = {
  model: sets("model", "Keras file (.h5, .keras), tfjs folder, or run folder; required", "FILE", {
    group: data,
  }),
};

/** The model of a command that takes it as its first argument too. */
export const modelValue: FlagsOf<ModelValue> = {
  model: value("The model, in place of the argument MODEL", "FILE", someText, {
    group: data,
  }),
};

export interface ModelValue {
  readonly model?: string;
}

/** The network of a file that has none. */
export const archFlag: OptionFlags = {
  arch: sets(
    "arch",
    "Network of a file that holds weights only: a name such as resnet50, or a file of it (model.to_json(), another model file)",
    "NAME|FILE",
    { group: data },
  ),
};

/** Flags of the images that a model is fed with. */
export const imageFlags: OptionFlags = {
  "image-size": sets(
    "imageSize",
    "Size that images are resized to, if the model takes any: 224, or HEIGHTxWIDTH",
    "PX",
    { group: data, read: imageSize, otherwise: "the architecture's, else 224" },
  ),
  preprocess: sets(
    "preprocess",
    "Preprocessing of pixels. auto: as noted in the file, else none if a layer rescales, else as its architecture does; caffe, tf, torch, unit (x/255), none, or mean=…,std=… of pixels from 0 to 255",
    "MODE",
    { group: data, otherwise: "auto" },
  ),
  "no-exif": switches(
    "exif",
    false,
    "Ignore the orientation that a camera noted, which turns images by default",
    data,
  ),
};

/** The data of a run. */
export const dataFlags: OptionFlags = {
  data: sets(
    "data",
    "Folder of class folders, or of train/ and val/ with class folders, with images, or with .txt files for a model that takes texts; or a table .csv, .tsv, .jsonl; required",
    "DIR|TABLE",
    { group: data },
  ),
  masks: sets("masks", "Folder of masks, one per image of --data, with a class in each pixel", "DIR", {
    group: data,
  }),
  x: sets(
    "x",
    "Input columns of a table: the one that names files or holds texts, or columns of numbers",
    "COLUMN,…",
    {
      group: tables,
      read: names,
      otherwise: "file_name, path, filename, image or text",
    },
  ),
  targets: sets("targets", "Target columns of a table", "COLUMN,…", {
    group: tables,
    read: names,
    otherwise: "label, class or target, else the only one left",
  }),
  "sample-weight": sets("sampleWeight", "Column of a table with sample weights", "COLUMN", { group: tables }),
  "split-column": sets("splitColumn", "Column of a table that says train, val or test", "COLUMN", {
    group: tables,
    otherwise: "split",
  }),
  group: sets(
    "group",
    "Column of a table: samples with equal values stay on one side of the split",
    "COLUMN",
    {
      group: tables,
    },
  ),
  "val-fraction": sets(
    "valFraction",
    "Share of the samples that is held out if the data has no val of its own; 0 for none",
    "SHARE",
    { group: data, read: number },
  ),
  ...imageFlags,
  "strict-data": switches(
    "strictData",
    true,
    "End the run at a file that cannot be used, which is skipped and listed by default",
    data,
  ),
};

/** Flags of the task that the model is trained for. */
export const taskFlags: OptionFlags = {
  task: sets("task", "Task of the model: single-label, multi-label or regression", "NAME", {
    group: task,
    otherwise: "as the file, the head and the data say",
  }),
  metrics: sets("metrics", "Keras metrics, by name", "NAME,…", {
    group: task,
    read: names,
    otherwise: "those of the task",
  }),
  loss: sets(
    "loss",
    "Keras loss, by name or as JSON config; of several outputs JSON by output name",
    "NAME|JSON",
    {
      group: task,
      read: nameOrJson,
      otherwise: "as compiled in the file, else by the head and the data",
    },
  ),
  "loss-weights": sets(
    "lossWeights",
    "Weights of several outputs' losses in the total, such as kind=1,age=0.5",
    "NAME=W,…",
    { group: task, read: classWeight, otherwise: "as compiled in the file, else 1 each" },
  ),
  "label-smoothing": sets("labelSmoothing", "Share of a target that is spread over all classes", "SHARE", {
    group: task,
    read: number,
    otherwise: "0",
  }),
  "weighted-metrics": sets(
    "weightedMetrics",
    "Keras metrics that sample and class weights count in",
    "NAME,…",
    {
      group: task,
      read: names,
      otherwise: "none",
    },
  ),
  "class-weight": sets(
    "classWeight",
    "Weights of the classes in the loss: balanced, or name=weight such as cat=2,dog=0.5",
    "W",
    { group: task, read: classWeight, otherwise: "1 each" },
  ),
  classes: sets("classes", "End the run if the data has another number of classes", "K", {
    group: task,
    read: number,
  }),
  "keep-head": switches(
    "keepHead",
    true,
    "Keep the model's head, whatever its labels. By default it is replaced unless its labels, or without labels their number, are the data's",
    task,
  ),
};

/** Flags of the training. */
export const trainingFlags: OptionFlags = {
  epochs: sets("epochs", "Passes over the training data, of all phases together", "N", {
    group: training,
    read: number,
    otherwise: "10, or those of the phases",
  }),
  phase: setsList(
    "phases",
    "A phase of its own; may be repeated. CUT is a value of --freeze-until, head, or none; also schedule=NAME warmup=N",
    '"CUT epochs=N lr=R"',
    { group: training, read: phase, otherwise: "one phase" },
  ),
  recipe: sets(
    "recipe",
    "transfer: the head alone in a third of the epochs, then the cut of --freeze-until at a tenth of the rate, with a warm-up",
    "NAME",
    { group: training, otherwise: "none" },
  ),
  "batch-size": sets("batchSize", "Samples in a step", "N", { group: training, read: number }),
  lr: sets("learningRate", "Learning rate", "RATE", {
    group: rate,
    read: number,
    otherwise: "0.001 if only new layers train, else 0.0001",
  }),
  optimizer: sets(
    "optimizer",
    "Keras optimizer, by name with Keras's settings, or as JSON config",
    "NAME|JSON",
    {
      group: rate,
      read: nameOrJson,
    },
  ),
  schedule: sets(
    "schedule",
    "Course of the rate over the steps: constant, cosine, linear, exponential, one-cycle, plateau, or a Keras schedule as JSON config",
    "NAME|JSON",
    { group: rate, read: nameOrJson },
  ),
  warmup: sets("warmup", "Steps in which the rate rises from 0; below 1 a share of the phase's steps", "N", {
    group: rate,
    read: number,
  }),
  momentum: sets("momentum", "Momentum of SGD, RMSprop or Muon", "M", {
    group: rate,
    read: number,
    otherwise: "the optimizer's",
  }),
  "weight-decay": sets("weightDecay", "Share of each weight that an update takes away, times the rate", "W", {
    group: rate,
    read: number,
    otherwise: "the optimizer's",
  }),
  "layer-decay": sets(
    "layerDecay",
    "Factor on the rate of each stage, once for every stage after it; the head has the whole rate",
    "F",
    { group: rate, read: number, otherwise: "off" },
  ),
  "clip-norm": sets("clipNorm", "Longest gradient of one weight, as Keras's clipnorm", "N", {
    group: rate,
    read: number,
    otherwise: "off",
  }),
  "clip-value": sets("clipValue", "Largest element of a gradient, as Keras's clipvalue", "N", {
    group: rate,
    read: number,
    otherwise: "off",
  }),
  "global-clip-norm": sets(
    "globalClipNorm",
    "Longest gradient of all weights together, as Keras's global_clipnorm",
    "N",
    { group: rate, read: number, otherwise: "off" },
  ),
  accumulate: sets("accumulate", "Steps whose gradients make one update", "N", {
    group: rate,
    read: number,
  }),
  ema: sets(
    "ema",
    "Decay of a moving average of the weights, such as 0.999, by which the model is judged and saved",
    "DECAY",
    { group: rate, read: number, otherwise: "off" },
  ),
  augment: sets(
    "augment",
    "Variation of training images: light, medium, strong, or a list such as flip,rotate=10,zoom=0.1,crop,brightness=0.2 (see docs/augmentation.md)",
    "LIST",
    { group: augmentation, read: listOrJson, otherwise: "none" },
  ),
  views: sets(
    "views",
    "Cached variants of each training image that epochs take in turn; 0 draws fresh ones in each epoch and caches none",
    "K",
    { group: augmentation, read: number, otherwise: "4 with --augment" },
  ),
  patience: sets(
    "patience",
    "End the phase after N epochs without a better --monitor; the best epoch is saved either way",
    "N",
    { group: training, read: number, otherwise: "off" },
  ),
  monitor: sets("monitor", "Figure that tells the best epoch, such as val_accuracy", "NAME", {
    group: training,
    otherwise: "val_loss",
  }),
  "min-delta": sets("minDelta", "Least improvement of --monitor that counts for --patience", "D", {
    group: training,
    read: number,
  }),
  "max-time": sets(
    "maxTime",
    "Time that the run may take, such as 20m: no epoch is begun that would pass it",
    "TIME",
    {
      group: training,
      otherwise: "off",
    },
  ),
  seed: sets(
    "seed",
    "Seed of the new head, the order of samples and dropout: same seed, engine and machine, same weights",
    "N",
    { group: training, read: number },
  ),
};

/** Flags of the feature cache. */
export const cacheFlags: OptionFlags = {
  cache: sets("cache", "Folder of the feature cache", "DIR", {
    group: cache,
    otherwise: "features in KERAS_FINETUNE_HOME, else in ~/.cache/keras-finetune",
  }),
  "cache-max": sets(
    "cacheMax",
    "Size of the whole cache; the least recently used features go first",
    "SIZE",
    {
      group: cache,
      read: byteSize,
      otherwise: "10GB",
    },
  ),
  "cache-dtype": sets("cacheDtype", "float32, or float16, which halves the size and rounds", "TYPE", {
    group: cache,
  }),
  "no-cache": switches("cache", false, "Neither read nor write cached features", cache),
};

/** The Keras that will open a file. */
export const kerasFlag: OptionFlags = {
  keras: sets("outputKeras", "Oldest Keras 3 that opens the .keras: 3.0, else 3.4 and later", "VERSION", {
    group: output,
  }),
};

/** Flags of the results that a run leaves. */
export const outputFlags: OptionFlags = {
  format: sets("outputFormat", `Format of the tuned model: ${formatNames.join(", ")}`, "NAME", {
    group: output,
    otherwise: "keras",
  }),
  ...kerasFlag,
  out: sets("out", "Run folder, new or empty", "DIR", { group: output, otherwise: "runs/<model>-<n>" }),
  "save-every": sets("saveEvery", "Epochs between two states that --resume goes on from; 0: none", "N", {
    group: output,
    read: number,
  }),
  overwrite: switches(
    "overwrite",
    true,
    "Replace an earlier run in the run folder, once the new one is complete",
    output,
  ),
  "no-report": switches("report", false, "Write no report.html", output),
};

export interface EngineValues {
  readonly engine?: EngineChoice;
  readonly verbose?: boolean;
}

/** Flags of every command that runs a model. */
export const engineFlags: FlagsOf<EngineValues> = {
  engine: value(
    "native: TensorFlow; wasm: everywhere, slower; auto: the first that works",
    "NAME",
    oneOf("auto", "native", "wasm"),
    { group: machine, otherwise: "auto" },
  ),
  verbose: flag("Print the engine's own messages", machine),
};

export interface JsonValue {
  readonly json?: boolean;
}

export const jsonFlag: FlagsOf<JsonValue> = {
  json: flag("Print one JSON document on stdout at the end, everything else on stderr", output),
};

/** Returns how files are read, as the flags say; progress and warnings go to the terminal. */
export function fileOptions(
  options: GivenOptions,
  terminal: Terminal,
  label: string,
  unit: SampleUnit,
): FileOptions {
  return {
    ...picked(options, "imageSize", "preprocess", "exif"),
    onWarning: (message) => terminal.notice(`warning: ${message}`),
    onProgress: (done, total) => terminal.progress.update(label, done, total, unit),
  };
}

/** Takes the engine that the flags name, before anything touches tensors. */
export function chooseEngine(values: EngineValues): void {
  const verbose = values.verbose ?? false;
  if (values.engine !== undefined || verbose) useEngine(values.engine ?? "auto", { verbose });
}
