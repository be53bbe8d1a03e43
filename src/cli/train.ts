import {
  ensureEngine,
  formatSeconds,
  makeRunFolder,
  prepareRun,
  removeRunFolder,
  resolveOptions,
  someText,
  wholeNumber,
} from "../cli-api.ts";
import type { CrossValidationOptions, Epoch, FinetuneResult, ProgressEvent, SampleUnit } from "../index.ts";
import { crossValidate, finetune, UsageError } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command, GivenOptions } from "./command.ts";
import { flag, value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { bnModeFlag, freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { EngineValues, JsonValue } from "./run-flags.ts";
import {
  archFlag,
  cacheFlags,
  chooseEngine,
  dataFlags,
  engineFlags,
  jsonFlag,
  modelFlag,
  outputFlags,
  taskFlags,
  trainingFlags,
} from "./run-flags.ts";
import { costTable, engineLine, figure, slowEngineLines } from "./run-text.ts";
import type { Terminal } from "./terminal.ts";
import { number } from "./values.ts";

interface TrainValues extends FreezeValues, EngineValues, JsonValue {
  readonly resume?: string;
  readonly "dry-run"?: boolean;
  readonly folds?: number;
}

/** `finetune --model M --data D` trains and leaves a run folder. */
export const trainCommand: Command<TrainValues> = {
  name: "train",
  usage: "--model FILE --data DIR [flags]",
  summary: "Fine-tunes a Keras model on a folder of images or texts and leaves a file that Keras opens.",
  options: {
    ...modelFlag,
    ...archFlag,
    ...dataFlags,
    ...taskFlags,
    ...bnModeFlag,
    ...trainingFlags,
    ...cacheFlags,
    ...outputFlags,
  },
  flags: {
    ...freezeFlags,
    folds: value(
      "Train K times, each time with another fold of the samples held out, and print mean and spread; features are extracted once",
      "K",
      wholeNumber(2),
      { group: "Model and data", read: number },
    ),
    resume: value(
      "Go on with a run where its last state was saved; stands alone, but for --epochs, --json and --verbose",
      "RUN",
      someText,
      { group: "Output" },
    ),
    "dry-run": flag("Print the plan and stop before anything is computed or written", "Output"),
    ...jsonFlag,
    ...engineFlags,
  },
  positionals: [0, 0],
  examples: [
    ["--model resnet50.h5 --freeze-until conv4 --data photos/", "train conv4, conv5 and a new head"],
    ["--model runs/resnet50-1 --freeze-until conv5 --data photos/", "a second phase, head and labels kept"],
    ["--model resnet50.h5 --data photos/ --dry-run", "the plan alone"],
  ],
  interruptible: true,
  run: async ({ values, options: given, terminal, signal }) => {
    if (values.resume !== undefined) {
      await resumeRun(values.resume, values, given, terminal, signal);
      return;
    }
    const { model, data } = given;
    if (typeof model !== "string") throw missing("model", "a Keras file");
    if (typeof data !== "string") throw missing("data", "a folder of class folders");
    const freeze = freezePolicies(values);
    const options = { ...given, model, data, ...(freeze.length > 0 && { freeze }) };
    chooseEngine(values);
    if (values["dry-run"]) {
      const run = await prepareRun(resolveOptions(options));
      signal.throwIfAborted();
      if (values.json) terminal.document(run.plan);
      for (const line of run.messages) terminal.print(line);
      for (const line of run.planLines) terminal.print(line);
      for (const warning of run.warnings) terminal.notice(`warning: ${warning}`);
      return;
    }
    const engine = await ensureEngine();
    terminal.print(engineLine(engine));
    slowEngineLines(engine).forEach(terminal.notice);
    const out = options.out ?? makeRunFolder(model);
    if (values.folds !== undefined) {
      await trainFolds({ ...options, out, folds: values.folds, signal }, values, terminal);
      return;
    }
    let unit: SampleUnit = "samples";
    const result = await finetune({
      ...options,
      out,
      signal,
      onProgress: (event) => {
        if (event.kind === "extract") unit = event.unit;
        show(event, terminal);
      },
    }).catch((error: unknown) => {
      if (options.out === undefined) removeRunFolder(out);
      throw error;
    });
    if (values.json) terminal.document(runDocument(out, result));
    for (const line of resultLines(out, result, unit)) terminal.print(line);
  },
};

/** Goes on with a run, and prints what a run ends with. */
async function resumeRun(
  out: string,
  values: TrainValues,
  { epochs, ...others }: GivenOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const alone = ["resume", "epochs", "json", "verbose"];
  const strange = [...Object.keys(others), ...Object.keys(values)].find((name) => !alone.includes(name));
  if (strange !== undefined) {
    throw new UsageError(
      `--resume: expected to stand alone, but for --epochs, --json and --verbose, got ${strange} too. The run goes on as it was asked.`,
      "resume-alone",
      "resume",
    );
  }
  chooseEngine(values);
  terminal.print(engineLine(await ensureEngine()));
  let unit: SampleUnit = "samples";
  const result = await finetune({
    resume: out,
    epochs,
    signal,
    onProgress: (event) => {
      if (event.kind === "extract") unit = event.unit;
      show(event, terminal);
    },
  });
  if (values.json) terminal.document(runDocument(out, result));
  for (const line of resultLines(out, result, unit)) terminal.print(line);
}

/** Trains once per fold and prints the held-out figures of each, their mean and their spread. */
async function trainFolds(
  options: CrossValidationOptions & { readonly out: string },
  { json }: TrainValues,
  terminal: Terminal,
): Promise<void> {
  const { folds, figures } = await crossValidate({
    ...options,
    onFold: (fold, count) => terminal.print(`fold      ${fold} of ${count}`),
    onProgress: (event) => show(event, terminal),
  });
  if (json) {
    const documents = folds.map((result, index) => runDocument(`${options.out}/${index + 1}`, result));
    terminal.document({ out: options.out, folds: documents, figures });
  }
  const names = Object.keys(figures);
  const rows = folds.map(({ history, bestEpoch }, index) => {
    const best = history.find(({ epoch }) => epoch === bestEpoch);
    return [String(index + 1), ...names.map((name) => figure(best?.[name] ?? Number.NaN))];
  });
  const summary = (name: "mean" | "std") => [
    name,
    ...names.map((each) => figure(figures[each]?.[name] ?? Number.NaN)),
  ];
  const table = [["fold", ...names], ...rows, summary("mean"), summary("std")];
  for (const line of ["", ...columns(table, new Set(names.map((_, column) => column + 1)))])
    terminal.print(line);
}

function missing(flag: string, expected: string): UsageError {
  return new UsageError(
    `--${flag}: expected ${expected}, got none. Usage: finetune --model FILE --data DIR`,
    "flag-missing",
    flag,
  );
}

function show(event: ProgressEvent, { print, notice, progress }: Terminal): void {
  switch (event.kind) {
    case "warning":
      notice(`warning: ${event.message}`);
      break;
    case "note":
      print(event.message);
      break;
    case "plan":
      event.lines.forEach(print);
      break;
    case "extract":
      progress.update("features", event.done, event.total, event.unit, cachedText(event.cached));
      break;
    case "step": {
      const done = (event.epoch - 1) * event.steps + event.step;
      const detail = `epoch ${event.epoch}/${event.epochs}  loss ${figure(event.loss)}`;
      progress.update("train", done, event.epochs * event.steps, "steps", detail);
      break;
    }
    case "epoch":
      print(epochLine(event));
  }
}

function cachedText(cached: number): string {
  return cached > 0 ? `${cached} from the cache` : "";
}

function epochLine({ epoch, epochs, best }: Extract<ProgressEvent, { kind: "epoch" }>): string {
  const number = `${String(epoch.epoch).padStart(String(epochs).length)}/${epochs}`;
  const metric = headlineMetric(epoch);
  const names = metric === undefined ? ["loss", "val_loss"] : ["loss", metric, "val_loss", `val_${metric}`];
  const figures = names.flatMap((name) => {
    const value = epoch[name];
    return value === undefined ? [] : [`${name} ${figure(value)}`];
  });
  return [`epoch ${number}`, ...figures, formatSeconds(epoch.seconds), ...(best ? ["best"] : [])].join("  ");
}

/** Figures of an epoch that are no metrics. */
const notMetrics: ReadonlySet<string> = new Set(["epoch", "phase", "lr", "seconds", "loss"]);

/** Returns the name of the metric that says most, the task's first; undefined where it has none. */
function headlineMetric(epoch: Epoch): string | undefined {
  return Object.keys(epoch).find((name) => !notMetrics.has(name) && !/^val_|_loss$/.test(name));
}

/** Returns the first metric, or the loss where there is none, of samples that were held out if there are any. */
function headline(epoch: Epoch, unit: SampleUnit): string {
  const name = headlineMetric(epoch) ?? "loss";
  const held = epoch[`val_${name}`];
  return held === undefined
    ? `${name} ${figure(epoch[name] ?? Number.NaN)} on the ${unit} it trained on`
    : `${name} ${figure(held)} on ${unit} it did not train on`;
}

/** With more classes only the worst are printed; the report has them all. */
const mostClasses = 10;

/** Returns a table of the classes of the validation samples, the lowest F1 first. */
function classLines(validation: FinetuneResult["validation"]): readonly string[] {
  const several = (validation?.outputs.length ?? 0) > 1;
  return (validation?.outputs ?? []).flatMap(({ name, perClass = [] }) => {
    if (perClass.length === 0) return [];
    const rows = perClass
      .toSorted((a, b) => a.f1 - b.f1)
      .slice(0, mostClasses)
      .map(({ label, precision, recall, f1, support }) => [
        `          ${label}`,
        ...[precision, recall, f1].map(figure),
        String(support),
      ]);
    const head = [`classes   ${several ? name : ""}`, "precision", "recall", "f1", "samples"];
    return columns([head, ...rows], new Set([1, 2, 3, 4]));
  });
}

/** Returns the last lines of a run: its cost beside the plan, the proof, the files, and the best epoch. */
function resultLines(out: string, result: FinetuneResult, unit: SampleUnit): string[] {
  const best = result.history.find((epoch) => epoch.epoch === result.bestEpoch);
  const lines = ["", ...costTable(result)];
  const { proof, bad, features } = result;
  lines.push(
    proof.unchanged
      ? `proof     ${proof.weights.length} frozen weights have the same sha256 as before`
      : `proof     FAILED: ${proof.weights
          .filter((weight) => weight.before !== weight.after)
          .map((weight) => weight.name)
          .join(", ")} changed`,
  );
  lines.push(
    `features  ${features.samples} ${unit}, ${features.cached} from the cache, ${features.extracted} computed`,
  );
  if (bad.length > 0) {
    const skipped = `${bad.length} ${bad.length === 1 ? unit.slice(0, -1) : unit}`;
    const how = unit === "images" ? "decoded" : "read";
    lines.push(`skipped   ${skipped} that cannot be ${how}, listed in bad-${unit}.csv`);
  }
  lines.push(`files     ${result.files.join("  ")}`);
  lines.push(...classLines(result.validation));
  if (best) {
    lines.push(
      `result    ${headline(best, unit)} (epoch ${best.epoch} of ${result.history.length}), in ${out}`,
    );
  }
  if (result.test) {
    const { samples, loss, metrics } = result.test;
    const figures = Object.entries({ loss, ...metrics }).flatMap(([name, value]) =>
      typeof value === "number" ? [`${name} ${figure(value)}`] : [],
    );
    lines.push(`test      ${figures.join("  ")} on ${samples} ${unit} of test`);
  }
  return lines;
}

function runDocument(out: string, result: FinetuneResult): object {
  const { checkpoint, ...rest } = result;
  return { out, epochs: result.history.length, labels: checkpoint.notes.labels ?? [], ...rest };
}
