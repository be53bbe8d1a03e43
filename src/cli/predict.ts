import type { PicturePrediction } from "../index.ts";
import { modelFileAt, predictImages, readCheckpoint } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command, FlagsOf } from "./command.ts";
import { value } from "./command.ts";
import type { ArchValue, EngineValues, JsonValue, PictureValues } from "./run-flags.ts";
import {
  archFlag,
  chooseEngine,
  engineFlags,
  jsonFlag,
  pictureFlags,
  pictureOptions,
  withoutUndefined,
} from "./run-flags.ts";
import { wholeNumber } from "./values.ts";

interface PredictValues extends ArchValue, PictureValues, EngineValues, JsonValue {
  readonly top?: number;
}

const flags: FlagsOf<PredictValues> = {
  top: value("How many classes to print for each picture (5)", "N", wholeNumber(1)),
  ...archFlag,
  ...pictureFlags,
  ...engineFlags,
  ...jsonFlag,
};

/** `finetune predict M IMAGE…` */
export const predictCommand: Command<PredictValues> = {
  name: "predict",
  usage: "predict MODEL IMAGE...",
  summary: "Says what pictures show. An IMAGE may be a folder; MODEL may be a run folder.",
  flags,
  positionals: [2, Number.POSITIVE_INFINITY],
  examples: [["predict runs/pets photos/unknown/ --top 3", "three labels for every picture in a folder"]],
  run: async ({ values, positionals, terminal }) => {
    const [model, ...images] = positionals;
    chooseEngine(values);
    const checkpoint = await readCheckpoint(modelFileAt(model!), withoutUndefined({ arch: values.arch }));
    const results = await predictImages(checkpoint, images, {
      ...pictureOptions(values, terminal, "predict"),
      ...withoutUndefined({ top: values.top }),
    });
    if (values.json) terminal.document(results);
    else for (const line of results.flatMap(predictionLines)) terminal.print(line);
  },
};

function predictionLines({ image, predictions }: PicturePrediction): string[] {
  const rows = predictions.map(({ label, probability }) => [`  ${label}`, probability.toFixed(4)]);
  return [image, ...columns(rows)];
}
