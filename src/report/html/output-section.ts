/** @file Results of one output on one split, as a part of the page. */
import type { OutputReport, Point, SampleNote, Scatter, SplitReport, ValueNote } from "../run-report.ts";
import type { ChartList } from "./charts.ts";
import { curvesChart } from "./charts.ts";
import { confusionTable } from "./confusion.ts";
import { escaped, figure, percent, table } from "./markup.ts";

/** Returns the parts of an output with their headings; empty where there is nothing to show. */
export function outputParts(split: SplitReport, output: OutputReport, charts: ChartList): string {
  const parts: readonly (readonly [title: string, content: string])[] = [
    ["Confusion matrix", output.confusion ? confusionTable(output.labels, output.confusion) : ""],
    ["Classes", classTable(output)],
    ["Precision, recall and ROC", curveCharts(output, charts)],
    ["Calibration", calibrationPart(output, charts)],
    ["Predicted against true", (output.scatters ?? []).map((one) => scatterPart(one, charts)).join("")],
    ["Largest errors", missesList(output.misses ?? [])],
    ["Masks", masksPart(output)],
    ["Worst mistakes", mistakesPart(output.mistakes ?? [])],
    ["Likely label errors", suspectsPart(output.suspects ?? [])],
  ];
  const several = split.outputs.length > 1 ? `${output.name}: ` : "";
  return parts
    .map(([title, content]) => (content === "" ? "" : `<h3>${escaped(several)}${title}</h3>${content}`))
    .join("");
}

function classTable({ perClass = [] }: OutputReport): string {
  if (perClass.length === 0) return "";
  const rows = perClass
    .toSorted((a, b) => a.f1 - b.f1)
    .map((row) => [
      escaped(row.label),
      figure(row.precision),
      figure(row.recall),
      figure(row.f1),
      figure(row.support),
    ]);
  const head = ["class", "precision", "recall", "F1", "samples"];
  return table("Lowest F1 first.", head, rows, new Set([1, 2, 3, 4]));
}

function curveCharts({ curves = [] }: OutputReport, charts: ChartList): string {
  if (curves.length === 0) return "";
  const unit = { xRange: [0, 1], yRange: [0, 1.02] } as const;
  const named = (points: (curve: (typeof curves)[number]) => readonly Point[]) =>
    curves.slice(0, 6).map((curve) => ({ label: curve.label, points: points(curve) }));
  const precisionRecall = curvesChart(
    { title: "Precision and recall", xLabel: "recall", yLabel: "precision", ...unit },
    named((curve) => curve.precisionRecall),
  );
  const roc = curvesChart(
    { title: "ROC", xLabel: "false positive rate", yLabel: "true positive rate", ...unit },
    named((curve) => curve.roc),
  );
  const rows = curves.map(({ label, support, auc, averagePrecision }) => [
    escaped(label),
    figure(averagePrecision),
    figure(auc),
    figure(support),
  ]);
  const areas = table(
    "Areas under the curves, each class against all others.",
    ["class", "average precision", "ROC AUC", "samples"],
    rows,
    new Set([1, 2, 3]),
  );
  return `<div class="charts">${charts.add(precisionRecall)}${charts.add(roc)}</div>${areas}`;
}

function calibrationPart({ calibration }: OutputReport, charts: ChartList): string {
  if (!calibration) return "";
  const filled = calibration.bins.filter(({ count }) => count > 0);
  const x = [0, ...filled.map(({ confidence }) => confidence), 1];
  const chart = charts.add({
    title: "Confidence and accuracy",
    xLabel: "confidence",
    yLabel: "accuracy",
    x,
    xRange: [0, 1],
    yRange: [0, 1.02],
    series: [
      { label: "accuracy", values: [null, ...filled.map(({ accuracy }) => accuracy), null] },
      {
        label: "as it should be",
        values: x.map((value, i) => (i === 0 || i === x.length - 1 ? value : null)),
        isDashed: true,
      },
    ],
  });
  const rows = filled.map(({ from, to, count, confidence, accuracy }) => [
    `${Math.round(100 * from)}–${percent(to)}`,
    figure(count),
    percent(confidence),
    percent(accuracy),
  ]);
  return `<p>Confidence and accuracy are ${percent(calibration.expectedError)} apart on average (expected calibration error).</p><div class="charts">${chart}<div>${table("Samples by the confidence of the prediction.", ["confidence", "samples", "mean confidence", "accuracy"], rows, new Set([1, 2, 3]))}</div></div>`;
}

