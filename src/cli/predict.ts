import { fileKindOf, modelFileAt } from "../cli-api.ts";
import type { FilePrediction } from "../index.ts";
import { predictFiles, readCheckpoint } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command, FlagsOf } from "./command.ts";
import { value } from "./command.ts";
import type { ArchValue, EngineValues, JsonValue, PictureValues } from "./run-flags.ts";
import {
  archFlag,
  chooseEngine,
  engineFlags,
  fileOptions,
  jsonFlag,
  pictureFlags,
  withoutUndefined,
} from "./run-flags.ts";
import { wholeNumber } from "./values.ts";

interface PredictValues extends ArchValue, PictureValues, EngineValues, JsonValue {
  readonly top?: number;
}

const flags: FlagsOf<PredictValues> = {
  top: value("How many classes to print for each file (5)", "N", wholeNumber(1)),
  ...archFlag,
  ...pictureFlags,
  ...engineFlags,
  ...jsonFlag,
};

/** `finetune predict M FILE…` */
export const predictCommand: Command<PredictValues> = {
  name: "predict",
  usage: "predict MODEL FILE...",
  summary: "Says what pictures show, or .txt files say. A FILE may be a folder; MODEL may be a run folder.",
  flags,
  positionals: [2, Number.POSITIVE_INFINITY],
  examples: [["predict runs/pets photos/unknown/ --top 3", "three labels for every picture in a folder"]],
  run: async ({ values, positionals, terminal }) => {
    const [model, ...files] = positionals;
    chooseEngine(values);
    const checkpoint = await readCheckpoint(modelFileAt(model!), withoutUndefined({ arch: values.arch }));
    const kind = fileKindOf(checkpoint);
    const results = await predictFiles(checkpoint, files, {
      ...fileOptions(values, terminal, "predict", kind),
      ...withoutUndefined({ top: values.top }),
    });
    if (values.json) terminal.document(results);
    else for (const line of results.flatMap(predictionLines)) terminal.print(line);
  },
};

function predictionLines(result: FilePrediction): string[] {
  if ("answer" in result) return [result.path, ...result.answer.map((name) => `  ${name}`)];
  const rows = result.predictions.map(({ label, probability }) => [`  ${label}`, probability.toFixed(4)]);
  return [result.path, ...columns(rows)];
}
