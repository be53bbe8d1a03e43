import type { SampleRows } from "../features/sample-rows.ts";
import type { Tensor } from "../tensor.ts";

/** The features of samples, rows for each frontier tensor, with their targets. */
export interface Examples {
  readonly features: readonly SampleRows[];
  /** `[N]` or `[N, K]`. */
  readonly targets: Tensor;
  /** `[N]` */
  readonly sampleWeights?: Tensor;
}

export function sampleCount({ targets }: Examples): number {
  return targets.shape[0] ?? 0;
}
