import { dataOptionNames, modelFileAt, oneOf, openEvaluationData, sampleUnit } from "../cli-api.ts";
import type { ClassFigures, Evaluation, SampleUnit, Split } from "../index.ts";
import { evaluate, readCheckpoint } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import { picked, withoutUndefined } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, dataFlags, fileOptions, modelValue } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import { only, value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { missing } from "./run-flags.ts";
import { figure } from "./run-text.ts";
import { taskFlags } from "./task-flags.ts";
import { memoryFlag, trainingFlags } from "./training-flags.ts";

interface EvaluateValues extends ModelValue, EngineValues, JsonValue {
  readonly split?: Split | "all";
}

/** `finetune evaluate M --data D` measures a model on labeled data. */
export const evaluateCommand: Command<EvaluateValues> = {
  name: "evaluate",
  usage: "evaluate MODEL --data DIR",
  summary:
    "Prints loss, metrics and confusion table on labeled data: val if there is one, else what the run held out, else all.",
  options: {
    ...dataFlags,
    ...archFlag,
    ...only(taskFlags, "task", "loss", "metrics"),
    ...only(trainingFlags, "batch-size"),
    ...memoryFlag,
  },
  flags: {
    ...modelValue,
    split: value(
      "Samples to evaluate: train, val, test or all",
      "NAME",
      oneOf("val", "test", "train", "all"),
      {
        group: "Model and data",
        otherwise: "val if there is one, else what the run held out, else all",
      },
    ),
    ...engineFlags,
    ...jsonFlag,
  },
  positionals: [1, 1],
  takesModel: true,
  examples: [["evaluate runs/pets --data photos/", "how well a tuned model does on photos/val"]],
  run: async ({ values, options, positionals, terminal }) => {
    const { data } = options;
    if (typeof data !== "string") {
      throw missing("data", "a folder or a table", "evaluate MODEL --data DIR");
    }
    chooseEngine(values);
    const [model = ""] = positionals;
    const checkpoint = await readCheckpoint(modelFileAt(model), picked(options, "arch"));
    const { dataset, split } = await openEvaluationData(checkpoint, model, data, {
      ...picked(options, ...dataOptionNames),
      ...withoutUndefined({ split: values.split }),
    });
    for (const warning of dataset.warnings ?? []) terminal.notice(`warning: ${warning}`);
    const unit = sampleUnit(dataset);
    const result = await evaluate(checkpoint, dataset, {
      split,
      ...fileOptions(options, terminal, "evaluate", unit),
      ...picked(options, "task", "loss", "metrics", "batchSize", "memory", "strictData"),
    });
    for (const { path, reason } of result.bad) terminal.notice(`warning: ${path}: ${reason} Skipped.`);
    if (values.json) terminal.document(result);
    for (const line of evaluationLines(
      split === "all" ? `in ${data}` : `of ${split} in ${data}`,
      unit,
      result,
    ))
      terminal.print(line);
  },
};

function evaluationLines(place: string, unit: SampleUnit, result: Evaluation): string[] {
  const { samples, loss, metrics } = result;
  const figures = Object.entries({ loss, ...metrics }).map(([name, value]) => `${name} ${figureText(value)}`);
  return [`${samples} ${unit} ${place}: ${figures.join("  ")}`, ...tablesOf(result).flatMap(tableLines)];
}

function figureText(value: number | readonly number[]): string {
  return typeof value === "number" ? figure(value) : `[${value.map(figure).join(" ")}]`;
}

/** Returns the tables under the figures, for each output. */
interface Tables {
  /** Undefined where there is one output. */
  readonly name?: string;
  readonly labels: readonly string[];
  readonly confusion: readonly (readonly number[])[] | undefined;
  readonly perClass: readonly ClassFigures[] | undefined;
}

function tablesOf({ labels, confusion, perClass }: Evaluation): readonly Tables[] {
  if (Array.isArray(labels)) {
    return [
      {
        labels,
        confusion: confusion as Tables["confusion"],
        perClass: perClass as Tables["perClass"],
      },
    ];
  }
  return Object.entries(labels).map(([name, own]) => ({
    name,
    labels: own as readonly string[],
    confusion: (confusion as Readonly<Record<string, NonNullable<Tables["confusion"]>>> | undefined)?.[name],
    perClass: (perClass as Readonly<Record<string, readonly ClassFigures[]>> | undefined)?.[name],
  }));
}

function tableLines({ name, labels, confusion, perClass }: Tables): readonly string[] {
  const title = name === undefined ? [] : ["", name];
  if (!perClass) return [];
  if (!confusion) return [...title, "", ...classTable(perClass)];
  if (labels.length > 20) return [...title, "", ...mostConfused(confusion, labels)];
  const rows = confusion.map((row, truth) => [labels[truth] ?? String(truth), ...row.map(String)]);
  return [
    ...title,
    "",
    ...columns([["truth \\ predicted", ...labels], ...rows], new Set(labels.map((_, column) => column + 1))),
  ];
}

function classTable(perClass: readonly ClassFigures[]): readonly string[] {
  const rows = perClass.map(({ label, precision, recall, f1, support }) => [
    label,
    ...[precision, recall, f1].map(figure),
    String(support),
  ]);
  return columns([["label", "precision", "recall", "f1", "support"], ...rows], new Set([1, 2, 3, 4]));
}

/** The pairs confused most often, where a table would be too wide. */
function mostConfused(
  confusion: readonly (readonly number[])[],
  labels: readonly string[],
): readonly string[] {
  const pairs = confusion.flatMap((row, truth) =>
    row.flatMap((count, predicted) =>
      truth !== predicted && count > 0 ? [{ truth, predicted, count }] : [],
    ),
  );
  const worst = pairs.sort((a, b) => b.count - a.count).slice(0, 10);
  return worst.map(
    ({ truth, predicted, count }) => `${count}x ${labels[truth]} taken for ${labels[predicted]}`,
  );
}
