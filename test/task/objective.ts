import type { LossArgument } from "../../src/task/losses/loss-argument.ts";
import type { MetricArgument } from "../../src/task/metrics/metric.ts";
import { modelOutputs } from "../../src/task/model-outputs.ts";
import type { Objective } from "../../src/task/objective.ts";
import { objectiveOf } from "../../src/task/objective.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";

/** The same loss and metrics for every output of a model. */
export function objectiveWith(
  graph: LayerGraph,
  loss: LossArgument,
  metrics: readonly MetricArgument[] = [],
  kerasVersion = "3.15.1",
): Objective {
  const outputs = modelOutputs(graph).map(({ name, activation, units, shape }) => ({
    ...{ name, activation, units, loss, metrics },
    ...{ kind: "values" as const, perPosition: shape.length > 2, head: "kept" as const },
    ...{ lossWeight: 1, weightedMetrics: [], reason: "as asked" },
  }));
  return objectiveOf({ outputs, warnings: [] }, graph, kerasVersion);
}
