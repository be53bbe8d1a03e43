import { TopologyError } from "../errors.ts";
import type { Partition } from "../freeze/partition.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";

/** @throws {TopologyError} one for all layers in the part that trains which run at inference only, each by its path. */
export function refuseInferenceOnly(graph: LayerGraph, { sides }: Partition): void {
  const active = new Set(
    graph.nodes.filter((node) => sides[node.index] === "dynamic").map((node) => node.layer),
  );
  const found = graph.layers.filter(
    ({ path, className }) => active.has(path) && specOf(className)?.inferenceOnly,
  );
  if (found.length === 0) return;
  const named = found.map(({ path, className }) => `${path} (${className})`).join(", ");
  throw new TopologyError(
    `${graph.name}: layers: expected all that train to be computable in training, got ${named}, which run at inference only. ` +
      "Freeze a layer behind each, or save the model without them.",
    "unsupported-layer",
  );
}
