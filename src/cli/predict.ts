import { fileKindOf, modelFileAt, numberBetween, saveMasks, someText, wholeNumber } from "../cli-api.ts";
import { predictEach, readCheckpoint, UsageError } from "../index.ts";
import type { Command } from "./command.ts";
import { picked, withoutUndefined } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, fileOptions, imageFlags, modelValue } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import { openExplanations } from "./explanations.ts";
import { flag, value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { csvRows } from "./prediction-rows.ts";
import type { MaskFiles, ShownPrediction } from "./prediction-text.ts";
import { predictionLines, withPlainMasks } from "./prediction-text.ts";
import { memoryFlag } from "./training-flags.ts";
import { number } from "./values.ts";

interface PredictValues extends ModelValue, EngineValues, JsonValue {
  readonly top?: number;
  readonly threshold?: number;
  readonly output?: string;
  readonly explain?: boolean;
  readonly out?: string;
  readonly jsonl?: boolean;
  readonly csv?: boolean;
}

/** `finetune predict M FILE…` prints what a model says of files. */
export const predictCommand: Command<PredictValues> = {
  name: "predict",
  usage: "predict MODEL FILE...",
  summary: "Predicts images, or .txt files. A FILE may be a folder; MODEL may be a run folder.",
  options: { ...archFlag, ...imageFlags, ...memoryFlag },
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
    explain: flag("Write each image with a heatmap of where the model looked (Grad-CAM) to --out", "Output"),
    out: value(
      "New or empty folder for the masks that a segmentation model predicts: PNG files of class indices, of the output's size; or folder of the images of --explain",
      "DIR",
      someText,
      { group: "Output", otherwise: "masks are told in a line each; explained for --explain" },
    ),
    ...engineFlags,
    ...jsonFlag,
    jsonl: flag("Print a line of JSON on stdout for each file, as soon as it is predicted", "Output"),
    csv: flag("Print rows of comma-separated values on stdout, as soon as a file is predicted", "Output"),
  },
  positionals: [2, Number.POSITIVE_INFINITY],
  takesModel: true,
  examples: [
    ["predict runs/pets new-photos/ --top 3", "three labels for every image in a folder"],
    ["predict unet.keras scenes/images --out masks/", "a mask for every image, as PNG"],
    ["predict runs/pets new-photos/ --top 1 --csv", "a table with a row for each image"],
    ["predict runs/pets cat.jpg --explain", "explained/cat.png shows where the model looked"],
  ],
  run: async ({ values, options, positionals, terminal }) => {
    const [model = "", ...files] = positionals;
    requireOneFormat(values);
    chooseEngine(values);
    const checkpoint = await readCheckpoint(modelFileAt(model), picked(options, "arch"));
    const predictions = predictEach(checkpoint, files, {
      ...fileOptions(options, terminal, "predict", fileKindOf(checkpoint)),
      ...picked(options, "memory"),
      ...withoutUndefined({ top: values.top, threshold: values.threshold, output: values.output }),
    });
    const explanations = values.explain
      ? await openExplanations(checkpoint, { ...options, output: values.output, out: values.out })
      : null;
    const rows = csvRows();
    const show = (result: ShownPrediction, masks: MaskFiles): void => {
      if (values.jsonl) terminal.record(JSON.stringify(withPlainMasks(result, masks)));
      else if (values.csv) rows(result).forEach(terminal.record);
      else predictionLines(result, masks).forEach(terminal.print);
    };
    const savesMasks = values.out !== undefined && !values.explain;
    const isStreamed = (values.jsonl || values.csv) && !savesMasks;
    const results: ShownPrediction[] = [];
    try {
      for await (const prediction of predictions) {
        const result = explanations
          ? { ...prediction, explained: await explanations.write(prediction) }
          : prediction;
        if (isStreamed) show(result, new Map());
        else results.push(result);
      }
    } finally {
      explanations?.dispose();
    }
    const saved = savesMasks ? await saveMasks(results, String(values.out)) : [];
    const masks: MaskFiles = new Map(saved.map((mask) => [`${mask.path}\n${mask.output}`, mask] as const));
    if (values.json) terminal.document(results.map((result) => withPlainMasks(result, masks)));
    else for (const result of results) show(result, masks);
  },
};

function requireOneFormat(values: PredictValues): void {
  const given = (["json", "jsonl", "csv"] as const).filter((name) => values[name]);
  if (given.length < 2) return;
  const names = given.map((name) => `--${name}`).join(" and ");
  throw new UsageError(
    `${names}: expected one form of the output, got ${given.length}.`,
    "flags-together",
    given[1],
  );
}
