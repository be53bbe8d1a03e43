import { MachineError } from "../errors.ts";
import { optionName } from "../options.ts";
import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import type { GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { formatBytes } from "./number-text.ts";
import { valuesOf } from "./step-bytes.ts";

/** A tensor of a model. */
export interface ModelTensor {
  /** Path of its layer. */
  readonly layer: string;
  /** The name of the weight; null for an output of the layer. */
  readonly weight: string | null;
  /** Size as float32, of an output for all rows of a batch. */
  readonly bytes: number;
}

/** Returns the largest of the weights and outputs of some calls, with so many rows in a batch; null where there are none. */
export function largestTensor(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  nodes: readonly GraphNode[],
  rows: number,
): ModelTensor | null {
  const specs = weightSpecsOf(graph);
  const tensors = nodes.flatMap(({ index, layer, outputs }) => [
    ...(specs.get(layer) ?? []).map(({ name, shape }) => ({
      layer,
      weight: name,
      bytes: 4 * elementCount(shape),
    })),
    ...outputs.map((_, output) => ({
      layer,
      weight: null,
      bytes: 4 * rows * valuesOf(shapeAt(shapes, { node: index, output })),
    })),
  ]);
  return tensors.reduce<ModelTensor | null>(
    (largest, tensor) => (tensor.bytes > (largest?.bytes ?? 0) ? tensor : largest),
    null,
  );
}

/**
 * Checks that the largest tensor of some calls, with so many rows in a batch, has no more bytes than one buffer of a GPU.
 * @throws {MachineError} that names the layer, and the weight if it is one.
 */
export function requireFits(largest: ModelTensor | null, rows: number, limit: number): void {
  if (!largest || largest.bytes <= limit) return;
  const { layer, weight, bytes } = largest;
  const what =
    weight === null ? `${layer}: output of ${rows} sample${rows === 1 ? "" : "s"}` : `${layer}/${weight}`;
  const isOfBatch = weight === null && rows > 1;
  const advice = isOfBatch
    ? `Lower ${optionName("batchSize")}, or use another engine.`
    : `Use another engine${weight === null ? ", or smaller images" : ""}.`;
  throw new MachineError(
    `${what}: expected at most ${formatBytes(limit)}, which one buffer of this GPU holds, got ${formatBytes(bytes)}. ${advice}`,
    "tensor-too-large",
    isOfBatch ? "batchSize" : "engine",
  );
}
