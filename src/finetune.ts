import { withWeights } from "./checkpoint.ts";
import type { Split } from "./data/dataset.ts";
import type { EngineInfo } from "./engine/backend.ts";
import { ensureEngine } from "./engine/backend.ts";
import { DataError, UsageError } from "./errors.ts";
import type { FeatureSource } from "./features/feature-source.ts";
import { openFeatureSource } from "./features/feature-source.ts";
import type { ImageFeatures } from "./features/image-features.ts";
import type { PreparedRun } from "./report/prepare.ts";
import { prepareRun } from "./report/prepare.ts";
import { hashFrozenWeights, proofOf } from "./report/proof.ts";
import type { FeatureFigures, FinetuneOptions, FinetuneResult } from "./report/run.ts";
import { openRunFolder } from "./report/run-folder.ts";
import { withTrainableFlags } from "./topology/trainable-flags.ts";
import { examplesOf } from "./training/examples.ts";
import { createTail } from "./training/tail.ts";
import { train } from "./training/train.ts";

/**
 * Trains what the policy leaves trainable on the pictures in `data`: everything static runs once per picture, the rest at every
 * step. Nothing is written without `out`. An aborted signal or a loss that is not finite rejects once the best completed
 * epoch is in `out`.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} before anything is computed where the run cannot be.
 */
export async function finetune(options: FinetuneOptions): Promise<FinetuneResult> {
  const engine = await ensureEngine();
  const run = await prepareRun(options);
  for (const message of run.notes) options.onProgress?.({ kind: "note", message });
  for (const message of run.warnings) options.onProgress?.({ kind: "warning", message });
  options.onProgress?.({ kind: "plan", plan: run.plan, lines: run.planLines });
  const folder =
    options.out === undefined ? null : openRunFolder(options.out, { overwrite: options.overwrite ?? false });
  try {
    await folder?.rehearse(run.checkpoint, options.outputFormat ?? "keras");
    const extracted = await extractAll(run, engine, options);
    const { history, bestEpoch, weights, stopped } = await trained(run, extracted, options);
    const moving = new Map(
      [...weights].map(([path, layer]) => [path, new Set(layer.map(({ name }) => name))]),
    );
    const tuned = withTrainableFlags(withWeights(run.checkpoint, weights), run.frozen);
    const { optimizerWeights: _stale, ...checkpoint } = tuned;
    const later = history.slice(1).map((epoch) => epoch.seconds);
    const record = {
      checkpoint,
      history,
      bestEpoch,
      plan: run.plan,
      proof: proofOf(
        hashFrozenWeights(run.checkpoint.weights, moving),
        hashFrozenWeights(checkpoint.weights, moving),
      ),
      engine: engine.name,
      features: extracted.figures,
      badImages: [...extracted.train.bad, ...extracted.val.bad],
      measured: {
        extractionSeconds: extracted.figures.seconds,
        epochSeconds:
          later.length > 0
            ? later.reduce((sum, value) => sum + value, 0) / later.length
            : history[0]!.seconds,
        cacheBytes: extracted.figures.bytes,
        peakBytes: process.resourceUsage().maxRSS * 1024,
      },
    };
    const files =
      (await folder?.write({
        ...record,
        format: options.outputFormat ?? "keras",
        args: argumentsOf(options, run),
      })) ?? [];
    if (stopped !== undefined) {
      const kept = files.length > 0 ? `; epoch ${bestEpoch}, the best, is saved in ${options.out}` : "";
      options.onProgress?.({ kind: "note", message: `stopped   after epoch ${history.length}${kept}` });
      throw stopped;
    }
    return { ...record, files };
  } catch (error) {
    folder?.discard();
    throw error;
  }
}

/** A split's features with the labels of the pictures that could be used. */
interface Extracted extends ImageFeatures {
  readonly labels: readonly number[];
}

