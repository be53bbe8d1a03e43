import type { SavedMask } from "../cli-api.ts";
import { fileKindOf, modelFileAt, numberBetween, saveMasks, someText, wholeNumber } from "../cli-api.ts";
import type {
  ClassProbability,
  FilePrediction,
  OutputPrediction,
  SamplePrediction,
  Tensor,
} from "../index.ts";
import { predictFiles, readCheckpoint } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import { picked, withoutUndefined } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, fileOptions, imageFlags, modelValue } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import { value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { number } from "./values.ts";

interface PredictValues extends ModelValue, EngineValues, JsonValue {
  readonly top?: number;
  readonly threshold?: number;
  readonly output?: string;
  readonly out?: string;
}

/** `finetune predict M FILE…` prints what a model says of files. */
export const predictCommand: Command<PredictValues> = {
  name: "predict",
  usage: "predict MODEL FILE...",
  summary: "Predicts images, or .txt files. A FILE may be a folder; MODEL may be a run folder.",
  options: { ...archFlag, ...imageFlags },
  flags: {
    ...modelValue,
    top: value("How many classes to print for each file", "N", wholeNumber(1), {
      group: "Output",
      read: number,
      otherwise: "5",
    }),
    threshold: value(
      "Probability above which one of several labels is printed, and a pixel of a one-class mask is foreground",
      "P",
      numberBetween(0, 1),
      { group: "Output", read: number, otherwise: "0.5" },
    ),
    output: value("The output to print, of a model with several", "NAME", someText, {
      group: "Output",
      otherwise: "all",
    }),
    out: value(
      "New or empty folder for the masks that a segmentation model predicts: PNG files of class indices, of the output's size",
      "DIR",
      someText,
      { group: "Output", otherwise: "masks are told in a line each" },
    ),
    ...engineFlags,
    ...jsonFlag,
  },
  positionals: [2, Number.POSITIVE_INFINITY],
  takesModel: true,
  examples: [
    ["predict runs/pets new-photos/ --top 3", "three labels for every image in a folder"],
    ["predict runs/cells scans/ --out masks/", "a mask for every image, as PNG"],
  ],
  run: async ({ values, options, positionals, terminal }) => {
    const [model = "", ...files] = positionals;
    chooseEngine(values);
    const checkpoint = await readCheckpoint(modelFileAt(model), picked(options, "arch"));
    const kind = fileKindOf(checkpoint);
    const results = await predictFiles(checkpoint, files, {
      ...fileOptions(options, terminal, "predict", kind),
      ...withoutUndefined({ top: values.top, threshold: values.threshold, output: values.output }),
    });
    const saved = values.out === undefined ? [] : await saveMasks(results, values.out);
    const maskFiles = new Map(saved.map((mask) => [`${mask.path}\n${mask.output}`, mask] as const));
    if (values.json) terminal.document(results.map((result) => withPlainMasks(result, maskFiles)));
    else
      for (const line of results.flatMap((result) => predictionLines(result, maskFiles)))
        terminal.print(line);
  },
};

/** The files of masks, by the predicted path and the output. */
type MaskFiles = ReadonlyMap<string, SavedMask>;

function maskFile(files: MaskFiles, path: string, output: string): string | undefined {
  return files.get(`${path}\n${output}`)?.file;
}

/** Returns a prediction as JSON has it: a mask is the path of its file, or its shape and classes where no file was asked for. */
function withPlainMasks(result: FilePrediction, files: MaskFiles): unknown {
  const plain = (output: string, { shape, data }: Tensor): unknown =>
    maskFile(files, result.path, output) ?? { shape, data: Array.from(data, Number) };
  if ("masks" in result) {
    const masks = Object.entries(result.masks).map(([name, mask]) => [name, plain(name, mask)]);
    return { ...result, masks: Object.fromEntries(masks) };
  }
  if (!("outputs" in result)) return result;
  const outputs = Object.entries(result.outputs).map(([name, own]) => [
    name,
    "mask" in own ? { mask: plain(name, own.mask) } : own,
  ]);
  return { ...result, outputs: Object.fromEntries(outputs) };
}

function predictionLines(result: FilePrediction, files: MaskFiles): string[] {
  if ("answer" in result) return [result.path, ...result.answer.map((name) => `  ${name}`)];
  return [
    result.path,
    ...saidLines(result, (name, mask) => maskText(name, mask, maskFile(files, result.path, name))),
  ];
}

function saidLines(
  said: SamplePrediction,
  textOf: (name: string, mask: Tensor) => string,
): readonly string[] {
  if ("predictions" in said) return probabilityLines(said.predictions);
  if ("values" in said) return valueLines(said.values);
  if ("masks" in said) return Object.entries(said.masks).map(([name, mask]) => textOf(name, mask));
  return Object.entries(said.outputs).flatMap(([name, own]) => outputLines(name, own, textOf));
}

function outputLines(
  name: string,
  own: OutputPrediction,
  textOf: (name: string, mask: Tensor) => string,
): readonly string[] {
  if ("value" in own) return valueLines({ [name]: own.value });
  if ("mask" in own) return [textOf(name, own.mask)];
  return [`  ${name}`, ...probabilityLines(own.predictions).map((line) => `  ${line}`)];
}

function probabilityLines(predictions: readonly ClassProbability[]): readonly string[] {
  if (predictions.length === 0) return ["  no label is over the threshold"];
  return columns(predictions.map(({ label, probability }) => [`  ${label}`, probability.toFixed(4)]));
}

function valueLines(values: Readonly<Record<string, number | readonly number[]>>): readonly string[] {
  const text = (value: number): string => String(Number(value.toPrecision(6)));
  const rows = Object.entries(values).map(([name, value]) => [
    `  ${name}`,
    typeof value === "number" ? text(value) : value.map(text).join(" "),
  ]);
  return columns(rows);
}

/** Tells the share of each class in a mask of an image, or the classes of a sequence, and the file that a mask was written to. */
function maskText(name: string, { shape, data }: Tensor, file: string | undefined): string {
  const classes = Array.from(data, Number);
  if (shape.length < 2) return `  ${name}: ${classes.join(" ")}`;
  const counts = new Map<number, number>();
  for (const value of classes) counts.set(value, (counts.get(value) ?? 0) + 1);
  const shares = [...counts]
    .sort(([a], [b]) => a - b)
    .map(([value, count]) => `${value} on ${((100 * count) / classes.length).toFixed(1)}%`);
  return `  ${name}: ${shape.join("x")}, class ${shares.join(", ")}${file === undefined ? "" : ` in ${file}`}`;
}
