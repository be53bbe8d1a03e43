import { setImmediate as nextTurn } from "node:timers/promises";
import type { Checkpoint, PreprocessMode } from "../checkpoint.ts";
import type { ModelInputs } from "../data/dataset.ts";
import type { ImageSource } from "../data/decode.ts";
import { loadImages } from "../data/images.ts";
import { imageInput } from "../data/model-files.ts";
import { preprocessMode } from "../data/preprocess.ts";
import { UsageError } from "../errors.ts";
import { couplesBatch } from "../freeze/partition.ts";
import { imageSides, requireOptions, trueOrFalse, wholeNumber } from "../options.ts";
import { taskOf } from "../task/task-of.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, toFloat32 } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layerLookup, tensorAt } from "../topology/layer-graph.ts";
import { callsThatStayActive } from "../topology/stays-active.ts";
import { batchSizeWithin } from "./batch-size.ts";
import type { SamplePrediction, SayOptions } from "./output-predictions.ts";
import { chosenOutputs, samplePredictions } from "./output-predictions.ts";
import { concatenate, openInferenceModel, orderedInputs, predictBatches } from "./predict.ts";

export interface PredictorOptions {
  /** Samples that run together at most, of one call or of several. Defaults to 32. */
  readonly batchSize?: number | undefined;
  /** Size that images are resized to, if the model takes any. Defaults to what the file or its family says. */
  readonly imageSize?: number | readonly [number, number] | undefined;
  /** Preprocessing of images. Defaults to `auto`: what the file or its family says. */
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** True to turn images as their EXIF orientation says; true by default. */
  readonly exif?: boolean | undefined;
}

/** Options of one call about images. */
export interface PredictImagesOptions extends SayOptions {
  /** The output to tell, of a model with several; all. */
  readonly output?: string | undefined;
}

/** A model that answers many calls, its weights on the engine from the first to the last. */
export interface Predictor {
  /**
   * Returns what `predict` does. Calls that wait for the engine at the same time run together where no sample depends on another of
   * its batch; a call that fails fails alone.
   */
  predict<Output extends InputTensor = Tensor>(inputs: ModelInputs): Promise<Output[]>;
  /** Returns what the model says of images, given as paths or as the bytes of their files, in this order. */
  predictImages(
    images: readonly ImageSource[],
    options?: PredictImagesOptions,
  ): Promise<readonly SamplePrediction[]>;
  /** Releases the weights, once the calls that were made before have their answers. Later calls are refused. */
  dispose(): void;
}

