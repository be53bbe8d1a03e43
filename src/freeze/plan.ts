import type { Shape } from "../tensor.ts";
import type { Side } from "./partition.ts";

/** A layer in a plan. */
export interface PlannedLayer {
  readonly path: string;
  readonly className: string;
  /** Name of its stage (`conv4`, `block6`, `head`), null if it belongs to none. */
  readonly stage: string | null;
  readonly parameters: number;
  /** True if any of its weights receives a gradient. */
  readonly trainable: boolean;
  /**
   * Statistics that the layer normalizes with in a training step: stored ones (`inference`) or the batch's; null if it
   * has none.
   */
  readonly bn: "inference" | "batch" | null;
  /** Side of the layer: `dynamic` if any of its calls runs in every step. */
  readonly side: Side;
}

/** Predicted duration of a run with all its phases, and what it leaves on the disk. */
export interface PlannedRun {
  /** Seconds from the first line to the last file, all parts together. */
  readonly seconds: number;
  /** Seconds that reading the model and planning took. */
  readonly preparationSeconds: number;
  /** Seconds of extraction in all phases. */
  readonly extractionSeconds: number;
  /** Seconds of the epochs of all phases. */
  readonly trainingSeconds: number;
  /** Number of epochs of all phases that are still to be trained: all of them but in a resumed run. */
  readonly epochs: number;
  /** Mean seconds of an epoch. */
  readonly epochSeconds: number;
  /** Seconds to save states, to judge the validation samples and to write the model. */
  readonly savingSeconds: number;
  /** Bytes of the features of all phases, as float32. */
  readonly featureBytes: number;
  /** Bytes of the run folder: model, and state where one is kept. */
  readonly outBytes: number;
}

/** Predicted cost of a run. */
export interface PlannedCost {
  /** Seconds of each epoch that fresh views take to make and to compute; absent if views are cached or there are none. */
  readonly freshViewSeconds?: number;
  /** Multiply-adds for one sample. */
  readonly multiplyAdds: { readonly static: number; readonly dynamic: number };
  /**
   * Duration of an epoch, extraction not counted, as a fraction of an epoch that trains the whole model without a
   * cache.
   */
  readonly epochRatio: number;
  /** Seconds to compute the features that the cache does not hold; of pixels that train as they are, to decode them once. */
  readonly extractionSeconds: number;
  readonly epochSeconds: number;
  /** Seconds to evaluate the validation samples once, from the features of this cut. */
  readonly judgingSeconds?: number;
  /** Seconds to read one sample and run it through the whole model alone, as a heatmap of it does. */
  readonly sampleSeconds?: number;
  /** Size of all cached features. */
  readonly cacheBytes: number;
  /** Number of samples and views whose features are kept. */
  readonly keptSamples?: number;
  /** Number of them that the cache holds before the run. */
  readonly cachedSamples?: number;
  /** Bytes of features that lie in a file beside the cache until the run ends, because they are too many for memory. */
  readonly rowBytes?: number;
  /** Duration of the whole run and what it writes; absent where the plan is not of a whole run. */
  readonly run?: PlannedRun;
  /** False if reading the cache takes longer than computing the features again. */
  readonly cachePays?: boolean;
  /** Frontier and cache size of a cut right before the head, null if the model has no head. */
  readonly headCut?: { readonly tensor: string; readonly cacheBytes: number } | null;
  /** Peak memory of a training step in bytes, including weights and optimizer state. */
  readonly stepBytes: number;
  /** Peak memory of a training step in bytes if the whole model trained. */
  readonly wholeStepBytes?: number;
  /** Peak memory of the process in bytes, a GPU's included, if its memory before the run is known. */
  readonly processBytes?: number;
  /** Bytes of it that lie in a GPU's memory, on the webgpu engine. */
  readonly gpuBytes?: number;
}

/** A tensor of the frontier. */
export interface PlannedTensor {
  /** Path of the layer whose output it is (`conv3_block4_out`); `lstm:1` for an output other than the first. */
  readonly tensor: string;
  /** Shape with the batch dimension, null, first. Other unknown dimensions are resolved by the image size. */
  readonly shape: Shape;
  /** Size of one sample as float32. */
  readonly bytes: number;
}

/** Augmentation of the training samples. */
export interface PlannedAugmentation {
  /** Number of views of each training sample, 0 for fresh ones in each epoch; null if samples have no views. */
  readonly views: number | null;
  /** Transformations of pixels as the option `augment` takes them; null if there are none. */
  readonly transformations: string | null;
  /** Paths of the model's random layers that draw the views. */
  readonly layers: readonly string[];
  /** Alpha of the Beta distribution by which two samples are averaged; null if none are. */
  readonly mixup: number | null;
  /** Alpha of the Beta distribution of boxes that come from another image; null if there are none. */
  readonly cutmix: number | null;
}

/** A plan of a run: what trains, where the model is cut, and what that costs. */
export interface FinetunePlan {
  readonly layers: readonly PlannedLayer[];
  /** Path of the first layer in `model.layers` order whose weights receive gradients. */
  readonly firstTrainable: string;
  /**
   * Path of the layer right before the first trainable one if that part is frozen, else of the last frozen layer with
   * weights; null if none is frozen.
   */
  readonly lastFrozen: string | null;
  readonly parameters: { readonly total: number; readonly trainable: number };
  readonly frontier: readonly PlannedTensor[];
  readonly warnings: readonly string[];
  readonly cost?: PlannedCost;
  /** Absent if samples are not augmented. */
  readonly augmentation?: PlannedAugmentation;
}
