import type { RunSummary } from "../cli-api.ts";
import { formatSeconds, nearestNames, runsBelow, someText } from "../cli-api.ts";
import { UsageError } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import { value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { figure } from "./run-text.ts";

interface RunsValues extends JsonValue {
  readonly sort?: string;
}

/** `finetune runs DIR` lists the runs in a folder with their figures. */
export const runsCommand: Command<RunsValues> = {
  name: "runs",
  usage: "runs [DIR]",
  summary: "Lists the runs in a folder (runs/ by default) with their metrics, cut and time.",
  options: {},
  flags: {
    sort: value("Figure to sort by, the best first: val_accuracy, val_loss, seconds, ...", "NAME", someText, {
      group: "Output",
      otherwise: "by name",
    }),
    ...jsonFlag,
  },
  positionals: [0, 1],
  examples: [["runs runs/ --sort val_accuracy", "the most accurate run first"]],
  run: async ({ values, positionals, terminal }) => {
    const [folder = "runs"] = positionals;
    const runs = sorted(runsBelow(folder), values.sort);
    if (values.json) terminal.document(runs);
    for (const line of runLines(folder, runs)) terminal.print(line);
  },
};

/** Figures of which less is better; of all others more is. */
const isLessBetter = (name: string): boolean =>
  /(?:loss|error|mae|mse|rmse|mape|msle|seconds|epochs?)$/i.test(name);

function sorted(runs: readonly RunSummary[], name: string | undefined): readonly RunSummary[] {
  if (name === undefined) return runs;
  const figureOf = (run: RunSummary): number | undefined =>
    name === "seconds" || name === "epochs" ? run[name] : run.figures[name];
  const known = [...new Set(runs.flatMap(({ figures }) => Object.keys(figures))), "seconds", "epochs"];
  if (runs.length > 0 && !known.includes(name)) {
    const [near] = nearestNames(name, known, 1);
    throw new UsageError(
      `--sort: expected one of ${known.join(", ")}, got ${JSON.stringify(name)}.${near ? ` Did you mean ${near}?` : ""}`,
      "sort",
    );
  }
  const direction = isLessBetter(name) ? 1 : -1;
  return runs.toSorted((a, b) => {
    const [one, other] = [figureOf(a), figureOf(b)];
    if (one === undefined || other === undefined)
      return Number(one === undefined) - Number(other === undefined);
    return direction * (one - other);
  });
}

function runLines(folder: string, runs: readonly RunSummary[]): readonly string[] {
  if (runs.length === 0) return [`no runs with a report in ${folder}`];
  const names = [...new Set(runs.flatMap(({ figures }) => Object.keys(figures)))];
  const shown = [
    ...names.filter((name) => name.startsWith("val_")),
    ...names.filter((name) => name === "loss" || name === "accuracy"),
  ].slice(0, 5);
  const rows = runs.map(({ path, figures, bestEpoch, epochs, seconds, cut }) => [
    path,
    ...shown.map((name) => (figures[name] === undefined ? "-" : figure(figures[name]))),
    `${bestEpoch}/${epochs}`,
    formatSeconds(seconds),
    cut ?? "-",
  ]);
  const head = ["run", ...shown, "best", "time", "first trainable layer"];
  const right = new Set(Array.from({ length: shown.length + 2 }, (_, index) => index + 1));
  return columns([head, ...rows], right);
}
