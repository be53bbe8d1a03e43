import { stat } from "node:fs/promises";
import type { Checkpoint } from "../checkpoint.ts";
import { bucketEntries, findObject } from "../data/bucket-files.ts";
import type { FileKind } from "../data/file-kind.ts";
import { fileKinds } from "../data/file-kind.ts";
import { listTree } from "../data/file-listing.ts";
import type { FileOptions } from "../data/model-files.ts";
import { fileChecks, fileKindOf, fileReader } from "../data/model-files.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import { textModel } from "../data/text-model.ts";
import { DataError } from "../errors.ts";
import type { OptionChecks } from "../options.ts";
import { numberBetween, requireOptions, wholeNumber } from "../options.ts";
import { isBucketAddress } from "../storage/address.ts";
import { taskOf } from "../task/task-of.ts";
import type { InputTensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { packageWarnings } from "../topology/dialects/package-layers.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import { batchSizeWithin } from "./batch-size.ts";
import type { SamplePrediction, SayOptions } from "./output-predictions.ts";
import { chosenOutputs, samplePredictions } from "./output-predictions.ts";
import { openInferenceModel } from "./predict.ts";

/**
 * Prediction for one file: class probabilities, the likeliest first (of several labels those over the threshold), values or
 * masks by output name, or what it names itself.
 */
export type FilePrediction = { readonly path: string } & (
  | SamplePrediction
  /** Row-major, of a model that ends in an inverted StringLookup or IntegerLookup. */
  | { readonly answer: readonly (string | number)[] }
);

export interface PredictFilesOptions extends FileOptions, SayOptions {
  /** The output to tell, of a model with several; all. */
  readonly output?: string | undefined;
}

const predictChecks: OptionChecks<PredictFilesOptions> = {
  ...fileChecks,
  top: wholeNumber(1),
  threshold: numberBetween(0, 1),
  output: null,
};

/**
 * Returns what the model makes of images, or of texts where it takes texts, in the order given; a path may be a folder, which means
 * every such file in it and below. A file found in a folder that cannot be used is warned about and left out.
 * @throws {DataError} for a file named by its path that cannot be used, and where there is none.
 *
 * @example
 * for (const found of await predictFiles(checkpoint, ["photos/new/"], { top: 3 })) {
 *   if ("predictions" in found) console.log(found.path, found.predictions[0]?.label);
 * }
 */
export async function predictFiles(
  checkpoint: Checkpoint,
  paths: readonly string[],
  options: PredictFilesOptions = {},
): Promise<FilePrediction[]> {
  const predictions: FilePrediction[] = [];
  for await (const prediction of predictEach(checkpoint, paths, options)) predictions.push(prediction);
  return predictions;
}

/**
 * Yields what `predictFiles` returns, each file's prediction as soon as its batch has run: for more files than results fit in memory.
 * @throws {DataError} as `predictFiles` does.
 *
 * @example
 * for await (const found of predictEach(checkpoint, ["photos/"])) console.log(JSON.stringify(found));
 */
export async function* predictEach(
  given: Checkpoint,
  paths: readonly string[],
  options: PredictFilesOptions = {},
): AsyncGenerator<FilePrediction, void, void> {
  requireOptions(options, predictChecks);
  const checkpoint = textModel(given);
  const kind = fileKinds[fileKindOf(checkpoint)];
  const found = await Promise.all(paths.map((path) => filesAt(path, kind)));
  const named = new Set(found.flatMap(({ folder, files }) => (folder ? [] : files)));
  const samples = found.flatMap(({ files }) => files.map((path) => ({ path })));
  if (samples.length === 0) {
    throw new DataError(`${paths.join(", ")}: expected ${kind.many}, got none.`, `no-${kind.kind}`);
  }
  const answering = await (looksUpItsOutput(layerGraph(checkpoint))
    ? openNaming(checkpoint)
    : openSaying(checkpoint, options));
  let predicted = 0;
  let skipped = 0;
  try {
    for (const warning of packageWarnings(layerGraph(checkpoint))) options.onWarning?.(warning);
    const reader = fileReader(kind.kind, layerGraph(checkpoint), checkpoint.notes, options);
    const [height = 1, width = 1] = reader.sampleShape;
    const batches = sampleBatches(samples, reader, {
      batchSize: batchSizeWithin(layerGraph(checkpoint), options, [height, width]),
      strict: options.strictData,
      onSample: ({ path, reason }) => {
        if (reason === undefined) return;
        if (named.has(path)) throw new DataError(`${path}: ${reason}`, kind.one);
        skipped++;
        options.onWarning?.(`${path}: ${reason} Skipped.`);
      },
    });
    for await (const { input, indices } of batches) {
      const rows = await answering.answers(input);
      for (const [row, sample] of indices.entries()) {
        const path = samples[sample]?.path ?? "";
        const said = rows[row];
        predicted++;
        if (said) yield { path, ...said };
      }
      options.onProgress?.(predicted + skipped, samples.length);
    }
  } finally {
    answering.dispose();
  }
}

/** Answers a batch, row by row. */
interface Answering {
  answers(input: InputTensor): Promise<DistributiveOmit<FilePrediction, "path">[]>;
  dispose(): void;
}

type DistributiveOmit<T, Name extends PropertyKey> = T extends unknown ? Omit<T, Name> : never;

async function openSaying(checkpoint: Checkpoint, options: PredictFilesOptions): Promise<Answering> {
  const task = taskOf(checkpoint);
  const chosen = chosenOutputs(task, options.output);
  const { run, dispose } = await openInferenceModel(checkpoint);
  return {
    answers: async (input) =>
      samplePredictions(task, await run([input], 0, input.shape[0] ?? 0), chosen, options),
    dispose,
  };
}

async function openNaming(checkpoint: Checkpoint): Promise<Answering> {
  const { run, dispose } = await openInferenceModel(checkpoint);
  return {
    answers: async (input) => {
      const rows = input.shape[0] ?? 0;
      const [output] = await run([input], 0, rows);
      const names = Array.from<string | number>((output?.data ?? []) as ArrayLike<string | number>);
      const width = names.length / rows;
      return Array.from({ length: rows }, (_, row) => ({
        answer: names.slice(row * width, (row + 1) * width),
      }));
    },
    dispose,
  };
}

async function filesAt(path: string, kind: FileKind): Promise<{ folder: boolean; files: readonly string[] }> {
  const inBucket = isBucketAddress(path);
  if (inBucket && !path.endsWith("/") && (await findObject(path))) return { folder: false, files: [path] };
  const isThere = inBucket && (await bucketEntries(path)).length > 0;
  const found = inBucket ? isThere && { isDirectory: () => true } : await stat(path).catch(() => null);
  if (!found) {
    throw new DataError(
      `${path}: expected a file or a folder of ${kind.many}, got nothing there.`,
      `${kind.one}-missing`,
    );
  }
  if (!found.isDirectory()) return { folder: false, files: [path] };
  return { folder: true, files: [...(await listTree(path, kind)).files].sort() };
}

/** Tells whether the model's one output is what a lookup names: texts, or the whole numbers of an inverted IntegerLookup. */
function looksUpItsOutput(graph: LayerGraph): boolean {
  const [output, ...more] = graph.outputs;
  if (!output || more.length > 0) return false;
  const node = graph.nodes[output.ref.node]!;
  if (node.outputs[output.ref.output]!.dtype === "string") return true;
  const { className, config } = layerAt(graph, node.layer);
  return className === "IntegerLookup" && config["invert"] === true;
}
