import type { BatchNormMode, Checkpoint, CheckpointFormat, PreprocessMode } from "../checkpoint.ts";
import type { Dataset, SampleUnit } from "../data/dataset.ts";
import type { Duplicate } from "../data/duplicates.ts";
import type { BadFile } from "../data/sample-reader.ts";
import type { Precision } from "../engine/precision.ts";
import type { FeatureFigures } from "../features/shard.ts";
import type { AugmentArgument } from "../features/views/recipe.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import type { Evaluation } from "../inference/evaluate.ts";
import type { SplitReport } from "../report/run-report.ts";
import type { AskedTask, Task, TaskName } from "../task/task.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Epoch, History } from "../training/history.ts";
import type { OptimizerArgument } from "../training/optimizer-config.ts";
import type { ScheduleArgument } from "../training/schedules.ts";
import type { PhaseProof, Proof } from "./proof.ts";

/** Options of a run. An absent option takes its default; args.json records every one as it was decided. */
export interface FinetuneOptions {
  /** Model file, run folder, or checkpoint. */
  readonly model: string | Checkpoint;
  /**
   * Folder of class folders with images, or with texts for a model that takes texts; folder of images, with `masks`; table
   * (`.csv`, `.tsv`, `.jsonl`); or dataset. A dataset of batches is read once: its inputs are kept in files for the run, so that they
   * may be larger than memory, and its targets in memory.
   */
  readonly data: string | Dataset;
  /** Folder of masks, one per image of `data`. */
  readonly masks?: string | undefined;
  /** Input columns of a table: the one that names files or holds texts, or columns of numbers. */
  readonly x?: string | readonly string[] | undefined;
  /** Target columns of a table. */
  readonly targets?: string | readonly string[] | undefined;
  /**
   * Task of the model: one class per sample, any of several labels, or values. Defaults to what the file, the head and the
   * data say; a column of numbers in a table is values unless this says `single-label`.
   */
  readonly task?: TaskName | undefined;
  /** Keras metrics, by name or config. Defaults to those of the task. */
  readonly metrics?: AskedTask["metrics"];
  /** Metrics that sample and class weights count in. */
  readonly weightedMetrics?: AskedTask["weightedMetrics"];
  /** Column of a table with sample weights. */
  readonly sampleWeight?: string | undefined;
  /** Column of a table that names each sample's split; `split` if there is one. */
  readonly splitColumn?: string | undefined;
  /** Column of a table whose equal values keep samples on one side of the split. */
  readonly group?: string | undefined;
  /** Share of the samples that are held out for validation if the data has no split of its own; 0 for none. Defaults to 0.2. */
  readonly valFraction?: number | undefined;
  /** Policy, or list of policies in any order, about which layers are frozen. Defaults to all but a new head, else to the flags in the file. */
  readonly freeze?: FreezePolicy | readonly FreezePolicy[] | undefined;
  /** Statistics of BatchNormalization layers, and whether they train. Defaults to `inference`: stored statistics everywhere. */
  readonly bnMode?: BatchNormMode | undefined;
  /** Passes over the training samples, of all phases together. Defaults to the epochs of the phases, else to 10. */
  readonly epochs?: number | undefined;
  /**
   * Phases that follow one another, each with its cut, its epochs and a fresh optimizer. What no phase trains runs once per sample.
   * They take the place of `freeze`.
   */
  readonly phases?: readonly PhaseOptions[] | undefined;
  /**
   * `transfer`: the head alone in a third of the epochs, then the cut of `freeze` at a tenth of the rate, with a warm-up. `gradual`: the
   * head, then one stage more in each phase down to the cut of `freeze`, the rate of a stage 2.6 times lower for every stage after it.
   */
  readonly recipe?: RecipeName | undefined;
  /** Samples in a step. Defaults to 32; fewer with `memory`, where they do not fit. */
  readonly batchSize?: number | undefined;
  /**
   * Keras optimizer by name, or as `{ class_name, config }`; `file` for that of the model's file, which goes on from its slots. Defaults
   * to Adam.
   */
  readonly optimizer?: OptimizerArgument | undefined;
  /** Learning rate. Defaults to the rate in the optimizer's config, else to 1e-3 if only new layers train, else to 1e-4. */
  readonly learningRate?: number | undefined;
  /**
   * Course of the rate over the steps of a phase: `constant`, `cosine`, `linear`, `exponential`, `one-cycle`, `plateau`, or the config
   * of one of Keras's schedules, which takes the run's rate and steps if it names none. Defaults to `constant`.
   */
  readonly schedule?: ScheduleArgument | undefined;
  /** Steps in which the rate rises from zero; below 1, a share of the phase's steps. Defaults to 0. */
  readonly warmup?: number | undefined;
  /** Momentum of SGD, RMSprop or Muon. */
  readonly momentum?: number | undefined;
  /** Weight decay of the optimizer: Keras's `weight_decay`. */
  readonly weightDecay?: number | undefined;
  /** Multiplies the rate of each stage by this for every stage after it, the head's by 1. */
  readonly layerDecay?: number | undefined;
  /** Longest gradient of one weight: Keras's `clipnorm`. */
  readonly clipNorm?: number | undefined;
  /** Largest element of a gradient: Keras's `clipvalue`. */
  readonly clipValue?: number | undefined;
  /** Longest gradient of all weights together: Keras's `global_clipnorm`. */
  readonly globalClipNorm?: number | undefined;
  /** Steps whose gradients make one update. Defaults to 1. */
  readonly accumulate?: number | undefined;
  /** Decay of a moving average of the weights, by which the model is judged and saved. Off by default. */
  readonly ema?: number | undefined;
  /** Keras loss by name, as `{ class_name, config }` or as a function; for several outputs a record by output name. Defaults to the compiled loss, else to one that fits the head. */
  readonly loss?: AskedTask["loss"];
  /** Weights of the outputs' losses in the total, in order or by output name. Defaults to the compiled ones, else to 1. */
  readonly lossWeights?: AskedTask["lossWeights"];
  /** Share of a target that is spread over all classes. Defaults to the loss's own, else to 0. */
  readonly labelSmoothing?: number | undefined;
  /** Per-class loss weights by class name or index; `balanced` weighs a class by samples / (classes * samples of the class). */
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
  /** Seed of the new head, the order of samples, and random layers. Defaults to 0. */
  readonly seed?: number | undefined;
  /** Epochs without a better monitored figure before the phase ends. Off by default. */
  readonly patience?: number | undefined;
  /** Figure of the history that tells the best epoch, in the metric's own direction. Defaults to `val_loss` if there is validation data. */
  readonly monitor?: string | undefined;
  /** Least improvement of the monitored figure that patience counts. Defaults to 0. */
  readonly minDelta?: number | undefined;
  /** Time that the whole run may take, in seconds or as text such as `20m`. The epoch that would pass it is not begun. */
  readonly maxTime?: number | string | undefined;
  /**
   * Bytes of memory that the process may take. A step that would take more is made of fewer samples, whose gradients are accumulated
   * to updates of as many samples as `batchSize` and `accumulate` say; what does not fit with one sample a step is refused. Unlimited
   * by default.
   */
  readonly memory?: number | undefined;
  /**
   * Precision of convolutions and matrix products. `bf16` multiplies in bfloat16, faster and less exact, on the native engine and a
   * processor that has it; weights and activations stay float32. Defaults to that of `useEngine`, which is `float32`.
   */
  readonly precision?: Precision | undefined;
  /** Image size in pixels, if the model takes any: one number for a square, or `[height, width]`. */
  readonly imageSize?: number | readonly [number, number] | undefined;
  /** Preprocessing of pixels. Defaults to `auto`: the mode noted in the file, else none if a layer does it, else the architecture's. */
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** Turns images as their EXIF orientation says. Defaults to true. */
  readonly exif?: boolean | undefined;
  /** Ends the run at a file that cannot be used, which is otherwise skipped and listed. Defaults to false. */
  readonly strictData?: boolean | undefined;
  /** Folder of the feature cache, or `s3://bucket/prefix`, or false for none. Defaults to a folder in `KERAS_FINETUNE_HOME`, else in the user's cache folder. */
  readonly cache?: string | false | undefined;
  /** Bytes of the whole feature cache; the least recently used features go first. Defaults to 10 GB; a cache in a bucket has no limit. */
  readonly cacheMax?: number | undefined;
  /** Number format of cached features. `float16` halves the size and rounds. Defaults to `float32`. */
  readonly cacheDtype?: "float32" | "float16" | undefined;
  /** Network of a file that holds weights only: a name such as `resnet50`, or a file that describes it. */
  readonly arch?: string | undefined;
  /** Number of classes that the data must have. */
  readonly classes?: number | undefined;
  /** Keeps the model's head, whatever its labels. Defaults to false: the head is kept only if it fits the data. */
  readonly keepHead?: boolean | undefined;
  /** Format of the tuned model. Defaults to `keras`, for a tfjs graph model to `tfjs`. */
  readonly outputFormat?: CheckpointFormat | undefined;
  /** Oldest Keras 3 that opens the `.keras`: `3.0` trains and writes the model as Keras 3.0 to 3.3 compute it. Defaults to 3.4. */
  readonly outputKeras?: "3.0" | undefined;
  /** Writes a model of KerasHub as a plain functional model, which Keras opens without KerasHub. Defaults to false. */
  readonly flat?: boolean | undefined;
  /** Order of the axes of image inputs of an `.onnx`: `nhwc` as in Keras, or `nchw`. Defaults to `nhwc`. */
  readonly layout?: "nhwc" | "nchw" | undefined;
  /** Stores the weights of an `.onnx` as float16, which halves the file. Defaults to false. */
  readonly float16?: boolean | undefined;
  /** Makes an `.onnx` take pixels of 0 to 255 and do the preprocessing itself. Defaults to false. */
  readonly embedPreprocess?: boolean | undefined;
  /** Run folder. Without it nothing is written. */
  readonly out?: string | undefined;
  /** Replaces an earlier run in `out`, once the new one is complete. Defaults to false. */
  readonly overwrite?: boolean | undefined;
  /** Epochs between two states in the run folder, from which the run can be resumed; 0 saves none. Defaults to 1. */
  readonly saveEvery?: number | undefined;
  /** Writes report.html, and report.json that it is made from, into the run folder. Defaults to true. */
  readonly report?: boolean | undefined;
  /** Writes events for TensorBoard into the run folder: figures, learning rate, histograms of trained weights, the confusion matrix. Defaults to false. */
  readonly tensorboard?: boolean | undefined;
  /** Callbacks that watch or steer training, called in their order after the run's own. */
  readonly callbacks?: readonly Callback[] | undefined;
  /** Called at every step, and for each message of the run. */
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  /** Aborts the run after the step at hand; the best completed epoch is saved. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Options that go on with a run where its last state was saved: the folder stands alone, but for values that a file cannot hold
 * (checkpoints, datasets, functions, callbacks), which are passed again.
 */
export interface ResumeOptions
  extends Pick<FinetuneOptions, "epochs" | "callbacks" | "onProgress" | "signal">,
    Partial<Pick<FinetuneOptions, "model" | "data" | "loss" | "metrics" | "weightedMetrics">> {
  /** Run folder. */
  readonly resume: string;
}

/** Names of recipes: phases that a run can ask for by one word. */
export const recipeNames = ["transfer", "gradual"] as const;
export type RecipeName = (typeof recipeNames)[number];

/** Options of one phase of a run. */
export interface PhaseOptions {
  /** Policy, or list of policies, about which layers are frozen in this phase. */
  readonly freeze: FreezePolicy | readonly FreezePolicy[];
  readonly epochs: number;
  /** Learning rate. Defaults to the run's. */
  readonly learningRate?: number | undefined;
  /** Defaults to the run's. */
  readonly schedule?: ScheduleArgument | undefined;
  /** Defaults to the run's. */
  readonly warmup?: number | undefined;
}

/** Progress of a run. */
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

/** Plan of a phase, and the proof that its frozen weights did not move. */
export interface PhaseResult extends PhaseProof {
  readonly plan: FinetunePlan;
}

/** Result of a run. */
export interface FinetuneResult {
  /** The tuned model, as it was after the best epoch. */
  readonly checkpoint: Checkpoint;
  readonly history: History;
  /** Counted from 1. */
  readonly bestEpoch: number;
  readonly plan: FinetunePlan;
  /** The task of each output: its kind, labels, loss and metrics. */
  readonly task: Task;
  /** Proof for the weights that no phase trains. */
  readonly proof: Proof;
  /** One for each phase that was trained, with its epochs, counted from 1 over all phases. */
  readonly phases: readonly PhaseResult[];
  readonly engine: string;
  /** The number of processors that the run computed on. */
  readonly threads: number;
  readonly precision: Precision;
  readonly features: FeatureFigures;
  /** Figures, confusion and mistakes of the tuned model on the validation samples, where a report was asked for. */
  readonly validation?: SplitReport;
  /** The tuned model's figures on the samples of test; absent where the data has none. */
  readonly test?: Evaluation;
  /** Files that could not be used. */
  readonly bad: readonly BadFile[];
  /** Samples with the same bytes as another one, in another split or in another class. */
  readonly duplicates: readonly Duplicate[];
  /** Caveats that the run warned of before training. */
  readonly warnings: readonly string[];
  /** Measured cost of the run, beside `plan.cost`. */
  readonly measured: {
    readonly extractionSeconds: number;
    readonly epochSeconds: number;
    /** Bytes of the features of all phases, as float32; 0 where nothing is computed ahead. */
    readonly cacheBytes: number;
    /** Seconds from the call until the files are written. */
    readonly runSeconds: number;
    /** Bytes of the process at its peak. */
    readonly peakBytes: number;
    /** Bytes of the GPU's buffers at their peak, on the webgpu engine. */
    readonly gpuBytes?: number;
  };
  /** Paths of the files that were written, the model's first; empty without `out`. */
  readonly files: readonly string[];
}
