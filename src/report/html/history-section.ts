/** @file Curves of a run's epochs. */
import type { EpochRecord } from "../run-report.ts";
import { figureNames } from "../run-report.ts";
import type { Chart, ChartList } from "./charts.ts";

/** One run's epochs under the name that its lines have where several are drawn. */
export interface NamedHistory {
  readonly name: string;
  readonly history: readonly EpochRecord[];
}

/** Returns a chart for loss and for each metric, training and validation together, and one of the learning rate. */
export function historyCharts(runs: readonly NamedHistory[], charts: ChartList): string {
  const names = plainNames(runs);
  const longest = runs.reduce((most, { history }) => Math.max(most, history.length), 0);
  if (longest === 0) return "";
  const x = Array.from({ length: longest }, (_, index) => index + 1);
  const marks = runs.length === 1 ? phaseMarks(runs[0]?.history ?? []) : [];
  const chartOf = (title: string, keys: readonly (readonly [key: string, label: string])[]): Chart => ({
    title,
    xLabel: "epoch",
    isWholeX: true,
    yLabel: title,
    x,
    marks,
    series: runs.flatMap(({ name, history }, run) =>
      keys
        .filter(([key]) => history.some((epoch) => epoch[key] !== undefined))
        .map(([key, label]) => ({
          label: runs.length > 1 ? [name, label].filter((part) => part !== "").join(" ") : label,
          values: x.map((epoch) => history[epoch - 1]?.[key] ?? null),
          // Of several runs each has a color, its training figures are dashed.
          ...(runs.length > 1 && { color: run, isDashed: names.includes(key) }),
        })),
    ),
  });
  const figures = names.map((name) =>
    chartOf(name, [
      [name, "training"],
      [`val_${name}`, "validation"],
    ]),
  );
  const rate = chartOf("learning rate", [["lr", runs.length > 1 ? "" : "learning rate"]]);
  return `<div class="charts">${[...figures, rate].map(charts.add).join("")}</div>`;
}

/** Names of the figures without `val_`, the loss first. */
function plainNames(runs: readonly NamedHistory[]): readonly string[] {
  const names = figureNames(runs.flatMap(({ history }) => history));
  const plain = names.map((name) => name.replace(/^val_/, ""));
  return [...new Set(plain)].sort((a, b) => Number(b === "loss") - Number(a === "loss"));
}

function phaseMarks(history: readonly EpochRecord[]): { x: number; label: string }[] {
  return history.flatMap(({ epoch, phase }, index) => {
    const before = history[index - 1]?.["phase"];
    return before !== undefined && before !== phase ? [{ x: epoch - 0.5, label: `phase ${phase}` }] : [];
  });
}
