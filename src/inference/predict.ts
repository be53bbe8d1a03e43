import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { ModelInputs } from "../data/dataset.ts";
import { ensureEngine } from "../engine/backend.ts";
import { namedMemoryError } from "../engine/out-of-memory.ts";
import type { tf } from "../engine/tf.ts";
import { repeatable } from "../engine/webgpu/repeatable.ts";
import { DataError } from "../errors.ts";
import { withNamedWeights } from "../formats/named-weights.ts";
import { largestTensor, requireFits } from "../freeze/largest-tensor.ts";
import { textsOf } from "../layers/encoding.ts";
import { inferenceProgram } from "../model/inference-program.ts";
import { graphTolerance, programRunner } from "../model/program-runner.ts";
import { disposeWeights, uploadRows, uploadWeights } from "../model/uploads.ts";
import { requireOptions, wholeNumber } from "../options.ts";
import { requireInputs } from "../task/inputs.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { elementCount, formatShape, sameShape } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { concreteShapes } from "../topology/concrete-shapes.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { requireSupported } from "../topology/support.ts";
import type { BatchLimits } from "./batch-size.ts";
import { batchSizeWithin } from "./batch-size.ts";

/** A model in inference mode, its weights on the engine. */
export interface InferenceModel {
  readonly graph: LayerGraph;
  /** Returns the outputs of rows `from` to `to` (exclusive) of inputs in model order, float32 or texts. */
  run(inputs: readonly InputTensor[], from: number, to: number): Promise<InputTensor[]>;
  dispose(): void;
}

/**
 * @throws {TopologyError} for a layer that cannot be computed here.
 * @throws {MachineError} for a weight that no buffer of the engine's GPU holds.
 */
export async function openInferenceModel(checkpoint: Checkpoint): Promise<InferenceModel> {
  const { largestTensor: limit } = await ensureEngine();
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  // Outputs have no size with no rows.
  if (limit !== undefined) requireFits(largestTensor(graph, concreteShapes(graph), graph.nodes, 0), 0, limit);
  const {
    program,
    weights: values,
    contextOf,
  } = inferenceProgram(graph, withNamedWeights(checkpoint).weights);
  const weights = uploadWeights(
    values,
    program.nodes.map((node) => node.layer),
  );
  const runner = programRunner(program, contextOf, graphTolerance);
  return {
    graph,
    run: async (inputs, from, to) => {
      const feeds: tf.Tensor[] = [];
      const outputs: InputTensor[] = [];
      try {
        for (const input of inputs) feeds.push(uploadRows(input, from, to));
        const { outputs: computed, masks } = await repeatable(() => runner.run(feeds, weights));
        for (const mask of masks) mask?.dispose();
        for (const output of computed) {
          outputs.push(await read(output));
          output.dispose();
        }
        return outputs;
      } catch (error) {
        throw namedMemoryError(error);
      } finally {
        for (const feed of feeds) feed.dispose();
      }
    },
    dispose: () => {
      runner.dispose();
      disposeWeights(weights);
    },
  };
}

export type PredictOptions = BatchLimits;

/**
 * Returns the model's outputs in inference mode, one float32 tensor `[N, …]` for each, or what the whole of a batch gives where samples
 * meet; texts, `predict<StringTensor>`, where an inverted StringLookup gives the output. Inputs are taken as they are: nothing is
 * preprocessed.
 * @throws {TopologyError} for a layer that cannot be computed here.
 *
 * @example
 * const [probabilities] = await predict(checkpoint, { dtype: "float32", shape: [1, 224, 224, 3], data: pixels });
 */
export async function predict<Output extends InputTensor = Tensor>(
  checkpoint: Checkpoint,
  inputs: ModelInputs,
  options: PredictOptions = {},
): Promise<Output[]> {
  requireOptions(options, { batchSize: wholeNumber(1), memory: wholeNumber(1) });
  const model = await openInferenceModel(checkpoint);
  try {
    const ordered = orderedInputs(inputs, model.graph);
    const [, height = 1, width = 1] = ordered[0]?.shape ?? [];
    const batchSize = batchSizeWithin(model.graph, options, [height, width]);
    return (await predictBatches(model, ordered, batchSize)) as Output[];
  } finally {
    model.dispose();
  }
}

/** Returns inputs in the model's order. @throws {DataError} for inputs that the model does not take. */
export function orderedInputs(inputs: ModelInputs, graph: LayerGraph): readonly InputTensor[] {
  const names = graph.inputs.map((input) => input.name);
  return requireInputs(inputsInOrder(inputs, names), graph);
}

/** Returns the model's outputs for all rows of inputs in its order, so many at a time. */
export async function predictBatches(
  { graph, run }: InferenceModel,
  inputs: readonly InputTensor[],
  batchSize: number,
): Promise<InputTensor[]> {
  const samples = inputs[0]?.shape[0] ?? 0;
  const batches: InputTensor[][] = [];
  for (let from = 0; from < samples; from += batchSize) {
    batches.push(await run(inputs, from, Math.min(from + batchSize, samples)));
  }
  return graph.outputs.map((_, index) => concatenate(batches.map((batch) => batch[index]!)));
}

async function read(output: tf.Tensor): Promise<InputTensor> {
  const { shape } = output;
  if (output.dtype === "string") return { dtype: "string", shape, data: textsOf(output) };
  return { dtype: "float32", shape, data: Float32Array.from(await output.data()) };
}

/** Joins outputs one after the other; of outputs without an axis a lone one is a number, several are a vector of them, as in Keras. */
export function concatenate(given: readonly InputTensor[]): InputTensor {
  if (given.length === 1) return given[0]!;
  const parts = given.map((part) => (part.shape.length === 0 ? { ...part, shape: [1] } : part));
  const rowShape = parts[0]?.shape.slice(1) ?? [];
  const other = parts.find(({ shape }) => !sameShape(shape.slice(1), rowShape));
  if (other) {
    throw new DataError(
      `inputs: expected texts of which the model makes outputs of one shape, got ${formatShape(rowShape)} and ${formatShape(other.shape.slice(1))} in two batches. Predict them one batch at a time, or all in one.`,
    );
  }
  const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const shape = [rows, ...rowShape];
  const texts = parts.flatMap((part) => (part.dtype === "string" ? part.data : []));
  if (texts.length > 0) return { dtype: "string", shape, data: texts };
  const data = new Float32Array(elementCount(shape));
  let offset = 0;
  for (const part of parts as readonly Tensor[]) {
    data.set(part.data as Float32Array, offset);
    offset += part.data.length;
  }
  return { dtype: "float32", shape, data };
}
