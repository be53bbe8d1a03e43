/** @file Models as ONNX files. */
import { writeFileSync } from "node:fs";
import type { Checkpoint } from "../checkpoint.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import { onnxKernels, onnxModel } from "../formats/onnx/onnx-model.ts";
import { traceProgram } from "../model/trace-program.ts";

export interface OnnxFileOptions {
  /** Order of the axes of image inputs: NHWC as Keras has them (the default), or NCHW as PyTorch has them. */
  readonly layout?: "nhwc" | "nchw";
  /** `[height, width]` in pixels for a model whose image size is free. */
  readonly imageSize?: readonly [number, number];
}

/**
 * Writes the model in inference form as an ONNX file of opset 17 with a free batch, its labels and preprocessing as metadata.
 * The file is whole, or as it was before.
 * @throws {TopologyError} naming the layer that has no ONNX form.
 */
export async function writeOnnx(
  path: string,
  checkpoint: Checkpoint,
  { layout = "nhwc", imageSize }: OnnxFileOptions = {},
): Promise<void> {
  const size = imageSize ?? checkpoint.notes.imageSize;
  const program = await traceProgram(checkpoint, {
    kernels: onnxKernels,
    ...(size !== undefined && { imageSize: size }),
  });
  const { labels, preprocess } = checkpoint.notes;
  const bytes = onnxModel(program, {
    layout,
    metadata: {
      keras_version: checkpoint.kerasVersion,
      ...(labels && { labels: JSON.stringify(labels) }),
      ...(preprocess && { preprocess }),
    },
  });
  await replaceFile(path, async (descriptor) => writeFileSync(descriptor, bytes));
}
