/** @file Report of a run: plain values that a page is made from, and that a file keeps for later pages. */

/** One epoch as one flat record: `epoch`, `phase`, `lr`, `seconds`, `loss`, and every metric, with `val_` for validation. */
export type EpochRecord = Readonly<Record<string, number | undefined>> & { readonly epoch: number };

const notFigures: ReadonlySet<string> = new Set(["epoch", "phase", "seconds", "lr"]);

/** Returns the names of loss and metrics in the records, `val_` ones too, each once. */
export function figureNames(records: readonly EpochRecord[]): readonly string[] {
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  return [...names].filter((name) => !notFigures.has(name));
}

/** A point of a curve. */
export type Point = readonly [x: number, y: number];

/** Curves of one class or label against all others. */
export interface ScoreCurves {
  readonly label: string;
  /** Number of samples of the class. */
  readonly support: number;
  /** False positive rate against true positive rate, from (0, 0) to (1, 1). */
  readonly roc: readonly Point[];
  /** Area under the ROC curve, 0 to 1; null where a side has no samples. */
  readonly auc: number | null;
  /** Recall against precision, recall rising. */
  readonly precisionRecall: readonly Point[];
  /** Average precision, 0 to 1; null where the class has no samples. */
  readonly averagePrecision: number | null;
}

/** One bar of a reliability diagram: the samples whose confidence lies in an interval. */
export interface CalibrationBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean confidence of the samples, 0 to 1. */
  readonly confidence: number;
  /** Share of the samples that are right, 0 to 1. */
  readonly accuracy: number;
}

export interface Calibration {
  readonly bins: readonly CalibrationBin[];
  /** Expected calibration error: the mean distance of confidence and accuracy, weighted by the bins' counts. */
  readonly expectedError: number;
}

/** A judged sample worth looking at. */
export interface SampleNote {
  /** Path below the data folder, or the sample's number. */
  readonly name: string;
  readonly given: string;
  readonly predicted: string;
  /** Score of the predicted class, 0 to 1. */
  readonly confidence: number;
  /** Score of the given class, 0 to 1. */
  readonly givenScore: number;
  /** A small image as a data URI; absent for anything but images. */
  readonly thumbnail?: string;
  /** The same image under a heatmap of where the model saw what it predicts (Grad-CAM); the worst mistakes alone have one. */
  readonly heatmap?: string;
}

/** A sample whose predicted values are far from the true ones. */
export interface ValueNote {
  readonly name: string;
  /** Name or number of the value; empty where there is one. */
  readonly value: string;
  readonly given: number;
  readonly predicted: number;
  readonly thumbnail?: string;
}

/** True values against predictions, of one value of the output. */
export interface Scatter {
  /** Name or number of the value; empty where there is one. */
  readonly label: string;
  /** A sample of them where there are many. */
  readonly points: readonly Point[];
}

/** A sample with a class in each pixel, as images (data URIs). */
export interface MaskNote {
  readonly name: string;
  /** Share of the pixels that are right, 0 to 1. */
  readonly right: number;
  /** Width of the mask over its height. */
  readonly aspect: number;
  readonly thumbnail?: string;
  readonly truth: string;
  readonly predicted: string;
}

/** A sample with the bytes of another one. */
export interface DuplicateNote {
  readonly name: string;
  /** Split and class in words. */
  readonly place: string;
  readonly twin: string;
  readonly twinPlace: string;
  readonly thumbnail?: string;
}

export interface ClassRow {
  readonly label: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

/** Given and predicted label of each sample as indices, by which runs tell which samples changed sides. */
export interface Verdicts {
  readonly names: readonly string[];
  readonly given: readonly number[];
  readonly predicted: readonly number[];
}

/** Results of one output on one split. */
export interface OutputReport {
  readonly name: string;
  readonly kind: "classes" | "labels" | "values";
  readonly perPosition: boolean;
  readonly labels: readonly string[];
  readonly samples: number;
  /** `confusion[truth][predicted]` in output order, for classes. */
  readonly confusion?: readonly (readonly number[])[];
  readonly perClass?: readonly ClassRow[];
  readonly curves?: readonly ScoreCurves[];
  readonly calibration?: Calibration;
  /** The samples with the lowest score for their given class, worst first. */
  readonly mistakes?: readonly SampleNote[];
  /** Samples that the model is sure are of another class: their labels may be wrong. */
  readonly suspects?: readonly SampleNote[];
  /** For classes, of every sample. */
  readonly verdicts?: Verdicts;
  /** For values, one for each of the first few. */
  readonly scatters?: readonly Scatter[];
  /** For values: the samples with the largest errors, worst first. */
  readonly misses?: readonly ValueNote[];
  /** For masks: the samples with the fewest right pixels. */
  readonly masks?: readonly MaskNote[];
  /** Color of each class in masks, `#rrggbb`, in output order. */
  readonly maskColors?: readonly string[];
}

export interface SplitReport {
  readonly split: "validation" | "test" | "train";
  readonly samples: number;
  /** Loss and metrics, by name. */
  readonly figures: Readonly<Record<string, number>>;
  readonly outputs: readonly OutputReport[];
}

/** One layer in the drawn strip of the network. */
export interface StripLayer {
  readonly path: string;
  readonly className: string;
  readonly stage: string | null;
  readonly parameters: number;
  readonly trainable: boolean;
  readonly side: "static" | "dynamic";
}

export interface PhaseReport {
  readonly name: string;
  /** First and last epoch. */
  readonly from: number;
  readonly to: number;
  readonly frozenWeights: number;
  readonly unchanged: boolean;
}

/** A planned figure beside the measured one. */
export interface CostRow {
  readonly what: string;
  readonly predicted: string;
  readonly measured: string;
}

export interface RunReport {
  /** Version of this structure. */
  readonly version: 1;
  readonly title: string;
  /** The command that repeats the run. */
  readonly command: string;
  /** ISO 8601. */
  readonly finished: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** The settings as args.json has them. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly history: readonly EpochRecord[];
  readonly bestEpoch: number;
  readonly phases: readonly PhaseReport[];
  readonly splits: readonly SplitReport[];
  readonly layers: readonly StripLayer[];
  readonly cost: readonly CostRow[];
  readonly warnings: readonly string[];
  /** Samples that lie in two splits or two classes. At most {@link mostDuplicates}. */
  readonly duplicates?: readonly DuplicateNote[];
  /** Number of all of them. */
  readonly duplicateCount?: number;
  /** Samples that could not be used, with the reason. */
  readonly bad: readonly { readonly path: string; readonly reason: string }[];
}
