import type { Checkpoint } from "../../checkpoint.ts";
import type { VirtualFile } from "../../hdf5/file-system.ts";
import { createHdf5 } from "../../hdf5/writer.ts";
import { inDialect } from "../dialect-writing.ts";
import { writeVariables } from "../keras/variable-groups.ts";
import { modelTree } from "../model-tree.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { stringifyPythonJson } from "../python-json.ts";

/** Writes the weights alone, as `model.save_weights` of Keras 3 does. @throws {TopologyError} as for `.keras`. */
export async function writeWeightsH5(file: VirtualFile, label: string, original: Checkpoint): Promise<void> {
  const checkpoint = inDialect(original, "keras3");
  const notes = writeNotes(checkpoint.notes);
  const writer = await createHdf5(file, label);
  try {
    writeVariables(modelTree(checkpoint.modelConfig), checkpoint, writer);
    if (notes) writer.text("/", notesKey, stringifyPythonJson(notes));
  } finally {
    writer.close();
  }
}
