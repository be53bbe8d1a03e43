import { elementCount } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import { stagesOf } from "../topology/stages.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { Partition } from "./partition.ts";
import type { FinetunePlan, PlannedLayer } from "./plan.ts";
import type { FreezeResolution } from "./resolution.ts";
import { hasMovingStatistics } from "./trainable-weights.ts";

/** What a resolution and its cut mean, layer by layer. Bytes of the frontier are those of one image in float32. */
export function planFreeze(
  graph: LayerGraph,
  resolution: FreezeResolution,
  partition: Partition,
): FinetunePlan {
  const specs = weightSpecsOf(graph);
  const stages = stagesOf(graph);
  const dynamic = new Set(
    graph.nodes.filter((node) => partition.sides[node.index] === "dynamic").map((node) => node.layer),
  );
  const layers = graph.layers.map((layer): PlannedLayer => {
    const own = specs.get(layer.path) ?? [];
    const inBatch = partition.batchStatistics.has(layer.path);
    return {
      path: layer.path,
      className: layer.className,
      stage: stages.labelOf(layer.path),
      parameters: own.reduce((sum, spec) => sum + elementCount(spec.shape), 0),
      trainable: partition.trainableWeights.has(layer.path),
      bn: hasMovingStatistics(own) ? (inBatch ? "batch" : "inference") : null,
      side: dynamic.has(layer.path) ? "dynamic" : "static",
    };
  });
  const trained = [...partition.trainableWeights].flatMap(([path, names]) =>
    (specs.get(path) ?? []).filter((spec) => names.includes(spec.name)),
  );
  return {
    layers,
    firstTrainable: layers.find((layer) => layer.trainable)!.path,
    lastFrozen: layers.findLast((layer) => layer.parameters > 0 && !layer.trainable)?.path ?? null,
    parameters: {
      total: layers.reduce((sum, layer) => sum + layer.parameters, 0),
      trainable: trained.reduce((sum, spec) => sum + elementCount(spec.shape), 0),
    },
    frontier: partition.frontier.map((ref) => {
      const node = graph.nodes[ref.node]!;
      const shape = node.outputs[ref.output]!.shape ?? [];
      const known = shape.slice(1).filter((size): size is number => size !== null);
      return { tensor: layerAt(graph, node.layer).path, shape, bytes: 4 * elementCount(known) };
    }),
    warnings: resolution.warnings,
  };
}

/** The plan in lines for a terminal. */
export function planLines(plan: FinetunePlan): string[] {
  const { total, trainable } = plan.parameters;
  const percent = ((100 * trainable) / total).toFixed(2);
  const stages = [...new Set(plan.layers.map((layer) => layer.stage))].filter((stage) => stage !== null);
  const rows = stages.map((stage) => {
    const layers = plan.layers.filter((layer) => layer.stage === stage);
    const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
    const trains = layers.filter((layer) => layer.trainable).length;
    return `          ${stage.padEnd(8)} ${String(layers.length).padStart(6)} ${parameters.toLocaleString("en").padStart(12)}  ${trains > 0 ? `${trains} train` : "-"}`;
  });
  return [
    `freeze    first trainable layer: ${plan.firstTrainable}; last frozen: ${plan.lastFrozen ?? "none"}`,
    `          ${"stage".padEnd(8)} ${"layers".padStart(6)} ${"parameters".padStart(12)}  trainable`,
    ...rows,
    `trainable params: ${trainable.toLocaleString("en")} || all params: ${total.toLocaleString("en")} || trainable%: ${percent}`,
    ...plan.frontier.map(
      ({ tensor, shape, bytes }) =>
        `frontier  ${tensor}  ${shape.slice(1).join("x")}  ${(bytes / 1e6).toFixed(3)} MB an image`,
    ),
  ];
}
