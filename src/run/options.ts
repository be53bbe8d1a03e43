import type { BatchNormMode, Checkpoint, CheckpointFormat, PreprocessMode } from "../checkpoint.ts";
import type { Dataset, SampleUnit } from "../data/dataset.ts";
import type { BadFile } from "../data/sample-reader.ts";
import type { AugmentArgument } from "../features/views/recipe.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import type { Evaluation } from "../inference/evaluate.ts";
import type { LossArgument } from "../task/losses/loss-argument.ts";
import type { AskedTask, TaskName } from "../task/task.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Epoch, History } from "../training/history.ts";
import type { OptimizerArgument } from "../training/optimizer-config.ts";
import type { ScheduleArgument } from "../training/schedules.ts";
import type { Proof } from "./proof.ts";

/** The options of a run. An absent option takes its default, which args.json records. */
export interface FinetuneOptions {
  /** A model file, a run folder, or a checkpoint. */
  readonly model: string | Checkpoint;
  /**
   * A folder of class folders with images, or with texts for a model that takes texts; a folder of images, with `masks`; a table
   * (`.csv`, `.tsv`, `.jsonl`); or a dataset.
   */
  readonly data: string | Dataset;
  /** Folder of masks, one per image of `data`. */
  readonly masks?: string | undefined;
  /** Input columns of a table: the one that names files or holds texts, or columns of numbers. */
  readonly x?: string | readonly string[] | undefined;
  /** Target columns of a table. */
  readonly targets?: string | readonly string[] | undefined;
  /**
   * What the model is trained for: one class per sample, any of several labels, or values. Defaults to what the file, the head and the
   * data say; a column of numbers in a table is values unless this says `single-label`.
   */
  readonly task?: TaskName | undefined;
  /** Keras metrics, by name or config. Defaults to those of the task. */
  readonly metrics?: AskedTask["metrics"];
  /** Column of a table with sample weights. */
  readonly sampleWeight?: string | undefined;
  /** Column of a table that names each sample's split; `split` if there is one. */
  readonly splitColumn?: string | undefined;
  /** Column of a table whose equal values keep samples on one side of the split. */
  readonly group?: string | undefined;
  /** Share of the samples to hold out for validation where the data has no split of its own; 0.2, 0 for none. */
  readonly valFraction?: number | undefined;
  readonly freeze?: FreezePolicy | readonly FreezePolicy[] | undefined;
  readonly bnMode?: BatchNormMode | undefined;
  /** 10 */
  readonly epochs?: number | undefined;
  /** 32 */
  readonly batchSize?: number | undefined;
  /** Adam */
  readonly optimizer?: OptimizerArgument | undefined;
  /** The optimizer's own, else 1e-3 if only new layers train, else 1e-4. */
  readonly learningRate?: number | undefined;
  /**
   * How the rate goes over the steps of a phase: `constant`, `cosine`, `linear`, `exponential`, `one-cycle`, `plateau` or the config of
   * one of Keras's schedules, which takes the run's rate and steps where it names none; constant.
   */
  readonly schedule?: ScheduleArgument | undefined;
  /** Steps in which the rate rises from zero; below 1 a share of the phase's steps; 0. */
  readonly warmup?: number | undefined;
  /** The optimizer's momentum, of SGD, RMSprop and Muon. */
  readonly momentum?: number | undefined;
  /** Keras's `weight_decay`. */
  readonly weightDecay?: number | undefined;
  /** Multiplies the rate of each stage by this for every stage after it, the head's by 1. */
  readonly layerDecay?: number | undefined;
  /** Longest gradient of one weight: Keras's `clipnorm`. */
  readonly clipNorm?: number | undefined;
  /** Largest element of a gradient: Keras's `clipvalue`. */
  readonly clipValue?: number | undefined;
  /** Longest gradient of all weights together: Keras's `global_clipnorm`. */
  readonly globalClipNorm?: number | undefined;
  /** Steps whose gradients make one update; 1. */
  readonly accumulate?: number | undefined;
  /** Decay of the moving average of the weights, by which the model is judged and kept; none. */
  readonly ema?: number | undefined;
  /** By the head: categorical or binary cross-entropy. */
  readonly loss?: LossArgument | undefined;
  /** By class name or index; `balanced`: samples over classes times samples of the class. */
  readonly classWeight?: "balanced" | Readonly<Record<string, number>> | undefined;
  /**
   * Transformations of training images, as a list of names with their values or of Keras layers as `{ class_name, config }`:
   * `flip,rotate=10`; or `light`, `medium` or `strong`.
   */
  readonly augment?: AugmentArgument | undefined;
  /**
   * Views of each training sample that epochs take in turn; 0 for fresh ones in each epoch, which are not cached. Defaults to 4 with
   * `augment`. Random layers that the model begins with draw them too.
   */
  readonly views?: number | undefined;
  /** 0 */
  readonly seed?: number | undefined;
  /** Epochs without a better monitored figure before the phase ends. */
  readonly patience?: number | undefined;
  /** The figure that tells the best epoch, better in the metric's own direction; `val_loss` where there is validation data. */
  readonly monitor?: string | undefined;
  /** What a monitored figure must improve by for patience to count it; 0. */
  readonly minDelta?: number | undefined;
  /** Seconds, or a time such as `20m`, that the whole run may take; the epoch that would pass it is not begun. */
  readonly maxTime?: number | string | undefined;
  /** Pixels: one number for a square, or `[height, width]`. */
  readonly imageSize?: number | readonly [number, number] | undefined;
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** Whether EXIF orientation is applied; true. */
  readonly exif?: boolean | undefined;
  /** Whether a file that cannot be used ends the run; false. */
  readonly strictData?: boolean | undefined;
  /** Folder of the feature cache; false for none. */
  readonly cache?: string | false | undefined;
  /** Bytes; 10 GB. */
  readonly cacheMax?: number | undefined;
  /** float32 */
  readonly cacheDtype?: "float32" | "float16" | undefined;
  readonly arch?: string | undefined;
  /** Checked against the data's. */
  readonly classes?: number | undefined;
  /** Keeps the model's head whatever its labels say. */
  readonly keepHead?: boolean | undefined;
  /** keras; tfjs for a graph model */
  readonly outputFormat?: CheckpointFormat | undefined;
  /** The Keras 3 that opens the `.keras`: 3.4 and later ones; "3.0" is trained and written as 3.0 to 3.3 compute it. */
  readonly outputKeras?: "3.0" | undefined;
  /** Run folder; nothing is written without it. */
  readonly out?: string | undefined;
  readonly overwrite?: boolean | undefined;
  /** Whether the run folder gets report.html, and report.json that it is made from; true. */
  readonly report?: boolean | undefined;
  /** Watch or steer training, called in their order after the run's own. */
  readonly callbacks?: readonly Callback[] | undefined;
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type ProgressEvent =
  | { readonly kind: "warning"; readonly message: string }
  /** A fact worth a line: engine, classes found, preprocessing and where it comes from. */
  | { readonly kind: "note"; readonly message: string }
  | { readonly kind: "plan"; readonly plan: FinetunePlan; readonly lines: readonly string[] }
  | {
      readonly kind: "extract";
      readonly unit: SampleUnit;
      readonly done: number;
      readonly total: number;
      readonly cached: number;
    }
  | {
      readonly kind: "step";
      readonly epoch: number;
      readonly epochs: number;
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
    }
  | { readonly kind: "epoch"; readonly epoch: Epoch; readonly epochs: number; readonly best: boolean };

export interface FeatureFigures {
  readonly samples: number;
  readonly extracted: number;
  readonly cached: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface FinetuneResult {
  readonly checkpoint: Checkpoint;
  readonly history: History;
  readonly bestEpoch: number;
  readonly plan: FinetunePlan;
  readonly proof: Proof;
  readonly engine: string;
  readonly features: FeatureFigures;
  /** The tuned model's figures on the samples of test; absent where the data has none. */
  readonly test?: Evaluation;
  /** Files that could not be used. */
  readonly bad: readonly BadFile[];
  /** What the run cost, beside `plan.cost`. */
  readonly measured: {
    readonly extractionSeconds: number;
    readonly epochSeconds: number;
    readonly cacheBytes: number;
    /** Bytes of the process at its peak. */
    readonly peakBytes: number;
  };
  /** Paths of what was written, empty without `out`. */
  readonly files: readonly string[];
}
