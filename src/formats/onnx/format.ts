import { writeFileSync } from "node:fs";
import type { Checkpoint, PreprocessMode } from "../../checkpoint.ts";
import { replaceFile } from "../atomic-file.ts";
import type { Format } from "../format.ts";
import { onnxKernels, onnxModel } from "./onnx-model.ts";

/** The model in inference form for ONNX runtimes. Written only: its operations are no layers that could be trained. */
export const onnxFormat: Format = {
  name: "onnx",
  endings: [".onnx"],
  isFolder: false,
  fileName: "model.onnx",
  holdsModel: true,
  holdsGraphs: true,
  operations: onnxKernels,
  read: () => undefined,
  write: async (path, checkpoint, { program, preprocess, ...options }) => {
    if (!program) throw new Error(`${path}: an ONNX file is written from a program of operations`);
    const bytes = await onnxModel(program, { ...options, metadata: metadataOf(checkpoint, preprocess) });
    return replaceFile(path, async (descriptor) => writeFileSync(descriptor, bytes));
  },
  warnings: () => [],
  leftBehind: () =>
    "an ONNX file holds the model for inference alone: no loss, optimizer or trainable flags. Keep the Keras file for training.",
};

/** Returns what a program needs besides the graph to prepare images and to read scores, as texts. */
function metadataOf(
  { kerasVersion, notes }: Checkpoint,
  preprocess: PreprocessMode | undefined = notes.preprocess,
): Record<string, string> {
  const { labels } = notes;
  return {
    keras_version: kerasVersion,
    ...(labels && { labels: JSON.stringify(labels) }),
    ...(preprocess && { preprocess }),
  };
}