function scatterPart({ label, points: given }: Scatter, charts: ChartList): string {
  if (given.length === 0) return "";
  const of = label === "" ? "" : ` of ${label}`;
  const points = given.toSorted((a, b) => a[0] - b[0]);
  const x = points.map(([truth]) => truth);
  const values = charts.add({
    title: `Predicted against true${of}`,
    xLabel: "true value",
    yLabel: "predicted",
    x,
    series: [
      { label: "samples", values: points.map(([, predicted]) => predicted), isPoints: true },
      { label: "exact", values: x, isDashed: true },
    ],
  });
  const residuals = charts.add({
    title: `Residuals${of}`,
    xLabel: "true value",
    yLabel: "predicted less true",
    x,
    series: [
      { label: "samples", values: points.map(([truth, predicted]) => predicted - truth), isPoints: true },
      { label: "exact", values: x.map(() => 0), isDashed: true },
    ],
  });
  return `<div class="charts">${values}${residuals}</div>`;
}

function missesList(misses: readonly ValueNote[]): string {
  if (misses.length === 0) return "";
  const items = misses.map(({ name, value, given, predicted, thumbnail }) => {
    const of = value === "" ? "" : `${escaped(value)} `;
    const told = `${of}true <b>${figure(given)}</b>, predicted <b>${figure(predicted)}</b>`;
    return `<li>${imageOf(thumbnail, name)}<p>${told}</p><p class="muted">${escaped(name)}</p></li>`;
  });
  return `<ul class="samples">${items.join("")}</ul>`;
}

/** Returns the worst masks as image, truth and prediction side by side. */
function masksPart({ masks = [], maskColors = [], labels }: OutputReport): string {
  if (masks.length === 0) return "";
  const key = labels.map(
    (label, index) =>
      `<li><i style="background:${maskColors[index] ?? "#ffffff"}"></i>${escaped(label)}</li>`,
  );
  const items = masks.map(({ name, right, aspect, thumbnail, truth, predicted }) => {
    const image = thumbnail
      ? `<figure>${imageOf(thumbnail, name)}<figcaption>image</figcaption></figure>`
      : "";
    const drawn = (source: string, what: string): string =>
      `<figure><img class="mask" src="${source}" alt="${escaped(`${what} of ${name}`)}"><figcaption>${what}</figcaption></figure>`;
    return `<li><div class="side-by-side" style="--aspect:${aspect.toFixed(3)}">${image}${drawn(truth, "truth")}${drawn(predicted, "prediction")}</div><p>${percent(right)} of the pixels are right</p><p class="muted">${escaped(name)}</p></li>`;
  });
  return `<p>The samples with the fewest right pixels.</p><ul class="key">${key.join("")}</ul><ul class="masks">${items.join("")}</ul>`;
}

function imageOf(thumbnail: string | undefined, text: string): string {
  return thumbnail ? `<img src="${thumbnail}" alt="${escaped(text)}">` : "";
}

function mistakesPart(mistakes: readonly SampleNote[]): string {
  const isExplained = mistakes.some(({ heatmap }) => heatmap !== undefined);
  const told = isExplained
    ? "<p>Beside an image: where the model saw what it predicted (Grad-CAM), red where it counted most.</p>"
    : "";
  return `${told}${samplesList(mistakes)}`;
}

function suspectsPart(suspects: readonly SampleNote[]): string {
  if (suspects.length === 0) return "";
  return `<p>The model is sure that these belong to another class than they are labeled with. Look at them: the label may be wrong.</p>${samplesList(suspects)}`;
}

function samplesList(samples: readonly SampleNote[]): string {
  if (samples.length === 0) return "";
  const items = samples.map(({ name, given, predicted, confidence, givenScore, thumbnail, heatmap }) => {
    const plain = imageOf(thumbnail, `${name}, labeled ${given}`);
    const image = heatmap
      ? `<div class="pair">${plain}${imageOf(heatmap, `Where the model saw ${predicted}`)}</div>`
      : plain;
    const told = `labeled <b>${escaped(given)}</b> (${percent(givenScore)}), predicted <b>${escaped(predicted)}</b> (${percent(confidence)})`;
    const mark = heatmap ? ' class="explained"' : "";
    return `<li${mark}>${image}<p>${told}</p><p class="muted">${escaped(name)}</p></li>`;
  });
  return `<ul class="samples">${items.join("")}</ul>`;
}
