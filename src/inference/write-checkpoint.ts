import { holdsHub, withoutHub } from "../architectures/hub/hub-models.ts";
import {
  withoutTextInput,
  withPreprocessorNoted,
  withSequenceLength,
} from "../architectures/hub/text-preprocessor.ts";
import type { Checkpoint, PreprocessMode } from "../checkpoint.ts";
import { detectPreprocess, imageInputIn } from "../data/input-images.ts";
import { pixelSteps } from "../data/preprocess.ts";
import { UsageError } from "../errors.ts";
import { writeCheckpoint as writeLayers } from "../formats/checkpoint-file.ts";
import { formatAt, formatNamed } from "../formats/formats.ts";
import type { WriteOptions } from "../formats/write-options.ts";
import { traceProgram } from "../model/trace-program.ts";
import { optionError, optionName, optionSetTo } from "../options.ts";
import { layerGraph } from "../topology/build-graph.ts";

export interface WriteCheckpointOptions extends Omit<WriteOptions, "pixels" | "preprocess" | "program"> {
  /** Image size, `[height, width]` in pixels, for an `.onnx` of a model that leaves it free. Defaults to the checkpoint's. */
  readonly imageSize?: readonly [number, number] | undefined;
  /** Preprocessing that an `.onnx` notes for its images, or does itself. Defaults to `"auto"`: as predictions find it. */
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** True makes an `.onnx` take pixels of 0 to 255 and do the preprocessing itself. Defaults to false: it is noted in the metadata. */
  readonly embedPreprocess?: boolean | undefined;
  /** True writes a model of KerasHub as a plain functional model, which Keras opens without KerasHub. Defaults to false. */
  readonly flat?: boolean | undefined;
}

/**
 * Writes a model in the format of `path`'s ending: `.keras` in Keras 3's dialect, `.h5` or `.hdf5` in the dialect it came in, a
 * folder (no ending, or a slash) for tfjs-layers; the weights alone as `.weights.h5`, or as `.weights.json` with shards beside
 * it; for inference in other runtimes as `.onnx`. On failure, the file or folder stays as it was before.
 * @throws {UsageError} for an ending of no format.
 * @throws {TopologyError} naming the layer that the format cannot hold.
 *
 * @example
 * await writeCheckpoint("tuned.keras", checkpoint);
 * await writeCheckpoint("tuned_web", checkpoint); // a folder for tf.loadLayersModel
 */
export async function writeCheckpoint(
  path: string,
  given: Checkpoint,
  {
    imageSize = given.notes.imageSize,
    preprocess,
    embedPreprocess,
    flat = false,
    ...options
  }: WriteCheckpointOptions = {},
): Promise<void> {
  const model = withoutTextInput(given);
  const checkpoint = flat ? flatModel(model) : model;
  const format = formatNamed(options.format ?? formatAt(path));
  if (!format.operations) {
    for (const [name, value] of Object.entries({ preprocess, embedPreprocess })) {
      if (value !== undefined) throw optionError(name, "the format onnx", format.name);
    }
    return writeLayers(path, checkpoint, options);
  }
  const pixels = pixelPreparation(checkpoint, preprocess ?? "auto", embedPreprocess ?? false);
  const program = await traceProgram(withSequenceLength(checkpoint), {
    kernels: format.operations,
    imageSize,
  });
  return writeLayers(path, checkpoint, { ...options, ...pixels, program });
}

/** Returns the preprocessing that is left to the caller of the written model, and the steps that it does itself. */
function pixelPreparation(
  checkpoint: Checkpoint,
  asked: PreprocessMode | "auto",
  isEmbedded: boolean,
): Pick<WriteOptions, "pixels" | "preprocess"> {
  const graph = layerGraph(checkpoint);
  const image = imageInputIn(graph);
  const refuse = (expected: string, got: string, advice: string): UsageError =>
    new UsageError(
      `${optionName("embedPreprocess")}: expected ${expected}, got ${got}. ${advice}`,
      "no-pixels",
      "embedPreprocess",
    );
  if (image?.layout !== "channels") {
    if (isEmbedded) throw refuse("a model of images", graph.name, "Leave it out.");
    return {};
  }
  const detected = detectPreprocess(graph, checkpoint.notes);
  const isKnown = asked !== "auto" || detected.source !== "unknown";
  const mode = asked === "auto" ? detected.mode : asked;
  if (!isEmbedded) return isKnown ? { preprocess: mode } : {};
  if (!isKnown) {
    throw refuse(
      "a known preprocessing",
      detected.reason,
      `Say which, ${optionSetTo("preprocess", "unit")}.`,
    );
  }
  return { preprocess: "none", pixels: pixelSteps(mode, image.channels) };
}

/** Returns a model of KerasHub as a plain functional model. @throws {UsageError} for a model that is none. */
export function flatModel(checkpoint: Checkpoint): Checkpoint {
  const { modelConfig } = checkpoint;
  if (holdsHub(modelConfig)) {
    return { ...withPreprocessorNoted(checkpoint), modelConfig: withoutHub(modelConfig) };
  }
  throw new UsageError(
    `${optionName("flat")}: expected a model of KerasHub, got another, which is written as it is. Leave it out.`,
    "not-of-hub",
    "flat",
  );
}
