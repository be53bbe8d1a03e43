/** @file The page of one run: one file without a network, made from a {@link RunReport}. */
import type { RunReport, StripLayer } from "../run-report.ts";
import type { ChartList } from "./charts.ts";
import { chartLibrary, chartList, chartScript } from "./charts.ts";
import { historyCharts } from "./history-section.ts";
import { escaped, figure, moment, section, table } from "./markup.ts";
import { outputParts } from "./output-section.ts";
import { pageStyle } from "./style.ts";

/** Returns the HTML of a run's page. Everything that came from files or people is escaped. */
export function reportPage(report: RunReport): string {
  const charts = chartList();
  const curves = historyCharts([{ name: report.title, history: report.history }], charts);
  const sections: readonly (readonly [id: string, title: string, content: string])[] = [
    ["curves", "Curves", curves],
    ...report.splits.map(
      ({ split, ...rest }) => [split, splitTitles[split], splitPart({ split, ...rest }, charts)] as const,
    ),
    ["network", "What trained", networkPart(report)],
    ["cost", "Plan and cost", costPart(report)],
    ["proof", "Proof", proofPart(report)],
    ["warnings", "Warnings", listPart(report.warnings)],
    ["duplicates", "Duplicates", duplicatesPart(report)],
    ["skipped", "Skipped samples", skippedPart(report)],
    ["repeat", "Repeat this run", repeatPart(report)],
  ];
  const shown = sections.filter(([, , content]) => content !== "");
  const links = shown.map(([id, title]) => `<li><a href="#${id}">${escaped(title)}</a></li>`).join("");
  const body = `<header><h1>${escaped(report.title)}</h1><p class="muted">${escaped(moment(report.finished))}</p>${cards(report)}<nav aria-label="Sections"><ul>${links}</ul></nav></header><main>${shown.map((parts) => section(...parts)).join("")}</main>`;
  return htmlPage(report.title, body, charts);
}

/** Puts a page's body, its charts and the scripts together. */
export function htmlPage(title: string, body: string, { charts }: ChartList): string {
  const { script, style } = chartLibrary();
  // A closing tag inside JSON would end the script element.
  const data = JSON.stringify(charts).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<style>${style}${pageStyle}</style>
</head>
<body>
${body}
<script type="application/json" id="charts">${data}</script>
<script>${script}</script>
<script>${chartScript}</script>
</body>
</html>
`;
}

const splitTitles = {
  validation: "Validation",
  test: "Test",
  train: "Training samples",
} as const;

function cards({ facts, history, bestEpoch }: RunReport): string {
  const best = history.find(({ epoch }) => epoch === bestEpoch);
  const figures = Object.entries(best ?? {}).filter(
    ([name]) => name === "val_loss" || name.startsWith("val_"),
  );
  const shown = [
    ...figures.slice(0, 4).map(([name, value]) => [name, figure(value)] as const),
    ["best epoch", `${bestEpoch} of ${history.length}`] as const,
    ...facts,
  ];
  const items = shown.map(
    ([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`,
  );
  return `<dl class="cards">${items.join("")}</dl>`;
}

function splitPart(split: RunReport["splits"][number], charts: ChartList): string {
  const rows = Object.entries(split.figures).map(([name, value]) => [escaped(name), figure(value)]);
  const figures = table(`${figure(split.samples)} samples.`, ["figure", "value"], rows, new Set([1]));
  return figures + split.outputs.map((output) => outputParts(split, output, charts)).join("");
}

