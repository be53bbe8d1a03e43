/** @file Page of a learning-rate search: one file without a network. */
import type { RatePoint, RateSuggestions } from "../../training/rate-suggestions.ts";
import { chartList } from "./charts.ts";
import { escaped, figure, moment, section, table } from "./markup.ts";
import { htmlPage } from "./report-page.ts";

/** Results of a search, as its folder keeps them. */
export interface RateReport {
  /** Version of this structure. */
  readonly version: 1;
  readonly title: string;
  /** ISO 8601. */
  readonly finished: string;
  readonly curve: readonly RatePoint[];
  readonly suggestions: RateSuggestions | null;
  readonly diverged: boolean;
  /** The freeze policy in words. */
  readonly policy: string;
  /** The run's settings as they were decided. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Returns the part of the loss axis that shows the curve: the last points of a diverged one would flatten the rest. */
function lossRange(curve: readonly RatePoint[]): readonly [number, number] {
  const shown = curve.slice(0, Math.max(1, curve.length - 5));
  const lowest = Math.min(...shown.map(({ loss, batchLoss }) => Math.min(loss, batchLoss)));
  const highest = Math.max(...shown.map(({ loss }) => loss));
  const space = (highest - lowest || 1) / 8;
  return [lowest - space, highest + space];
}

/** Returns the HTML of the page. Everything that came from files or people is escaped. */
export function ratePage(report: RateReport): string {
  const { title, finished, curve, suggestions, policy, settings, diverged } = report;
  const charts = chartList();
  const rules: readonly (readonly [name: string, rate: number])[] = suggestions
    ? [
        ["valley", suggestions.valley],
        ["steepest", suggestions.steepest],
        ["minimum / 10", suggestions.minimumOverTen],
      ]
    : [];
  const chart = charts.add({
    title: "Loss while the rate rises",
    xLabel: "learning rate, as its power of 10",
    yLabel: "loss",
    x: curve.map(({ learningRate }) => Math.log10(learningRate)),
    series: [
      { label: "smoothed", values: curve.map(({ loss }) => loss) },
      { label: "of one batch", values: curve.map(({ batchLoss }) => batchLoss), isPoints: true },
    ],
    yRange: lossRange(curve),
    marks: suggestions ? [{ x: Math.log10(suggestions.valley), label: "suggested" }] : [],
  });
  const end = diverged ? "The test ended early, because the loss had diverged." : "";
  const rows = rules.map(([name, rate]) => [escaped(name), escaped(rate.toExponential(1))]);
  const suggested =
    rows.length > 0
      ? table(`Frozen: ${policy}. ${end}`, ["rule", "learning rate"], rows, new Set([1]))
      : `<p>The loss falls nowhere: no rate is suggested. ${end}</p>`;
  const values = table(
    "Every step.",
    ["learning rate", "smoothed loss", "loss of the batch"],
    curve.map(({ learningRate, loss, batchLoss }) => [
      escaped(learningRate.toExponential(2)),
      figure(loss),
      figure(batchLoss),
    ]),
    new Set([0, 1, 2]),
  );
  const all = `<details><summary>All settings</summary><pre>${escaped(JSON.stringify(settings, null, 2))}</pre></details>`;
  const body = `<header><h1>${escaped(title)}</h1><p class="muted">${escaped(moment(finished))}</p></header><main>${section("curve", "Curve", `<div class="charts">${chart}</div>${suggested}`)}${section("steps", "Steps", values)}${section("repeat", "Settings", all)}</main>`;
  return htmlPage(title, body, charts);
}