async function extractSplit(
  source: FeatureSource,
  run: PreparedRun,
  split: Split,
  options: FinetuneOptions,
): Promise<Extracted> {
  const samples = run.dataset.samples.filter((sample) => sample.split === split);
  const extracted = await source.extract(samples, (done, cached) =>
    options.onProgress?.({ kind: "extract", done, total: samples.length, cached }),
  );
  if (split === "train" && extracted.indices.length === 0) {
    throw new DataError(
      `data: expected pictures to train on, got ${samples.length} that cannot be decoded.`,
      "all-bad",
    );
  }
  return { ...extracted, labels: extracted.indices.map((index) => samples[index]!.label) };
}

/** Both splits, from the cache where they are there. */
async function extractAll(
  run: PreparedRun,
  engine: EngineInfo,
  options: FinetuneOptions,
): Promise<{ train: Extracted; val: Extracted; figures: FeatureFigures }> {
  const started = performance.now();
  const source = await openFeatureSource(run, run.checkpoint.weights, engine, {
    imageSize: run.imageSize,
    preprocess: run.preprocess,
    exif: options.exif,
    strict: options.strictData,
    cache: options.cache,
    cacheMax: options.cacheMax,
    storage: options.cacheDtype,
    signal: options.signal,
    onWarning: (message) => options.onProgress?.({ kind: "warning", message }),
  });
  try {
    const train = await extractSplit(source, run, "train", options);
    const val = await extractSplit(source, run, "val", options);
    const images = train.indices.length + val.indices.length;
    const cached = train.cached + val.cached;
    const bytes = [...train.features, ...val.features].reduce((sum, { data }) => sum + data.byteLength, 0);
    const seconds = (performance.now() - started) / 1000;
    return { train, val, figures: { images, extracted: images - cached, cached, bytes, seconds } };
  } finally {
    await source.close();
  }
}

async function trained(
  run: PreparedRun,
  extracted: { readonly train: Extracted; readonly val: Extracted },
  options: FinetuneOptions,
): ReturnType<typeof train> {
  const { graph, partition, loss, optimizer, units } = run;
  const epochs = options.epochs ?? 10;
  const held = extracted.val.labels.length > 0 ? examplesOf(extracted.val, units, loss) : null;
  if (options.patience !== undefined && !held) {
    throw new UsageError(
      "--patience: expected validation pictures, got none.",
      "patience-without-validation",
    );
  }
  const weighting = options.classWeight && {
    classWeight: options.classWeight,
    classNames: run.dataset.classNames,
  };
  const tail = createTail({
    graph,
    partition,
    weights: run.checkpoint.weights,
    optimizer,
    loss,
    seed: options.seed ?? 0,
  });
  try {
    return await train(tail, examplesOf(extracted.train, units, loss, weighting), held, {
      epochs,
      batchSize: options.batchSize ?? 32,
      seed: options.seed ?? 0,
      learningRate: optimizer.settings["learning_rate"] as number,
      ...(options.patience !== undefined && { patience: options.patience }),
      ...(options.signal && { signal: options.signal }),
      onStep: (step) => options.onProgress?.({ kind: "step", epochs, ...step }),
      onEpoch: (epoch, best) => options.onProgress?.({ kind: "epoch", epoch, epochs, best }),
    });
  } finally {
    tail.dispose();
  }
}

function argumentsOf(options: FinetuneOptions, run: PreparedRun): Record<string, unknown> {
  const { onProgress: _progress, signal: _signal, model, data, ...plain } = options;
  return {
    ...plain,
    model: typeof model === "string" ? model : "a checkpoint",
    data: typeof data === "string" ? data : "a dataset",
    epochs: options.epochs ?? 10,
    batchSize: options.batchSize ?? 32,
    seed: options.seed ?? 0,
    bnMode: options.bnMode ?? "inference",
    loss: run.loss.name,
    optimizer: { class_name: run.optimizer.className, config: run.optimizer.settings },
    imageSize: run.imageSize,
    preprocess: run.preprocess,
  };
}
