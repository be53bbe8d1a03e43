import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { Dataset } from "../data/dataset.ts";
import { storedDataset } from "../data/dataset.ts";
import type { FileOptions } from "../data/model-files.ts";
import { fileReader } from "../data/model-files.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { ensureEngine } from "../engine/backend.ts";
import { extractArrays } from "../features/array-features.ts";
import type { CutModel } from "../features/cut.ts";
import { cutModel } from "../features/cut.ts";
import { extractionBatch, openFeatureSource } from "../features/feature-source.ts";
import { wholeTensor } from "../features/sample-rows.ts";
import { staticProgram } from "../features/trunk.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { Tensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import { requireSupported } from "../topology/support.ts";

export interface ExtractOptions extends Omit<FileOptions, "batchSize" | "onWarning"> {
  /** Folder of the feature cache; false for none. The user's cache folder where absent. Arrays are not cached. */
  readonly cache?: string | false | undefined;
  /** Bytes that the whole cache may hold; 10 GB. */
  readonly cacheMax?: number | undefined;
  /** float32 */
  readonly cacheDtype?: "float32" | "float16" | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** The frontier of a plan for every sample of a dataset. */
export interface Features {
  /** One float32 `[N, …]` for each of the plan's frontier tensors, in its order; rows in the dataset's order. */
  readonly tensors: readonly Tensor[];
  /** For each of the N, its index in the dataset's samples: files that cannot be used are left out. */
  readonly indices: readonly number[];
  readonly extracted: number;
  readonly cached: number;
  readonly bad: readonly BadFile[];
}

/**
 * Runs the static part of `plan` once on every sample, or reads what an earlier run kept. Array datasets: the training inputs.
 * @throws {UsageError | TopologyError} for a model that takes no such files or cannot be computed here.
 * @throws {DataError} for a file that cannot be used, with `strictData`.
 */
export async function extractFeatures(
  checkpoint: Checkpoint,
  plan: FinetunePlan,
  given: Dataset,
  options: ExtractOptions = {},
): Promise<Features> {
  const dataset = storedDataset(given);
  const engine = await ensureEngine();
  const graph = withActivityPenalties(layerGraph(checkpoint), checkpoint.kerasVersion);
  requireSupported(graph);
  const cut = cutByPlan(graph, plan);
  if (dataset.kind === "arrays") {
    const names = graph.inputs.map((input) => input.name);
    const inputs = inputsInOrder(dataset.inputs, names);
    const tensors = await extractArrays(staticProgram(cut, checkpoint.weights), inputs, {
      batchSize: extractionBatch(engine),
      signal: options.signal,
      onProgress: (done) => options.onProgress?.(done, inputs[0]!.shape[0]!),
    });
    const samples = inputs[0]!.shape[0]!;
    return { tensors, indices: [...Array(samples).keys()], extracted: samples, cached: 0, bad: [] };
  }
  const { cache, cacheMax, cacheDtype, signal, onWarning, onProgress, ...input } = options;
  const source = await openFeatureSource(cut, checkpoint.weights, engine, {
    reader: fileReader(dataset.kind, graph, checkpoint.notes, { ...input, onWarning }),
    strict: input.strictData,
    cache,
    cacheMax,
    storage: cacheDtype,
    signal,
    onWarning,
  });
  try {
    const { features, indices, bad, cached, dispose } = await source.extract(dataset.samples, (done) =>
      onProgress?.(done, dataset.samples.length),
    );
    const tensors = await Promise.all(features.map(wholeTensor));
    dispose();
    return { tensors, indices, extracted: indices.length - cached, cached, bad };
  } finally {
    await source.close();
  }
}

/** The cut that the plan states: what it calls trainable trains, what it puts on batch statistics follows them. */
function cutByPlan(graph: LayerGraph, plan: FinetunePlan): CutModel {
  const frozen = plan.layers.filter((layer) => !layer.trainable).map((layer) => layer.path);
  const following = plan.layers.filter((layer) => layer.bn === "batch").map((layer) => layer.path);
  return cutModel(graph, {
    frozen: new Set(frozen),
    bnMode: "inference",
    newLayers: new Set(following),
  });
}
