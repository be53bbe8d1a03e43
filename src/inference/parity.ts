import type { Checkpoint } from "../checkpoint.ts";
import type { InputTensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { predict } from "./predict.ts";
import { probeInputs } from "./probe.ts";

/** Difference between the predictions of two checkpoints. */
export interface Parity {
  readonly samples: number;
  /** Largest absolute difference between outputs; texts differ by 1 if they are not the same. */
  readonly maxDifference: number;
  /** Largest absolute value of the outputs. */
  readonly maxOutput: number;
}

/**
 * Both checkpoints' predictions for a few made-up samples of the first one's inputs. Undefined where these have no shape.
 * @throws {TopologyError} naming a layer that does not run, or cannot at that size.
 */
export async function comparePredictions(before: Checkpoint, after: Checkpoint): Promise<Parity | undefined> {
  const inputs = probeInputs(layerGraph(before));
  if (!inputs) return undefined;
  const expected = await predict<InputTensor>(before, inputs);
  return difference(expected, await predict<InputTensor>(after, inputs), inputs[0]?.shape[0] ?? 0);
}

function difference(expected: readonly InputTensor[], got: readonly InputTensor[], samples: number): Parity {
  let maxDifference = 0;
  let maxOutput = 0;
  expected.forEach(({ data }, output) => {
    data.forEach((value: string | number | bigint, index: number) => {
      const other = got[output]?.data[index];
      if (typeof value === "string") {
        if (value !== other) maxDifference = 1;
        return;
      }
      const gap = Math.abs(Number(value) - Number(other ?? Number.NaN));
      if (!(gap <= maxDifference)) maxDifference = gap;
      maxOutput = Math.max(maxOutput, Math.abs(Number(value)));
    });
  });
  return { samples, maxDifference, maxOutput };
}