interface Call {
  readonly inputs: readonly InputTensor[];
  /** Calls of one kind can run together. */
  readonly kind: string;
  readonly resolve: (outputs: InputTensor[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Puts a model on the engine for many calls, as a server makes them.
 * @throws {TopologyError} for a layer that cannot be computed here.
 *
 * @example
 * const predictor = await createPredictor(await readCheckpoint("runs/pets/model.keras"));
 * const [said] = await predictor.predictImages([await readFile("cat.jpg")], { top: 3 });
 * predictor.dispose();
 */
export async function createPredictor(
  checkpoint: Checkpoint,
  options: PredictorOptions = {},
): Promise<Predictor> {
  requireOptions(options, {
    batchSize: wholeNumber(1),
    imageSize: imageSides,
    preprocess: preprocessMode,
    exif: trueOrFalse,
  });
  const { batchSize = 32, ...imageOptions } = options;
  const model = await openInferenceModel(checkpoint);
  const { graph } = model;
  const canJoin = !samplesMeet(graph);
  const waiting: Call[] = [];
  let isRunning = false;
  let isDisposed = false;

  const answer = async (calls: readonly Call[]): Promise<void> => {
    const [first] = calls;
    if (!first) return;
    try {
      const inputs = joined(calls);
      const [, height = 1, width = 1] = inputs[0]?.shape ?? [];
      const rowsTogether = batchSizeWithin(graph, { batchSize }, [height, width]);
      const outputs = await predictBatches(model, inputs, rowsTogether);
      let row = 0;
      for (const { inputs, resolve } of calls) {
        const rows = rowsOf(inputs);
        resolve(calls.length === 1 ? outputs : outputs.map((output) => sliced(output, row, row + rows)));
        row += rows;
      }
    } catch (error) {
      if (calls.length === 1) first.reject(error);
      else for (const call of calls) await answer([call]);
    }
  };
  const run = async (): Promise<void> => {
    isRunning = true;
    // Calls of the same turn have come by the next.
    await nextTurn();
    while (waiting.length > 0) await answer(takeTogether(waiting, batchSize, canJoin));
    isRunning = false;
    if (isDisposed) model.dispose();
  };
  const predict = (inputs: ModelInputs): Promise<InputTensor[]> =>
    new Promise((resolve, reject) => {
      if (isDisposed)
        throw new UsageError("predictor: expected one in use, got one that is disposed.", "disposed");
      const ordered = orderedInputs(inputs, graph);
      waiting.push({ inputs: ordered, kind: kindOf(ordered), resolve, reject });
      if (!isRunning) void run();
    });

  return {
    predict: async <Output extends InputTensor = Tensor>(inputs: ModelInputs) =>
      (await predict(inputs)) as Output[],
    predictImages: async (images, { output, ...say } = {}) => {
      const task = taskOf(checkpoint);
      const chosen = chosenOutputs(task, output);
      const given = await loadImages(images, imageInput(graph, checkpoint.notes, imageOptions));
      return samplePredictions(task, await predict(given), chosen, say);
    },
    dispose: () => {
      if (isDisposed) return;
      isDisposed = true;
      if (!isRunning) model.dispose();
    },
  };
}

/** Tells if a sample's prediction may depend on the others of its batch, or the batch has one size. */
function samplesMeet(graph: LayerGraph): boolean {
  const layerOf = layerLookup(graph);
  const active = new Set(callsThatStayActive(graph).normalizations);
  const hasFixedBatch = graph.inputs.some(({ ref }) => (tensorAt(graph, ref).shape?.[0] ?? null) !== null);
  return (
    hasFixedBatch ||
    graph.nodes.some((node) => {
      const layer = layerOf(node.layer);
      return layer.className === "BatchNormalization" ? active.has(node) : couplesBatch(graph, node, layer);
    })
  );
}

/** Takes the first call from the list, and those behind it that can run with it and fit into the batch. */
function takeTogether(waiting: Call[], batchSize: number, canJoin: boolean): readonly Call[] {
  const first = waiting.shift();
  if (!first) return [];
  const taken = [first];
  let rows = rowsOf(first.inputs);
  for (let index = 0; canJoin && index < waiting.length && rows < batchSize; ) {
    const next = waiting[index];
    const more = next?.kind === first.kind ? rowsOf(next.inputs) : Number.POSITIVE_INFINITY;
    if (next && rows + more <= batchSize) {
      waiting.splice(index, 1);
      taken.push(next);
      rows += more;
    } else {
      index++;
    }
  }
  return taken;
}

function rowsOf(inputs: readonly InputTensor[]): number {
  return inputs[0]?.shape[0] ?? 0;
}

function kindOf(inputs: readonly InputTensor[]): string {
  return inputs.map(({ dtype, shape }) => [dtype, ...shape.slice(1)].join()).join(";");
}

/** Returns the inputs of several calls as one: numbers as float32, which the engine takes, or texts. */
function joined(calls: readonly Call[]): readonly InputTensor[] {
  const [first, ...others] = calls;
  if (!first || others.length === 0) return first?.inputs ?? [];
  return first.inputs.map((input, index) =>
    concatenate([input, ...others.flatMap(({ inputs }) => inputs[index] ?? [])].map(asFloats)),
  );
}

function asFloats(tensor: InputTensor): InputTensor {
  return tensor.dtype === "string" ? tensor : float32Tensor(toFloat32(tensor), tensor.shape);
}

/** Returns a copy of rows `from` to `to` (exclusive). */
function sliced(tensor: InputTensor, from: number, to: number): InputTensor {
  const width = elementCount(tensor.shape.slice(1));
  const shape = [to - from, ...tensor.shape.slice(1)];
  const data = tensor.data.slice(from * width, to * width);
  return { ...tensor, shape, data } as InputTensor;
}
