import type { SampleRows } from "../features/sample-rows.ts";
import type { OutputTargets } from "../task/output-targets.ts";

/** The features of samples, rows for each frontier tensor, with their targets. */
export interface Examples {
  readonly features: readonly SampleRows[];
  /** One for each output, its weights beside it; null for an output without a loss. */
  readonly targets: readonly (OutputTargets | null)[];
}

export function sampleCount({ targets }: Examples): number {
  return targets.find((own) => own !== null)?.targets.shape[0] ?? 0;
}
