import type { Tensor } from "../tensor.ts";

/** Targets of one output of a batch, off the engine, as `checkedTargets` returns them. */
export interface OutputTargets {
  readonly targets: Tensor;
  /** `[N]`, or one weight per position. */
  readonly weights?: Tensor | undefined;
}
