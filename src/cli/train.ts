import {
  engineOfRun,
  ensureEngine,
  finishedEpochs,
  finishedLine,
  makeRunFolder,
  precisionOfRun,
  prepareRun,
  removeRunFolder,
  resolveOptions,
  someText,
  threadsOfRun,
  wholeNumber,
} from "../cli-api.ts";
import type { CrossValidationOptions, SampleUnit } from "../index.ts";
import { crossValidate, finetune, UsageError, useEngine } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command, GivenOptions } from "./command.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import { flag, value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag, outputFlags } from "./output-flags.ts";
import { modelAndData, runFlags, startEngine } from "./run-flags.ts";
import { engineLine, figure } from "./run-text.ts";
import type { Terminal } from "./terminal.ts";
import { runDocument, show, showResult } from "./train-text.ts";
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
    ...runFlags,
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
      "Go on with a run where its last state was saved; stands alone, but for --epochs, --layers, --json, --quiet and --verbose",
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
    const found = modelAndData(given, "--model FILE --data DIR");
    const freeze = freezePolicies(values);
    const options = { ...given, ...found, ...(freeze.length > 0 && { freeze }) };
    if (values["dry-run"]) {
      chooseEngine(values, given);
      const run = await prepareRun(resolveOptions(options));
      terminal.tell(engineLine(await ensureEngine()));
      signal.throwIfAborted();
      if (values.json) terminal.document(run.plan);
      for (const line of run.messages) terminal.print(line);
      for (const line of run.planLines) terminal.print(line);
      for (const warning of run.warnings) terminal.notice(`warning: ${warning}`);
      return;
    }
    await startEngine(values, given, terminal);
    const out = options.out ?? makeRunFolder(found.model);
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
    showResult(out, result, unit, terminal);
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
  const alone = ["resume", "epochs", "layers", "json", "quiet", "verbose"];
  const strange = [...Object.keys(others), ...Object.keys(values)].find((name) => !alone.includes(name));
  if (strange !== undefined) {
    throw new UsageError(
      `--resume: expected to stand alone, but for --epochs, --layers, --json, --quiet and --verbose, got ${strange} too. The run goes on as it was asked.`,
      "resume-alone",
      "resume",
    );
  }
  const finished = finishedEpochs({ resume: out, epochs });
  if (finished && !values.json) {
    terminal.print(finishedLine(out, finished));
    return;
  }
  const [threads, precision] = [threadsOfRun(out), precisionOfRun(out)];
  useEngine(engineOfRun(out) ?? "auto", {
    verbose: values.verbose ?? false,
    ...(threads !== undefined && { threads }),
    ...(precision !== undefined && { precision }),
  });
  terminal.tell(engineLine(await ensureEngine()));
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
  showResult(out, result, unit, terminal);
}

/** Trains once per fold and prints the held-out figures of each, their mean and their spread. */
async function trainFolds(
  options: CrossValidationOptions & { readonly out: string },
  { json }: TrainValues,
  terminal: Terminal,
): Promise<void> {
  const { folds, figures } = await crossValidate({
    ...options,
    onFold: (fold, count) => terminal.tell(`fold      ${fold} of ${count}`),
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
