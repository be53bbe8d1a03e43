import type { JsonObject } from "../../checkpoint.ts";
import type { EngineTensor, TensorOperations } from "../../engine/tensor-operations.ts";

/**
 * A loss of one's own: returns one value per sample `[N]` (or per position `[N, …]`) for targets and outputs as the model gives
 * them. Its name is the function's.
 */
export type CustomLoss = (
  targets: EngineTensor,
  outputs: EngineTensor,
  ops: TensorOperations,
) => EngineTensor;

/** A Keras loss by name in any spelling, as `{ class_name, config }`, or a function. */
export type LossArgument = string | JsonObject | CustomLoss;
