import type { Tensor } from "../tensor.ts";
import { float32Tensor } from "../tensor.ts";
import type { Loss } from "./losses.ts";
import { classWeights, targetsOf } from "./targets.ts";
import type { Examples } from "./train.ts";
import { sampleWeights } from "./trainer.ts";

/** Features with the targets and weights that the loss takes. */
export function examplesOf(
  { features, labels }: { readonly features: readonly Tensor[]; readonly labels: readonly number[] },
  units: number,
  loss: Loss,
  weighting?: {
    readonly classWeight: "balanced" | Readonly<Record<string, number>>;
    readonly classNames: readonly string[];
  },
): Examples {
  const targets = targetsOf(labels, units, loss);
  if (!weighting) return { features, targets };
  const byIndex = classWeights(weighting.classWeight, weighting.classNames, labels);
  return {
    features,
    targets,
    sampleWeights: float32Tensor(sampleWeights(targets, byIndex), [labels.length]),
  };
}
