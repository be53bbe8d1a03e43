import type { FileOptions } from "../cli-api.ts";
import { someText } from "../cli-api.ts";
import type { SampleUnit } from "../index.ts";
import type { GivenOptions } from "./command.ts";
import { picked } from "./command.ts";
import type { FlagsOf, OptionFlags } from "./flag.ts";
import { sets, switches, value } from "./flag.ts";
import type { Terminal } from "./terminal.ts";
import { imageSize, names, number } from "./values.ts";

/** Headings of the help, whose order `help.ts` has. */
const data = "Model and data";
const tables = "Tables";

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
    "Folder of class folders, or of train/ and val/ with class folders, with images, or with .txt files for a model that takes texts; or a table .csv, .tsv, .jsonl; on a disk or at s3://bucket/prefix; required",
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
