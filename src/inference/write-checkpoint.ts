import type { Checkpoint } from "../checkpoint.ts";
import { writeCheckpoint as writeLayers } from "../formats/checkpoint-file.ts";
import { formatAt, formatNamed } from "../formats/formats.ts";
import type { WriteOptions } from "../formats/write-options.ts";
import { traceProgram } from "../model/trace-program.ts";

export interface WriteCheckpointOptions extends Omit<WriteOptions, "program"> {
  /** Image size, `[height, width]` in pixels, for an `.onnx` of a model that leaves it free. Defaults to the checkpoint's. */
  readonly imageSize?: readonly [number, number] | undefined;
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
  checkpoint: Checkpoint,
  { imageSize = checkpoint.notes.imageSize, ...options }: WriteCheckpointOptions = {},
): Promise<void> {
  const { operations } = formatNamed(options.format ?? formatAt(path));
  if (!operations) return writeLayers(path, checkpoint, options);
  const program = await traceProgram(checkpoint, { kernels: operations, imageSize });
  return writeLayers(path, checkpoint, { ...options, program });
}
