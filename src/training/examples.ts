import type { SampleRows } from "../features/sample-rows.ts";
import { classIndices, classWeights } from "../task/targets.ts";
import type { Tensor } from "../tensor.ts";
import { float32Tensor } from "../tensor.ts";
import type { Examples } from "./example-set.ts";
import { sampleWeights } from "./trainer.ts";

/** Features with targets as the loss takes them, weighted by class where asked. */
export function examplesOf(
  features: readonly SampleRows[],
  targets: Tensor,
  weighting?: {
    readonly classWeight: "balanced" | Readonly<Record<string, number>>;
    readonly classNames: readonly string[];
  },
): Examples {
  if (!weighting) return { features, targets };
  const byIndex = classWeights(weighting.classWeight, weighting.classNames, classIndices(targets));
  return {
    features,
    targets,
    sampleWeights: float32Tensor(sampleWeights(targets, byIndex), [targets.shape[0]!]),
  };
}
