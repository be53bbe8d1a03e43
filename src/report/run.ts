import type { BatchNormMode, Checkpoint, PreprocessMode } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import type { Epoch, History } from "../training/history.ts";
import type { LossArgument } from "../training/losses.ts";
import type { OptimizerArgument } from "../training/optimizer-config.ts";

/** What a run is asked. Every absent option takes the default that DESIGN states and `args.json` records. */
export interface FinetuneOptions {
  /** A model file, a run folder, or a checkpoint. */
  readonly model: string | Checkpoint;
  /** A folder of class folders, or a dataset. */
  readonly data: string | Dataset;
  readonly freeze?: FreezePolicy | readonly FreezePolicy[];
  readonly bnMode?: BatchNormMode;
  /** 10 */
  readonly epochs?: number;
  /** 32 */
  readonly batchSize?: number;
  /** Adam */
  readonly optimizer?: OptimizerArgument;
  /** 1e-3 if only new layers train, else 1e-4. */
  readonly learningRate?: number;
  /** By the head: categorical or binary cross-entropy. */
  readonly loss?: LossArgument;
  /** By class name or index; `balanced`: samples over classes times samples of the class. */
  readonly classWeight?: "balanced" | Readonly<Record<string, number>>;
  /** 0 */
  readonly seed?: number;
  /** Epochs without a lower `val_loss` before the run ends. */
  readonly patience?: number;
  /** Pixels: one number for a square, or `[height, width]`. */
  readonly imageSize?: number | readonly [number, number];
  readonly preprocess?: PreprocessMode | "auto";
  /** Whether EXIF orientation is applied; true. */
  readonly exif?: boolean;
  /** Whether a picture that cannot be decoded ends the run; false. */
  readonly strictData?: boolean;
  /** Folder of the feature cache; false for none. */
  readonly cache?: string | false;
  /** Bytes; 10 GB. */
  readonly cacheMax?: number;
  /** float32 */
  readonly cacheDtype?: "float32" | "float16";
  readonly arch?: string;
  /** Checked against the data's. */
  readonly classes?: number;
  /** Keeps the model's head whatever its labels say. */
  readonly keepHead?: boolean;
  /** keras */
  readonly outputFormat?: "keras" | "h5" | "weights.h5" | "tfjs";
  /** Run folder; nothing is written without it. */
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly onProgress?: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
}

export type ProgressEvent =
  | { readonly kind: "warning"; readonly message: string }
  /** A fact worth a line: engine, classes found, preprocessing and where it comes from. */
  | { readonly kind: "note"; readonly message: string }
  | { readonly kind: "plan"; readonly plan: FinetunePlan; readonly lines: readonly string[] }
  | { readonly kind: "extract"; readonly done: number; readonly total: number; readonly cached: number }
  | {
      readonly kind: "step";
      readonly epoch: number;
      readonly epochs: number;
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
    }
  | { readonly kind: "epoch"; readonly epoch: Epoch; readonly epochs: number; readonly best: boolean };

/** sha256 of every frozen weight before and after, hex. */
export interface Proof {
  readonly unchanged: boolean;
  readonly weights: readonly { readonly name: string; readonly before: string; readonly after: string }[];
}

export interface BadImage {
  readonly path: string;
  readonly reason: string;
}

export interface FeatureFigures {
  readonly images: number;
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
  readonly badImages: readonly BadImage[];
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
