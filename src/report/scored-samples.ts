import type { OutputReport, SampleNote, ScoreCurves } from "./run-report.ts";
import { calibrationOf, scoreCurves } from "./score-curves.ts";

/** Scores of one output for the samples of a split. */
export interface ScoredSamples {
  /** Names in output order. */
  readonly labels: readonly string[];
  /** Scores from 0 to 1, one row of `labels.length` for each sample. */
  readonly scores: Float32Array;
  /** For classes the index of each sample's class; for labels a row of zeros and ones for each sample. */
  readonly truth: Int32Array;
  /** Names of the samples: paths below the data folder, or numbers. */
  readonly names: readonly string[];
}

/** At most so many mistakes, and so many suspects, are shown. */
const mostShown = 24;
/** The model is sure of another class than the given one from this score on. */
const sureFrom = 0.9;
/** With more classes only those with the most samples get curves. */
const mostCurves = 12;

/** Returns what a page shows of a single-label output. */
export function classesReport(
  samples: ScoredSamples,
): Pick<OutputReport, "curves" | "calibration" | "mistakes" | "suspects"> {
  const { labels, scores, truth, names } = samples;
  const width = labels.length;
  const best = Int32Array.from(truth.keys(), (row) => indexOfLargest(scores, row * width, width));
  const confidence = Float64Array.from(best, (index, row) => scores[row * width + index] ?? 0);
  const isRight = Uint8Array.from(best, (index, row) => (index === truth[row] ? 1 : 0));
  const wrong = [...best.keys()]
    .filter((row) => isRight[row] === 0)
    .map((row): SampleNote => {
      const given = truth[row] ?? 0;
      return {
        name: names[row] ?? String(row),
        given: labels[given] ?? String(given),
        predicted: labels[best[row] ?? 0] ?? String(best[row]),
        confidence: confidence[row] ?? 0,
        givenScore: scores[row * width + given] ?? 0,
      };
    })
    .sort((a, b) => a.givenScore - b.givenScore || b.confidence - a.confidence);
  return {
    curves: classCurves(samples, (row, label) => (truth[row] === label ? 1 : 0)),
    calibration: calibrationOf(confidence, isRight),
    mistakes: wrong.slice(0, mostShown),
    suspects: wrong
      .filter(({ confidence: sure }) => sure >= sureFrom)
      .sort((a, b) => b.confidence - a.confidence)
      .slice(0, mostShown),
  };
}

/** Returns what a page shows of a multi-label output. A mistake is a label that a sample has and is not given, or the reverse. */
export function labelsReport(
  samples: ScoredSamples,
): Pick<OutputReport, "curves" | "calibration" | "mistakes" | "suspects"> {
  const { labels, scores, truth, names } = samples;
  const width = labels.length;
  const sure = Float64Array.from(scores, (score) => Math.max(score, 1 - score));
  const right = Uint8Array.from(scores, (score, index) => (score > 0.5 === (truth[index] === 1) ? 1 : 0));
  const wrong = [...right.keys()]
    .filter((index) => right[index] === 0)
    .map((index): SampleNote => {
      const label = labels[index % width] ?? String(index % width);
      const isGiven = truth[index] === 1;
      const confidence = sure[index] ?? 0;
      return {
        name: names[Math.floor(index / width)] ?? String(Math.floor(index / width)),
        given: isGiven ? label : `not ${label}`,
        predicted: isGiven ? `not ${label}` : label,
        confidence,
        givenScore: 1 - confidence,
      };
    })
    .sort((a, b) => b.confidence - a.confidence);
  return {
    curves: classCurves(samples, (row, label) => (truth[row * width + label] === 1 ? 1 : 0)),
    calibration: calibrationOf(sure, right),
    mistakes: wrong.slice(0, mostShown),
    suspects: wrong.filter(({ confidence }) => confidence >= sureFrom).slice(0, mostShown),
  };
}

function classCurves(
  { labels, scores, names }: ScoredSamples,
  isPositive: (row: number, label: number) => number,
): readonly ScoreCurves[] {
  const width = labels.length;
  const curves = labels.map((label, index) =>
    scoreCurves(
      label,
      Float64Array.from(names, (_, row) => scores[row * width + index] ?? 0),
      Uint8Array.from(names, (_, row) => isPositive(row, index)),
    ),
  );
  // The second of two classes says the same as the first.
  const told = labels.length === 2 ? curves.slice(1) : curves;
  return told.toSorted((a, b) => b.support - a.support).slice(0, mostCurves);
}

function indexOfLargest(values: Float32Array, from: number, count: number): number {
  let best = 0;
  for (let index = 1; index < count; index++) {
    if ((values[from + index] ?? 0) > (values[from + best] ?? 0)) best = index;
  }
  return best;
}
