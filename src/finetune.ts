import { withWeights } from "./checkpoint.ts";
import type { Split } from "./data/dataset.ts";
import { ensureEngine } from "./engine/backend.ts";
import { DataError, UsageError } from "./errors.ts";
import type { ImageFeatures } from "./features/image-features.ts";
import { extractImages } from "./features/image-features.ts";
import type { PreparedRun } from "./report/prepare.ts";
import { prepareRun } from "./report/prepare.ts";
import { hashFrozenWeights, proofOf } from "./report/proof.ts";
import type { FinetuneOptions, FinetuneResult } from "./report/run.ts";
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
    const started = performance.now();
    const extracted = {
      train: await features(run, "train", options),
      val: await features(run, "val", options),
    };
    const extractionSeconds = (performance.now() - started) / 1000;
    const { history, bestEpoch, weights, stopped } = await trained(run, extracted, options);
    const moving = new Map(
      [...weights].map(([path, layer]) => [path, new Set(layer.map(({ name }) => name))]),
    );
    const tuned = withTrainableFlags(withWeights(run.checkpoint, weights), run.frozen);
    const { optimizerWeights: _stale, ...checkpoint } = tuned;
    const bytes = [extracted.train, extracted.val].flatMap((part) =>
      part.features.map((tensor) => tensor.data.byteLength),
    );
    const images = extracted.train.labels.length + extracted.val.labels.length;
    const cacheBytes = bytes.reduce((sum, size) => sum + size, 0);
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
      features: { images, extracted: images, cached: 0, bytes: cacheBytes, seconds: extractionSeconds },
      badImages: [...extracted.train.bad, ...extracted.val.bad],
      measured: {
        extractionSeconds,
        epochSeconds:
          later.length > 0
            ? later.reduce((sum, value) => sum + value, 0) / later.length
            : history[0]!.seconds,
        cacheBytes,
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

async function features(run: PreparedRun, split: Split, options: FinetuneOptions): Promise<ImageFeatures> {
  const samples = run.dataset.samples.filter((sample) => sample.split === split);
  const report = (done: number): void =>
    options.onProgress?.({ kind: "extract", done, total: samples.length, cached: 0 });
  const extracted = await extractImages(run.graph, run.partition, run.checkpoint.weights, samples, {
    imageSize: run.imageSize,
    preprocess: run.preprocess,
    exif: options.exif ?? true,
    strict: options.strictData ?? false,
    batchSize: 8,
    onProgress: report,
    ...(options.signal && { signal: options.signal }),
  });
  if (split === "train" && extracted.labels.length === 0) {
    throw new DataError(
      `data: expected pictures to train on, got ${samples.length} that cannot be decoded.`,
      "all-bad",
    );
  }
  return extracted;
}

async function trained(
  run: PreparedRun,
  extracted: { readonly train: ImageFeatures; readonly val: ImageFeatures },
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
