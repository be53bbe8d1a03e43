import { formatSeconds, makeRunFolder, metricNames, removeRunFolder, settingText } from "../cli-api.ts";
import type { Sweep, SweepGrid, SweepOption, SweepProgress, SweepRun, SweepSettings } from "../index.ts";
import { sweep } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import type { EngineValues } from "./engine-flags.ts";
import { engineFlags } from "./engine-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { modelAndData, startEngine } from "./run-flags.ts";
import { figure } from "./run-text.ts";
import type { SweptValues } from "./sweep-flags.ts";
import { gridOf, plainFlags, sweptFlagOf, sweptFlags } from "./sweep-flags.ts";
import type { Terminal } from "./terminal.ts";
import { show } from "./train-text.ts";

interface SweepValues extends SweptValues, EngineValues, JsonValue {}

/** `finetune sweep --model M --data D --freeze-until a,b --lr x,y` compares settings on one extraction. */
export const sweepCommand: Command<SweepValues> = {
  name: "sweep",
  usage: "sweep --model FILE --data DIR --freeze-until X,... --lr RATE,... [flags of the run]",
  summary:
    "Trains once for each combination of values between commas, on one extraction of features, and ranks the runs in a table. The same command again goes on where it was stopped.",
  options: plainFlags,
  flags: { ...sweptFlags, ...jsonFlag, ...engineFlags },
  positionals: [0, 0],
  examples: [
    [
      "sweep --model resnet50.h5 --freeze-until conv4,conv5,head --lr 1e-3,1e-4 --epochs 1 --data photos/ --out runs/compared",
      "six runs, runs/compared/1 to 6",
    ],
    ["report runs/compared/1 runs/compared/2", "two of their pages as one"],
  ],
  interruptible: true,
  run: async ({ values, options, terminal, signal }) => {
    const given = modelAndData(options, "sweep --model FILE --data DIR --lr RATE,RATE");
    const { grid, shared } = gridOf(values);
    await startEngine(values, options, terminal);
    const out = options.out ?? makeRunFolder("sweep");
    const said = new Set<string>();
    const result = await sweep({
      ...options,
      ...shared,
      ...given,
      ...{ grid, out, signal },
      onRun: (run) => showRun(run, terminal),
      onProgress: (event) => {
        if (event.kind === "plan") return;
        if (event.kind === "note" || event.kind === "warning") {
          if (said.has(event.message)) return;
          said.add(event.message);
        }
        show(event, terminal);
      },
    }).catch((error: unknown) => {
      if (options.out === undefined) removeRunFolder(out);
      throw error;
    });
    if (values.json) terminal.document({ out, ...result });
    for (const line of sweepLines(out, grid, result)) terminal.print(line);
  },
};

function showRun(
  { place, count, settings, outcome, isKept }: SweepProgress,
  { tell, notice }: Terminal,
): void {
  const name = `run ${place}/${count}`.padEnd(9);
  if (!outcome) tell(`${name} ${settingsText(settings)}`);
  else if (isKept) tell(`${name} ${settingsText(settings)}: is there already, in ${outcome.out}`);
  else if (outcome.error !== undefined) notice(`${name} failed: ${outcome.error}`);
}

function settingsText(settings: SweepSettings): string {
  return (Object.entries(settings) as [SweepOption, SweepSettings[SweepOption]][])
    .map(([name, value]) =>
      name === "freeze" ? settingText(value) : `${sweptFlagOf(name)} ${settingText(value)}`,
    )
    .join(", ");
}

/** Returns the table of the runs, the best marked, and where everything is. */
function sweepLines(out: string, grid: SweepGrid, { runs, monitor, features, table }: Sweep): string[] {
  const names = shownMetrics(runs, monitor.name);
  const options = (Object.keys(grid) as (keyof SweepGrid)[]).filter((name) => name !== "learningRate");
  const head = [
    "",
    ...names,
    ...options.map((name) => (name === "freeze" ? "frozen" : sweptFlagOf(name))),
    "lr",
    "first to train",
    "best",
    "time",
    "out",
  ];
  const rows = runs.map((run, index) => [
    index === 0 && run.status === "finished" ? "best" : "",
    ...names.map((name) => metricText(run, name)),
    ...options.map((name) => settingText(run.settings[name])),
    run.learningRate === null ? "-" : String(run.learningRate),
    run.firstTrainable,
    run.status === "failed" ? "failed" : `${run.bestEpoch}/${run.epochs}`,
    run.status === "failed" ? "-" : formatSeconds(run.seconds),
    run.out ?? "-",
  ]);
  const right = new Set(names.map((_, index) => index + 1));
  return [
    "",
    ...columns([head, ...rows], right),
    "",
    `features  ${features.extracted} computed, in ${formatSeconds(features.seconds)}`,
    `table     ${table ?? out}`,
    `next      finetune report ${out}/*`,
  ];
}

/** Returns the ranking figure first, then the other validation figures, at most three of them all. */
function shownMetrics(runs: readonly SweepRun[], first: string): readonly string[] {
  const names = metricNames(runs, first);
  const held = names.filter((name) => name.startsWith("val_"));
  return [...new Set([first, ...(held.length > 0 ? held : names)])].slice(0, 3);
}

function metricText({ metrics }: SweepRun, name: string): string {
  const value = metrics[name];
  return value === undefined ? "-" : figure(value);
}
