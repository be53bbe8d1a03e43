import { formatNames } from "../cli-api.ts";
import type { FlagsOf, OptionFlags } from "./flag.ts";
import { flag, sets, switches } from "./flag.ts";
import { byteSize, number } from "./values.ts";

/** Headings of the help, whose order `help.ts` has. */
const cache = "Feature cache";
const output = "Output";

/** Flags of the feature cache. */
export const cacheFlags: OptionFlags = {
  cache: sets(
    "cache",
    "Folder of the feature cache, or a place in a bucket: s3://bucket/prefix",
    "DIR|s3://…",
    {
      group: cache,
      otherwise: "features in KERAS_FINETUNE_HOME, else in ~/.cache/keras-finetune",
    },
  ),
  "cache-max": sets(
    "cacheMax",
    "Size of the whole cache; the least recently used features go first. For a cache on a disk",
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

/** The form of a model of KerasHub. */
export const flatFlag: OptionFlags = {
  flat: switches(
    "flat",
    true,
    "Write a model of KerasHub as a plain functional model, which Keras opens without KerasHub",
    output,
  ),
};

/** Flags of an `.onnx`. */
export const onnxFlags: OptionFlags = {
  layout: sets("layout", "Axes of image inputs of an .onnx, nhwc as in Keras or nchw", "ORDER", {
    group: output,
    otherwise: "nhwc",
  }),
  float16: switches(
    "float16",
    true,
    "Store the weights of an .onnx as float16, which halves the file",
    output,
  ),
  "embed-preprocess": switches(
    "embedPreprocess",
    true,
    "Make an .onnx take pixels from 0 to 255 and prepare them itself",
    output,
  ),
};

/** The format of a written model. */
export const formatFlag: OptionFlags = {
  format: sets("outputFormat", `Format of the tuned model: ${formatNames.join(", ")}`, "NAME", {
    group: output,
    otherwise: "keras",
  }),
};

/** Flags of the results that a run leaves. */
export const outputFlags: OptionFlags = {
  ...formatFlag,
  ...kerasFlag,
  ...flatFlag,
  ...onnxFlags,
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
  tensorboard: switches("tensorboard", true, "Write events for TensorBoard into the run folder", output),
};

export interface JsonValue {
  readonly json?: boolean;
}

export const jsonFlag: FlagsOf<JsonValue> = {
  json: flag("Print one JSON document on stdout at the end, everything else on stderr", output),
};