function networkPart({ layers }: RunReport): string {
  if (layers.length === 0) return "";
  const kindOf = ({ side, trainable }: StripLayer): string =>
    trainable ? "train" : side === "static" ? "static" : "frozen";
  const firstDynamic = layers.findIndex(({ side }) => side === "dynamic");
  const spans = layers.map((layer, index) => {
    const told = `${layer.path} (${layer.className}), ${figure(layer.parameters)} parameters, ${layer.trainable ? "trains" : "frozen"}`;
    const cut = index === firstDynamic && index > 0 ? `<span class="cut" title="the cut"></span>` : "";
    const width = 1 + Math.log10(1 + layer.parameters);
    return `${cut}<span class="${kindOf(layer)}" style="flex:${width.toFixed(2)} 1 0" title="${escaped(told)}"></span>`;
  });
  const trained = layers.filter(({ trainable }) => trainable);
  const sum = (list: readonly StripLayer[]): number =>
    list.reduce((total, { parameters }) => total + parameters, 0);
  const told = `${layers.length} layers from input to output; ${trained.length === 1 ? "1 trains" : `${trained.length} train`}, with ${figure(sum(trained))} of ${figure(sum(layers))} parameters`;
  const key = [
    ["static", "computed once and cached"],
    ["frozen", "frozen, runs in every step"],
    ["train", "trains"],
    ["cut", "the cut"],
  ].map(
    ([name, text]) =>
      `<li><span class="strip" style="display:inline-flex;width:14px;height:12px;margin:0 6px 0 0;vertical-align:-1px"><span class="${name}" style="flex:1"></span></span>${text}</li>`,
  );
  return `<p>${told}.</p><div class="strip" role="img" aria-label="${escaped(told)}">${spans.join("")}</div><ul class="key">${key.join("")}</ul>${stageTable(layers)}`;
}

function stageTable(layers: readonly StripLayer[]): string {
  const stages = [...new Set(layers.map(({ stage }) => stage ?? "–"))];
  const rows = stages.map((stage) => {
    const own = layers.filter((layer) => (layer.stage ?? "–") === stage);
    const trains = own.filter(({ trainable }) => trainable).length;
    const parameters = own.reduce((sum, layer) => sum + layer.parameters, 0);
    return [
      escaped(stage),
      figure(own.length),
      figure(parameters),
      trains === 0 ? "frozen" : trains === 1 ? "1 layer trains" : `${trains} layers train`,
    ];
  });
  return table("By stage.", ["stage", "layers", "parameters", ""], rows, new Set([1, 2]));
}

function costPart({ cost }: RunReport): string {
  if (cost.length === 0) return "";
  const rows = cost.map(({ what, predicted, measured }) => [
    escaped(what),
    escaped(predicted),
    escaped(measured),
  ]);
  return table("What the plan said and what it was.", ["", "predicted", "measured"], rows, new Set([1, 2]));
}

function proofPart({ phases }: RunReport): string {
  if (phases.length === 0) return "";
  const rows = phases.map(({ name, from, to, frozenWeights, unchanged }) => [
    escaped(name),
    `${from} to ${to}`,
    figure(frozenWeights),
    frozenWeights === 0
      ? "nothing is frozen"
      : unchanged
        ? `<span class="good">same sha256 as before</span>`
        : `<span class="bad">CHANGED</span>`,
  ]);
  return table(
    "Weights that must not move, hashed before and after.",
    ["phase", "epochs", "frozen weights", "proof"],
    rows,
    new Set([2]),
  );
}

function listPart(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`;
}

function duplicatesPart({ duplicates = [], duplicateCount = duplicates.length }: RunReport): string {
  if (duplicates.length === 0) return "";
  const rows = duplicates.map(({ name, place, twin, twinPlace, thumbnail }) => [
    `${thumbnail ? `<img class="small" src="${thumbnail}" alt="">` : ""}${escaped(name)}`,
    escaped(place),
    escaped(twin),
    escaped(twinPlace),
  ]);
  const some = duplicateCount > duplicates.length ? `; the first ${duplicates.length}` : "";
  const caption = `${figure(duplicateCount)} with the bytes of a sample of another split or class${some}.`;
  return table(caption, ["sample", "in", "is the same as", "in"], rows);
}

/** At most so many skipped samples are listed. */
const mostSkipped = 50;

function skippedPart({ bad }: RunReport): string {
  if (bad.length === 0) return "";
  const rows = bad.slice(0, mostSkipped).map(({ path, reason }) => [escaped(path), escaped(reason)]);
  return table(
    `${figure(bad.length)} ${bad.length === 1 ? "sample" : "samples"} could not be used.`,
    ["sample", "reason"],
    rows,
  );
}

function repeatPart({ command, settings }: RunReport): string {
  const text = JSON.stringify(settings, null, 2);
  return `<pre>${escaped(command)}</pre><details><summary>All settings</summary><pre>${escaped(text)}</pre></details>`;
}
