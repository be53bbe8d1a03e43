/** @file The page of several runs beside each other. */
import type { RunReport } from "../run-report.ts";
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

/** Settings that differ in any two runs without a meaning. */
const notCompared: readonly string[] = ["out", "overwrite"];

/** The settings that are not the same in all runs, those of configs one by one. */
function settingsTable(runs: readonly NamedReport[]): string {
  const settings = runs.map(({ report }) => flatSettings(report.settings));
  const names = [...new Set(settings.flatMap((own) => [...own.keys()]))].filter(
    (name) => !notCompared.includes(name),
  );
  const rows = names.flatMap((name) => {
    const values = settings.map((own) => own.get(name) ?? "–");
    return new Set(values).size === 1 ? [] : [[escaped(name), ...values.map(escaped)]];
  });
  if (rows.length === 0) return "<p>None: the runs have the same settings.</p>";
  return table("Only what is not the same in all.", ["setting", ...runs.map(({ name }) => name)], rows);
}

/** Returns settings as texts, the entries of records by their path: `optimizer.config.learning_rate`. */
function flatSettings(record: Readonly<Record<string, unknown>>, above = ""): ReadonlyMap<string, string> {
  const entries = Object.entries(record).flatMap(([name, value]): (readonly [string, string])[] => {
    const path = above === "" ? name : `${above}.${name}`;
    const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
    return isRecord
      ? [...flatSettings(value as Readonly<Record<string, unknown>>, path)]
      : [[path, settingText(value)] as const];
  });
  return new Map(entries);
}

/** Returns a setting in words: policies of freezing as they are said, all else as JSON without quotes around a text. */
function settingText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null) return "none";
  if (!Array.isArray(value)) return JSON.stringify(value) ?? "–";
  return value.map(policyText).join(", ") || "none";
}

function policyText(item: unknown): string {
  const { kind, patterns, n } = (item ?? {}) as { kind?: string; patterns?: readonly string[]; n?: number };
  if (typeof kind !== "string") return typeof item === "string" ? item : JSON.stringify(item);
  return [kind, ...(patterns ?? []), ...(n === undefined ? [] : [String(n)])].join(" ");
}

/** Label of one sample beside the one that a run predicted. */
interface Verdict {
  readonly given: string;
  readonly predicted: string;
}

/** Validation samples of two runs or more that one gets right and another wrong. */
function changedTable(runs: readonly NamedReport[]): string {
  const verdicts = runs.map(({ report }) => verdictsOf(report));
  const names = [...new Set(verdicts.flatMap((own) => [...own.keys()]))];
  const isRight = ({ given, predicted }: Verdict): boolean => given === predicted;
  const shared = names.filter((name) => verdicts.filter((own) => own.has(name)).length > 1);
  const changed = shared.filter(
    (name) => new Set(verdicts.flatMap((own) => own.get(name) ?? []).map(isRight)).size > 1,
  );
  if (shared.length === 0)
    return "<p>The runs have no validation samples in common that have one class each.</p>";
  if (changed.length === 0)
    return `<p>None of the ${figure(shared.length)} that the runs have in common.</p>`;
  const images = new Map(runs.flatMap(({ report }) => thumbnailsOf(report)));
  const rows = changed.slice(0, mostChanged).map((name) => {
    const [given = ""] = verdicts.flatMap((own) => own.get(name)?.given ?? []);
    const cells = verdicts.map((own) => {
      const verdict = own.get(name);
      if (!verdict) return `<span class="muted">not in it</span>`;
      return isRight(verdict)
        ? `<span class="good">right</span>`
        : `<span class="bad">${escaped(verdict.predicted)}</span>`;
    });
    const image = images.get(name);
    const picture = image ? `<img class="small" src="${image}" alt="">` : "";
    return [`${picture}${escaped(name)}`, escaped(given), ...cells];
  });
  const some = changed.length > mostChanged ? `, the first ${mostChanged} of which are listed` : "";
  const caption = `${figure(changed.length)} of ${figure(shared.length)} that the runs have in common${some}.`;
  return table(caption, ["sample", "label", ...runs.map(({ name }) => name)], rows);
}

/** Returns what a run said of its validation samples, by their names; of several outputs each by its own. */
function verdictsOf({ splits }: RunReport): ReadonlyMap<string, Verdict> {
  const outputs = splits.find(({ split }) => split === "validation")?.outputs ?? [];
  return new Map(
    outputs.flatMap(({ name: output, labels, verdicts }) =>
      (verdicts?.names ?? []).map((sample, index) => {
        const labelOf = (indices: readonly number[] = []): string => {
          const at = indices[index] ?? -1;
          return labels[at] ?? String(at);
        };
        const name = outputs.length > 1 ? `${output}: ${sample}` : sample;
        return [name, { given: labelOf(verdicts?.given), predicted: labelOf(verdicts?.predicted) }] as const;
      }),
    ),
  );
}

function thumbnailsOf({ splits }: RunReport): (readonly [name: string, image: string])[] {
  return splits.flatMap(({ outputs }) =>
    outputs.flatMap(({ mistakes = [] }) =>
      mistakes.flatMap(({ name, thumbnail }) => (thumbnail ? [[name, thumbnail] as const] : [])),
    ),
  );
}
