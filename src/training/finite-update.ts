/** @file Updates that are not to spoil weights by a loss that is not finite. */
import type { BatchFigures } from "./judged-batch.ts";
import { isFiniteLoss } from "./judged-batch.ts";
import type { TensorPlace } from "./tensor-mark.ts";
import { markTensors } from "./tensor-mark.ts";

/** Updates to make: all, or those by a finite loss. */
export type Updates = "always" | "finite";

/**
 * Takes a step whose figures are there, or come while it updates the weights, as on a GPU; there what it updates is put back where the
 * loss is not finite.
 * @param places Returns the places of all that an update changes.
 * @param take Takes the step, with an update or without.
 */
export async function finiteUpdate(
  figures: BatchFigures | Promise<BatchFigures>,
  updates: Updates,
  places: () => readonly TensorPlace[],
  take: (isUpdated: boolean) => Promise<void>,
): Promise<BatchFigures> {
  const comeLater = figures instanceof Promise;
  const mark = comeLater && updates === "finite" ? markTensors(places()) : null;
  try {
    await take(comeLater || updates === "always" || isFiniteLoss(figures));
    const result = await figures;
    if (isFiniteLoss(result)) mark?.release();
    else mark?.putBack();
    return result;
  } catch (error) {
    mark?.release();
    throw error;
  }
}
