/** @file The page of several runs beside each other. */
import type { OutputReport, RunReport } from "../run-report.ts";
import { figureNames } from "../run-report.ts";
import { chartList } from "./charts.ts";
import { historyCharts } from "./history-section.ts";
import { escaped, figure, section, table } from "./markup.ts";
import { htmlPage } from "./report-page.ts";

/** A run's report under the name that tells it from the others. */
export interface NamedReport {
  readonly name: string;
  readonly report: RunReport;
}

/** At most so many samples that changed sides are listed. */
const mostChanged = 100;

/** Returns the HTML of a page with the curves of all runs over each other and what differs between them. */
export function comparisonPage(runs: readonly NamedReport[]): string {
  const charts = chartList();
  const curves = historyCharts(
    runs.map(({ name, report }) => ({ name, history: report.history })),
    charts,
  );
  const sections = [
    section("results", "Results", resultTable(runs)),
    section("curves", "Curves", `<p>Solid lines are validation, dashed ones training.</p>${curves}`),
    section("settings", "What differs in their settings", settingsTable(runs)),
    section("samples", "Samples that changed sides", changedTable(runs)),
  ];
  const title = `${runs.length} runs`;
  const body = `<header><h1>${escaped(title)}</h1><p class="muted">${escaped(runs.map(({ name }) => name).join(", "))}</p></header><main>${sections.join("")}</main>`;
  return htmlPage(title, body, charts);
}

function resultTable(runs: readonly NamedReport[]): string {
  const records = runs.map(({ report }) => report.history.find(({ epoch }) => epoch === report.bestEpoch));
  const keys = figureNames(records.flatMap((record) => record ?? []));
  const rows = runs.map(({ name, report }, index) => [
    escaped(name),
    `${report.bestEpoch} of ${report.history.length}`,
    ...keys.map((key) => figure(records[index]?.[key])),
    figure(report.history.reduce((sum, epoch) => sum + (epoch["seconds"] ?? 0), 0)),
  ]);
  const head = ["run", "best epoch", ...keys, "seconds in epochs"];
  return table("At each run's best epoch.", head, rows, new Set([...head.keys()].slice(1)));
}

/** The settings that are not the same in all runs. */
function settingsTable(runs: readonly NamedReport[]): string {
  const names = [...new Set(runs.flatMap(({ report }) => Object.keys(report.settings)))];
  const rows = names.flatMap((name) => {
    const values = runs.map(({ report }) => JSON.stringify(report.settings[name]) ?? "–");
    return new Set(values).size === 1 ? [] : [[escaped(name), ...values.map(escaped)]];
  });
  if (rows.length === 0) return "<p>None: the runs have the same settings.</p>";
  return table("Only what is not the same in all.", ["setting", ...runs.map(({ name }) => name)], rows);
}

/** Validation samples that one run gets right and another wrong, as far as their reports name mistakes. */
function changedTable(runs: readonly NamedReport[]): string {
  const wrong = runs.map(({ report }) => new Map(mistakesOf(report).map((note) => [note.name, note])));
  const names = [...new Set(wrong.flatMap((mistakes) => [...mistakes.keys()]))];
  const changed = names.filter((name) => !wrong.every((mistakes) => mistakes.has(name)));
  if (changed.length === 0) return "<p>None among the mistakes that the reports show.</p>";
  const rows = changed.slice(0, mostChanged).map((name) => {
    const given = wrong.map((mistakes) => mistakes.get(name)?.given).find((label) => label !== undefined);
    const cells = wrong.map((mistakes) => {
      const note = mistakes.get(name);
      return note ? `<span class="bad">${escaped(note.predicted)}</span>` : `<span class="good">right</span>`;
    });
    return [escaped(name), escaped(given ?? ""), ...cells];
  });
  const caption = "Among the mistakes that each report shows: what each run predicted.";
  return table(caption, ["sample", "label", ...runs.map(({ name }) => name)], rows);
}

function mistakesOf({ splits }: RunReport): NonNullable<OutputReport["mistakes"]> {
  const validation = splits.find(({ split }) => split === "validation");
  return validation?.outputs.flatMap(({ mistakes = [] }) => mistakes) ?? [];
}
