import type { Epoch } from "../history.ts";
import type { BestWeights } from "./best-weights.ts";
import type { Callback } from "./callback.ts";

/** Progress after one step. */
export interface StepReport {
  readonly epoch: number;
  readonly step: number;
  readonly steps: number;
  /** The mean over the epoch's samples so far. */
  readonly loss: number;
}

/** Reports each step, and each epoch with whether it is the best so far. Stands behind `best` in the list. */
export function progress(
  best: BestWeights,
  onStep: (step: StepReport) => void,
  onEpoch: (epoch: Epoch, isBest: boolean) => void,
): Callback {
  let sum = 0;
  let samples = 0;
  return {
    name: "progress",
    readsLossAlone: true,
    stepEnd: ({ epoch, step, steps }, figures) => {
      if (step === 1) [sum, samples] = [0, 0];
      sum += figures.loss * figures.samples;
      samples += figures.samples;
      onStep({ epoch, step, steps, loss: sum / samples });
    },
    // What a caller's function returns is no verdict.
    epochEnd: (record) => {
      onEpoch(record, best.isLast);
    },
  };
}
