import type { Shape } from "../tensor.ts";
import type { Side } from "./partition.ts";

export interface PlannedLayer {
  readonly path: string;
  readonly className: string;
  /** `conv4`, `block6`, `head`; null where the layer belongs to none. */
  readonly stage: string | null;
  readonly parameters: number;
  readonly trainable: boolean;
  /** What its statistics do in a training step; null where the layer has none. */
  readonly bn: "inference" | "batch" | null;
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
  /** Bytes that live at the peak of a training step, weights and optimizer state included. */
  readonly stepBytes: number;
}

export interface FinetunePlan {
  readonly layers: readonly PlannedLayer[];
  readonly firstTrainable: string;
  readonly lastFrozen: string | null;
  readonly parameters: { readonly total: number; readonly trainable: number };
  readonly frontier: readonly { readonly tensor: string; readonly shape: Shape; readonly bytes: number }[];
  readonly warnings: readonly string[];
  readonly cost?: PlannedCost;
}
