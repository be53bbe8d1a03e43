import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { Dataset } from "../data/dataset.ts";
import { storedDataset } from "../data/dataset.ts";
import type { FileOptions } from "../data/model-files.ts";
import { fileChecks, fileReader } from "../data/model-files.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { servingData } from "../data/text-model.ts";
import { ensureEngine } from "../engine/backend.ts";
import { extractArrays } from "../features/array-features.ts";
import type { CutModel } from "../features/cut.ts";
import { cutModel } from "../features/cut.ts";
import { extractionBatchWithin } from "../features/extraction-batch.ts";
import { openFeatureSource } from "../features/feature-source.ts";
import { wholeTensor } from "../features/sample-rows.ts";
import type { FeatureFigures, Shard, ShardFeatures } from "../features/shard.ts";
import { checkedShard } from "../features/shard.ts";
import { staticProgram } from "../features/trunk.ts";
import { withNamedWeights } from "../formats/named-weights.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { OptionChecks } from "../options.ts";
import { optionError, requireOptions } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import { requireSupported } from "../topology/support.ts";
import { extractShard } from "./extract-shard.ts";
import { checkOf } from "./settings.ts";

export interface ExtractOptions extends Omit<FileOptions, "batchSize" | "onWarning"> {
  /** Folder of the feature cache, or `s3://bucket/prefix`; false for none; by default the user's cache folder. Arrays are not cached. */
  readonly cache?: string | false | undefined;
  /** Bytes that the whole cache may hold; 10 GB by default. */
  readonly cacheMax?: number | undefined;
  /** float32 by default. */
  readonly cacheDtype?: "float32" | "float16" | undefined;
  /** The share of the samples that this machine extracts into the cache, counted from 0: nothing of it is held or returned. */
  readonly shard?: Shard | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

const { batchSize: _batchSize, ...inputChecks } = fileChecks;
const extractChecks: OptionChecks<ExtractOptions> = {
  ...inputChecks,
  cache: checkOf("cache"),
  cacheMax: checkOf("cacheMax"),
  cacheDtype: checkOf("cacheDtype"),
  shard: null,
  signal: null,
};

/** The frontier of a plan for every sample of a dataset. */
export interface Features extends FeatureFigures {
  /** One float32 `[N, …]` for each of the plan's frontier tensors, in its order; rows in the dataset's order. */
  readonly tensors: readonly Tensor[];
  /** For each of the N, its index in the dataset's samples: files that cannot be used are left out. */
  readonly indices: readonly number[];
  readonly bad: readonly BadFile[];
}

/**
 * Runs the static part of `plan` once on every sample, or reads what an earlier run kept. Of array datasets, the training inputs. With
 * `shard` the share of one machine goes into the cache and only figures are returned.
 * @throws {UsageError | TopologyError} for a model that takes no such files or cannot be computed here.
 * @throws {DataError} for a file that cannot be used, with `strictData`.
 *
 * @example
 * const data = await imageFolder("photos/");
 * const plan = planFinetune(checkpoint, { freeze: freezeUntil("conv4") });
 * const features = await extractFeatures(checkpoint, plan, data);
 */
export async function extractFeatures(
  checkpoint: Checkpoint,
  plan: FinetunePlan,
  dataset: Dataset,
  options: ExtractOptions & { readonly shard: Shard },
): Promise<ShardFeatures>;
export async function extractFeatures(
  checkpoint: Checkpoint,
  plan: FinetunePlan,
  dataset: Dataset,
  options?: ExtractOptions & { readonly shard?: undefined },
): Promise<Features>;
export async function extractFeatures(
  unnamed: Checkpoint,
  plan: FinetunePlan,
  given: Dataset,
  options: ExtractOptions = {},
): Promise<Features | ShardFeatures> {
  requireOptions(options, extractChecks);
  const started = performance.now();
  const dataset = storedDataset(given);
  const checkpoint = servingData(withNamedWeights(unnamed), dataset);
  const shard = options.shard && checkedShard(options.shard);
  const engine = await ensureEngine();
  const graph = withActivityPenalties(layerGraph(checkpoint), checkpoint.kerasVersion);
  requireSupported(graph);
  const cut = cutByPlan(graph, plan);
  const weights = checkpoint.weights;
  const { memory = null } = options;
  if (dataset.kind === "arrays") {
    if (shard) throw optionError("shard", "a dataset of files", "arrays", { code: "shard" });
    const names = graph.inputs.map((input) => input.name);
    const inputs = inputsInOrder(dataset.inputs, names);
    const samples = inputs[0]!.shape[0]!;
    const tensors = await extractArrays(staticProgram(cut, weights), inputs, {
      batchSize: extractionBatchWithin(memory, engine, cut),
      signal: options.signal,
      onProgress: (done) => options.onProgress?.(done, samples),
    });
    const indices = [...Array(samples).keys()];
    return { tensors, indices, ...figuresOf(tensors, { samples, cached: 0, started }), bad: [] };
  }
  const { cache, cacheMax, cacheDtype, signal, onWarning, onProgress, shard: _shard, ...input } = options;
  const reader = fileReader(dataset.kind, graph, checkpoint.notes, { ...input, onWarning });
  const [height = 1, width = 1] = reader.sampleShape;
  const source = await openFeatureSource(cut, weights, engine, {
    reader,
    batchSize: extractionBatchWithin(memory, engine, cut, [height, width]),
    strict: input.strictData,
    cache,
    cacheMax,
    storage: cacheDtype,
    signal,
    onWarning,
  });
  try {
    if (shard) {
      return await extractShard({ source, dataset, shard, onProgress, onWarning });
    }
    const { features, indices, bad, cached, dispose } = await source.extract(dataset.samples, (done) =>
      onProgress?.(done, dataset.samples.length),
    );
    const tensors = await Promise.all(features.map(wholeTensor));
    dispose();
    return { tensors, indices, ...figuresOf(tensors, { samples: indices.length, cached, started }), bad };
  } finally {
    await source.close();
  }
}

function figuresOf(
  tensors: readonly Tensor[],
  {
    samples,
    cached,
    started,
  }: { readonly samples: number; readonly cached: number; readonly started: number },
): Pick<Features, "samples" | "extracted" | "cached" | "bytes" | "seconds"> {
  return {
    samples,
    extracted: samples - cached,
    cached,
    bytes: tensors.reduce((sum, { data }) => sum + data.byteLength, 0),
    seconds: (performance.now() - started) / 1000,
  };
}

/** Returns the cut that the plan states: what it calls trainable trains, what it puts on batch statistics follows them. */
function cutByPlan(graph: LayerGraph, plan: FinetunePlan): CutModel {
  const frozen = plan.layers.filter((layer) => !layer.trainable).map((layer) => layer.path);
  const following = plan.layers.filter((layer) => layer.bn === "batch").map((layer) => layer.path);
  return cutModel(graph, {
    frozen: new Set(frozen),
    bnMode: "inference",
    newLayers: new Set(following),
  });
}
