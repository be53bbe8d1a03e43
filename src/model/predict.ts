import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { ModelInputs } from "../data/dataset.ts";
import { ensureEngine } from "../engine/backend.ts";
import { DataError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, formatShape, sameShape } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { requireSupported } from "../topology/support.ts";
import { uploadRows } from "./feeds.ts";
import { inferenceProgram } from "./inference-program.ts";
import { disposeWeights, uploadWeights } from "./layer-weights.ts";
import { runProgram } from "./run-program.ts";

/**
 * The model's outputs in inference mode, one float32 tensor `[N, …]` for each. Inputs are taken as they are: nothing is
 * preprocessed.
 * @throws {TopologyError} for a layer that cannot be computed here.
 */
export async function predict(
  checkpoint: Checkpoint,
  inputs: ModelInputs,
  { batchSize = 32 }: { readonly batchSize?: number } = {},
): Promise<Tensor[]> {
  await ensureEngine();
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  const ordered = inputsInOrder(
    inputs,
    graph.inputs.map((input) => input.name),
  );
  const { program, weights: values } = inferenceProgram(graph, checkpoint.weights);
  const weights = uploadWeights(
    values,
    program.nodes.map((node) => node.layer),
  );
  try {
    const samples = ordered[0]!.shape[0]!;
    const batches: { data: Float32Array; shape: number[] }[][] = [];
    for (let from = 0; from < samples; from += batchSize) {
      const feeds = ordered.map((input) => uploadRows(input, from, Math.min(from + batchSize, samples)));
      const outputs = runProgram(program, feeds, weights);
      const read: { data: Float32Array; shape: number[] }[] = [];
      for (const output of outputs) {
        read.push({ data: Float32Array.from(await output.data()), shape: output.shape });
        output.dispose();
      }
      for (const feed of feeds) feed.dispose();
      batches.push(read);
    }
    return graph.outputs.map((_, index) => concatenate(batches.map((batch) => batch[index]!)));
  } finally {
    disposeWeights(weights);
  }
}

function concatenate(parts: readonly { data: Float32Array; shape: number[] }[]): Tensor {
  const rowShape = parts[0]?.shape.slice(1) ?? [];
  const other = parts.find(({ shape }) => !sameShape(shape.slice(1), rowShape));
  if (other) {
    throw new DataError(
      `inputs: expected texts of which the model makes outputs of one shape, got ${formatShape(rowShape)} and ${formatShape(other.shape.slice(1))} in two batches. Predict them one batch at a time, or all in one.`,
    );
  }
  const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const data = new Float32Array(rows * elementCount(rowShape));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { dtype: "float32", shape: [rows, ...rowShape], data };
}
