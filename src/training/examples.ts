import type { SampleRows } from "../features/sample-rows.ts";
import { classIndices, classWeights, withClassWeights } from "../task/class-weights.ts";
import type { Objective } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import type { Task } from "../task/task.ts";
import type { Examples } from "./example-set.ts";

/** Weights by class name or index, or balanced over the samples; of several outputs for each that has those classes. */
export interface Weighting {
  readonly classWeight: "balanced" | Readonly<Record<string, number>>;
  readonly task: Task;
  readonly objective: Objective;
}

/** Returns features with targets as the losses take them, weighted by class where asked. */
export function examplesOf(
  features: readonly SampleRows[],
  targets: readonly (OutputTargets | null)[],
  weighting?: Weighting,
): Examples {
  if (!weighting) return { features, targets };
  const { classWeight, task, objective } = weighting;
  const weighted = targets.map((own, index) => {
    const output = objective.outputs[index];
    const asked = task.outputs[index];
    if (!own || !output || asked?.kind === "values") return own;
    const labels = classIndices(own.targets, output.loss?.targets === "indices");
    const names = asked?.labels ?? numbered(labels);
    return withClassWeights(output, own, classWeights(classWeight, names, labels));
  });
  return { features, targets: weighted };
}

function numbered(labels: readonly number[]): string[] {
  const count = labels.reduce((most, label) => Math.max(most, label + 1), 2);
  return Array.from({ length: count }, (_, index) => String(index));
}
