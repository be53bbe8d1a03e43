import type { Tensor } from "../tensor.ts";

/** What one output of a batch should be, off the engine: as `checkedTargets` returns it. */
export interface OutputTargets {
  readonly targets: Tensor;
  /** `[N]`, or one weight per position. */
  readonly weights?: Tensor | undefined;
}
