import type { Weights } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import type { Partition } from "../freeze/partition.ts";
import { uploadRows } from "../model/feeds.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { createTrunk } from "./trunk.ts";

/** Rows of model inputs, one tensor for each model input; `keys` identify the rows where features are cached. */
export interface InputRows {
  readonly inputs: readonly Tensor[];
}

/**
 * The frontier tensors of all rows, one `[N, …]` float32 tensor for each. Every batch is padded to `batchSize`, so that a row's
 * features do not depend on its neighbours.
 */
export async function extractRows(
  graph: LayerGraph,
  partition: Partition,
  weights: Weights,
  batches: AsyncIterable<InputRows>,
  batchSize: number,
  onBatch?: (rows: number) => void,
): Promise<Tensor[]> {
  const trunk = createTrunk(graph, partition, weights);
  const parts: { data: Float32Array; shape: readonly number[] }[][] = partition.frontier.map(() => []);
  try {
    for await (const { inputs } of batches) {
      const rows = inputs[0]!.shape[0]!;
      const feeds = inputs.map((input) => padded(input, batchSize));
      const features = trunk.run(feeds);
      for (const [index, feature] of features.entries()) {
        const rowShape = feature.shape.slice(1);
        const values = (await feature.data()) as Float32Array;
        parts[index]!.push({ data: values.slice(0, rows * elementCount(rowShape)), shape: rowShape });
      }
      tf.dispose([...feeds, ...features]);
      onBatch?.(rows);
    }
  } finally {
    trunk.dispose();
  }
  return parts.map(joined);
}

function padded(input: Tensor, batchSize: number): tf.Tensor {
  const rows = input.shape[0]!;
  const whole = uploadRows(input, 0, rows);
  if (rows === batchSize) return whole;
  const widths = input.shape.map((_, axis): [number, number] =>
    axis === 0 ? [0, batchSize - rows] : [0, 0],
  );
  const result = tf.pad(whole, widths);
  whole.dispose();
  return result;
}

function joined(parts: readonly { data: Float32Array; shape: readonly number[] }[]): Tensor {
  const rowShape = parts[0]?.shape ?? [];
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { dtype: "float32", shape: [data.length / elementCount(rowShape), ...rowShape], data };
}
