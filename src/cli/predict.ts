import { fileKindOf, modelFileAt, wholeNumber } from "../cli-api.ts";
import type { ClassProbability, FilePrediction, SamplePrediction, Tensor } from "../index.ts";
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
    ...engineFlags,
    ...jsonFlag,
  },
  positionals: [2, Number.POSITIVE_INFINITY],
  takesModel: true,
  examples: [["predict runs/pets new-photos/ --top 3", "three labels for every image in a folder"]],
  run: async ({ values, options, positionals, terminal }) => {
    const [model = "", ...files] = positionals;
    chooseEngine(values);
    const checkpoint = await readCheckpoint(modelFileAt(model), picked(options, "arch"));
    const kind = fileKindOf(checkpoint);
    const results = await predictFiles(checkpoint, files, {
      ...fileOptions(options, terminal, "predict", kind),
      ...withoutUndefined({ top: values.top }),
    });
    if (values.json) terminal.document(results);
    else for (const line of results.flatMap(predictionLines)) terminal.print(line);
  },
};

function predictionLines(result: FilePrediction): string[] {
  if ("answer" in result) return [result.path, ...result.answer.map((name) => `  ${name}`)];
  return [result.path, ...saidLines(result)];
}

function saidLines(said: SamplePrediction): readonly string[] {
  if ("predictions" in said) return probabilityLines(said.predictions);
  if ("values" in said) return valueLines(said.values);
  if ("masks" in said) return Object.entries(said.masks).map(([name, mask]) => `  ${maskText(name, mask)}`);
  return Object.entries(said.outputs).flatMap(([name, own]) => {
    if ("value" in own) return valueLines({ [name]: own.value });
    return "mask" in own
      ? [`  ${maskText(name, own.mask)}`]
      : [`  ${name}`, ...probabilityLines(own.predictions)];
  });
}

function probabilityLines(predictions: readonly ClassProbability[]): readonly string[] {
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

function maskText(name: string, { shape, data }: Tensor): string {
  const classes = [...new Set(Array.from(data, Number))].sort((a, b) => a - b);
  return `${name}: ${shape.join("x")} positions of class ${classes.join(", ")}`;
}
