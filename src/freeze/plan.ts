import type { Shape } from "../tensor.ts";
import type { Side } from "./partition.ts";

export interface PlannedLayer {
  readonly path: string;
  readonly className: string;
  /** `conv4`, `block6`, `head`; null where the layer belongs to none. */
  readonly stage: string | null;
  readonly parameters: number;
  /** Whether any of its weights receives a gradient. */
  readonly trainable: boolean;
  /** What its statistics do in a training step; null where the layer has none. */
  readonly bn: "inference" | "batch" | null;
  /** `dynamic` where any of its calls is. */
  readonly side: Side;
}

export interface PlannedCost {
  /** Multiply-adds of one image. */
  readonly multiplyAdds: { readonly static: number; readonly dynamic: number };
  /** Seconds of an epoch after the first over the seconds of one that trains the whole model without a cache. */
  readonly epochRatio: number;
  readonly extractionSeconds: number;
  readonly epochSeconds: number;
  readonly cacheBytes: number;
  /** Whether reading the cache is faster than computing it again; true where there is none. */
  readonly cachePays?: boolean;
  /** What a cut before the head would cache instead; null where the model has none. */
  readonly headCut?: { readonly tensor: string; readonly cacheBytes: number } | null;
  /** Bytes that live at the peak of a training step, weights and optimizer state included. */
  readonly stepBytes: number;
  /** The same if the whole model trained. */
  readonly wholeStepBytes?: number;
  /** The largest resident size of the process, where what it held before the run is known. */
  readonly processBytes?: number;
}

export interface PlannedTensor {
  /** The layer that gives it, `conv3_block4_out`; `lstm:1` for another output than the first. */
  readonly tensor: string;
  /** The batch, null, first. Open dimensions are closed: a picture's by its size. */
  readonly shape: Shape;
  /** Of one sample as float32. */
  readonly bytes: number;
}

export interface FinetunePlan {
  readonly layers: readonly PlannedLayer[];
  /** The first layer, in `model.layers` order, whose weights receive gradients. */
  readonly firstTrainable: string;
  /** The last frozen layer before it, weightless ones among them, else the last frozen one; null where none is. */
  readonly lastFrozen: string | null;
  readonly parameters: { readonly total: number; readonly trainable: number };
  readonly frontier: readonly PlannedTensor[];
  readonly warnings: readonly string[];
  readonly cost?: PlannedCost;
}
