import { existsSync } from "node:fs";
import type { Parity } from "../cli-api.ts";
import {
  comparePredictions,
  flatModel,
  forEarlyKeras3,
  formatAt,
  holdsModel,
  isReadable,
  leftBehind,
  modelFileAt,
  wholeNumber,
  writingWarnings,
} from "../cli-api.ts";
import type { Checkpoint, CheckpointFormat } from "../index.ts";
import { readCheckpoint, TopologyError, UsageError, writeCheckpoint } from "../index.ts";
import type { Command } from "./command.ts";
import { picked, withoutUndefined } from "./command.ts";
import { archFlag, imageFlags } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import { flag, only, value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { flatFlag, formatFlag, jsonFlag, kerasFlag, onnxFlags } from "./output-flags.ts";
import { byteSize } from "./values.ts";

interface ConvertValues extends EngineValues, JsonValue {
  readonly overwrite?: boolean;
  readonly "max-shard-size"?: number;
}

/** `finetune convert IN OUT` writes the format of OUT's extension, or a folder of tfjs if it has none. */
export const convertCommand: Command<ConvertValues> = {
  name: "convert",
  usage: "convert IN OUT",
  summary:
    "Writes a model in another format, by OUT's extension (none: a folder of tfjs), and compares what both predict.",
  options: {
    ...archFlag,
    ...only(imageFlags, "image-size", "preprocess"),
    ...formatFlag,
    ...kerasFlag,
    ...flatFlag,
    ...onnxFlags,
  },
  flags: {
    overwrite: flag("Replace OUT if it exists", "Output"),
    "max-shard-size": value("Size of one shard of a .weights.json", "SIZE", wholeNumber(1), {
      group: "Output",
      read: byteSize,
      otherwise: "5GB",
      option: "maxShardBytes",
    }),
    ...engineFlags,
    ...jsonFlag,
  },
  positionals: [2, 2],
  examples: [
    ["convert resnet50.h5 resnet50.keras", "an .h5 of any Keras as .keras"],
    ["convert model.h5 model.keras --keras 3.0", "a .keras that Keras 3.0 to 3.3 open too"],
    [
      "convert big.keras big.weights.json --max-shard-size 2GB",
      "weights alone, in files of 2 GB that load_weights opens",
    ],
    ["convert resnet50.keras web_model/", "a folder that tf.loadLayersModel opens"],
    ["convert resnet.keras preset/ --format hub", "a model of KerasHub as a preset folder"],
    ["convert resnet50.keras resnet50.onnx", "a model for ONNX Runtime, with a free batch size"],
  ],
  run: async ({ values, options, positionals, terminal }) => {
    const [given = "", target = ""] = positionals;
    const source = modelFileAt(given);
    const keras = options.outputKeras;
    if (existsSync(target) && !values.overwrite) {
      throw new UsageError(
        `${target}: expected a new file, got one that exists. Pass --overwrite to replace it.`,
        "out-exists",
      );
    }
    if (keras && !target.endsWith(".keras")) {
      throw new UsageError(
        `${target}: expected a name that ends in .keras with --keras ${keras}. Leave --keras out for other formats.`,
        "format",
      );
    }
    chooseEngine(values);
    const read = await readCheckpoint(source, picked(options, "arch"));
    const before = options.flat ? flatModel(read) : read;
    const format = options.outputFormat ?? formatAt(target);
    for (const warning of writingWarnings(before, format, keras ? "early" : "current")) {
      terminal.notice(`warning: ${warning}`);
    }
    const left = leftBehind(before, format);
    if (left) terminal.notice(`note: ${left}`);
    await writeCheckpoint(
      target,
      keras ? forEarlyKeras3(before) : before,
      withoutUndefined({
        format,
        maxShardBytes: values["max-shard-size"],
        ...picked(options, "preprocess", "layout", "float16", "embedPreprocess"),
        imageSize: sidesOf(options.imageSize),
      }),
    );
    const parity = await parityOf(before, source, target, format, options.arch);
    if (values.json) terminal.document({ out: target, parity: typeof parity === "string" ? null : parity });
    terminal.print(`${source} -> ${target}`);
    terminal.print(parityLine(parity));
  },
};

/** Compares the predictions of the written file with those of the one that was read, or returns why that is not possible. */
async function parityOf(
  before: Checkpoint,
  source: string,
  target: string,
  format: CheckpointFormat,
  arch: string | undefined,
): Promise<Parity | string> {
  if (!isReadable(format)) return "it is written for other runtimes and not read here";
  try {
    const after = await readCheckpoint(target, holdsModel(format) ? {} : { arch: arch ?? source });
    return (await comparePredictions(before, after)) ?? "its inputs have no shape to probe";
  } catch (error) {
    if (error instanceof TopologyError) return error.message;
    throw error;
  }
}

function sidesOf(
  size: number | readonly [number, number] | undefined,
): readonly [number, number] | undefined {
  return typeof size === "number" ? [size, size] : size;
}

function parityLine(parity: Parity | string): string {
  if (typeof parity === "string") return `parity    not checked: ${parity}`;
  const { samples, maxDifference, maxOutput } = parity;
  const text = maxDifference === 0 ? "0" : maxDifference.toExponential(1);
  return `parity    largest difference ${text} between the predictions of both files on ${samples} probes (largest output ${maxOutput.toPrecision(3)})`;
}
