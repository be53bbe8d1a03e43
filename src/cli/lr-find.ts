import { positiveNumber, shellWord, wholeNumber } from "../cli-api.ts";
import type { LearningRateSearch } from "../index.ts";
import { findLearningRate } from "../index.ts";
import type { Command } from "./command.ts";
import type { EngineValues } from "./engine-flags.ts";
import { engineFlags } from "./engine-flags.ts";
import { only, sets, value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { freezeFlags, freezePolicies } from "./freeze-flags.ts";
import { lineChart } from "./line-chart.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag, outputFlags } from "./output-flags.ts";
import { modelAndData, runFlags, startEngine } from "./run-flags.ts";
import { figure } from "./run-text.ts";
import { number } from "./values.ts";

interface RateValues extends FreezeValues, EngineValues, JsonValue {
  readonly steps?: number;
  readonly "start-rate"?: number;
  readonly "end-rate"?: number;
}

const group = "Optimizer and rate";

/** `finetune lr-find --model M --data D` suggests a learning rate for the run with the same flags. */
export const rateCommand: Command<RateValues> = {
  name: "lr-find",
  usage: "lr-find --model FILE --data DIR [flags of the run]",
  summary:
    "Suggests a learning rate: trains on cached features while the rate rises, draws the loss, and writes no model.",
  options: {
    ...runFlags,
    ...only(outputFlags, "overwrite"),
    out: sets("out", "Folder for the curve and a page of it, new or empty", "DIR", {
      group: "Output",
      otherwise: "none: nothing is written",
    }),
  },
  flags: {
    ...freezeFlags,
    steps: value("Updates, each at a higher rate than the one before", "N", wholeNumber(10), {
      group,
      read: number,
      otherwise: "100",
    }),
    "start-rate": value("Rate of the first update", "RATE", positiveNumber, {
      group,
      read: number,
      otherwise: "1e-7",
      option: "startRate",
    }),
    "end-rate": value("Rate of the last update", "RATE", positiveNumber, {
      group,
      read: number,
      otherwise: "10",
      option: "endRate",
    }),
    ...jsonFlag,
    ...engineFlags,
  },
  positionals: [0, 0],
  examples: [
    ["lr-find --model resnet50.h5 --freeze-until conv4 --data photos/", "the rate for that run, in seconds"],
  ],
  interruptible: true,
  run: async ({ values, options, words, terminal, signal }) => {
    const given = modelAndData(options, "lr-find --model FILE --data DIR");
    const freeze = freezePolicies(values);
    await startEngine(values, options, terminal);
    const found = await findLearningRate({
      ...options,
      ...given,
      signal,
      ...(freeze.length > 0 && { freeze }),
      ...(values.steps !== undefined && { steps: values.steps }),
      ...(values["start-rate"] !== undefined && { startRate: values["start-rate"] }),
      ...(values["end-rate"] !== undefined && { endRate: values["end-rate"] }),
      onProgress: (event) => {
        if (event.kind === "note") terminal.tell(event.message);
        if (event.kind === "warning") terminal.notice(`warning: ${event.message}`);
        if (event.kind === "extract")
          terminal.progress.update("features", event.done, event.total, event.unit);
        if (event.kind === "step")
          terminal.progress.update("rate", event.step, event.steps, "steps", `loss ${figure(event.loss)}`);
      },
    });
    if (values.json) terminal.document(found);
    for (const line of rateLines(found, words, Math.min(terminal.columns, 100))) terminal.print(line);
  },
};

/** Returns the chart of the loss, the suggestions, and the command to run next. */
function rateLines(
  { curve, suggestion, suggestions, fall, diverged, report }: LearningRateSearch,
  words: readonly string[],
  width: number,
): readonly string[] {
  // The last points of a diverged curve would flatten the rest.
  const top = Math.max(...curve.slice(0, -5).map(({ loss }) => loss), curve[0]?.loss ?? 0);
  const points = curve.map(
    ({ learningRate, loss }) => [Math.log10(learningRate), Math.min(loss, top)] as const,
  );
  const marks = suggestions
    ? [
        { x: Math.log10(suggestions.minimumOverTen), sign: "m" },
        { x: Math.log10(suggestions.steepest), sign: "s" },
        { x: Math.log10(suggestions.valley), sign: "v" },
      ]
    : [];
  const last = curve.at(-1)?.learningRate ?? 0;
  return [
    "",
    "smoothed loss by learning rate",
    ...lineChart(points, marks, { width, height: 14 }, (x) => rateText(10 ** x), figure),
    "",
    ...(suggestions ? [`fall      by ${(100 * fall).toFixed(1)} %`] : []),
    ...(diverged ? [`diverged  after the rate of ${rateText(last)}, where the test ended`] : []),
    ...(suggestions
      ? [
          `suggested ${rateText(suggestions.valley)}  (v: middle of the valley)`,
          `          ${rateText(suggestions.steepest)}  (s: steepest fall)`,
          `          ${rateText(suggestions.minimumOverTen)}  (m: a tenth of the rate with the lowest loss)`,
        ]
      : ["suggested none: the loss falls nowhere. The model may fit these samples already."]),
    ...(report === undefined ? [] : [`report    ${report}`]),
    ...(suggestion === null ? [] : [`next      ${nextCommand(words, suggestion)}`]),
  ];
}

/** Flags that the next command has no use for, and whether a value follows them. */
const ownFlags: ReadonlyMap<string, boolean> = new Map([
  ...["steps", "start-rate", "end-rate", "out", "lr"].map((name) => [name, true] as const),
  ...["json", "overwrite"].map((name) => [name, false] as const),
]);

/** Returns the command that trains as these words ask, at the rate. */
function nextCommand(words: readonly string[], rate: number): string {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const [, name = "", assigned] = /^--([\w-]+)(=.*)?$/s.exec(word) ?? [];
    const hasValue = ownFlags.get(name);
    if (hasValue === undefined) kept.push(shellWord(word));
    else if (hasValue && assigned === undefined) index++;
  }
  return ["finetune", ...kept, "--lr", rateText(rate)].join(" ");
}

/** Returns a rate with two digits, as `--lr` takes it: `2.5e-4`. */
function rateText(rate: number): string {
  return rate
    .toExponential(1)
    .replace(/\.0(?=e)/, "")
    .replace("e+0", "")
    .replace("e+", "e");
}
