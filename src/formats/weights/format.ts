import { inHubClasses } from "../../architectures/hub/hub-models.ts";
import type { Checkpoint } from "../../checkpoint.ts";
import { type VirtualFile, windowFile } from "../../hdf5/file-system.ts";
import { createHdf5 } from "../../hdf5/writer.ts";
import { layerGraph } from "../../topology/build-graph.ts";
import { dialectOf } from "../../topology/dialects/dialect.ts";
import { replaceFile } from "../atomic-file.ts";
import { inDialect, listed } from "../dialect-writing.ts";
import type { Format } from "../format.ts";
import { writeVariables } from "../keras/variable-groups.ts";
import { modelTree } from "../model-tree.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { stringifyPythonJson } from "../python-json.ts";
import { isShardMap, readShardedWeights } from "./sharded.ts";
import { shardMapEnding, writeShardedWeights } from "./sharded-writer.ts";
import { readWeightsOnly } from "./weights-only.ts";

/** Weights without their model, as `model.save_weights` of Keras 3 writes them, in one file or in shards. */
export const weightsFormat: Format = {
  name: "weights.h5",
  endings: [".weights.h5", shardMapEnding],
  isFolder: false,
  fileName: "model.weights.h5",
  holdsModel: false,
  holdsGraphs: false,
  read: (source, { network, values }) => {
    const { kind, path } = source;
    if (kind === "hdf5") return readWeightsOnly(source.file, path, network, values);
    if (kind === "json" && isShardMap(source.json)) {
      return readShardedWeights(source.json, path, network, values);
    }
    return undefined;
  },
  write: (path, checkpoint, { maxShardBytes }) =>
    path.toLowerCase().endsWith(shardMapEnding)
      ? writeShardedWeights(path, checkpoint, maxShardBytes)
      : replaceFile(path, (descriptor) => writeWeightsH5(windowFile(descriptor, 0, 0), path, checkpoint)),
  /** Keras 2.13 and later read a `.weights.h5` of Keras 3 too, except for the parts of one layer that it names differently. */
  warnings: (checkpoint) => {
    if (dialectOf(checkpoint).startsWith("keras3")) return [];
    const heads = layerGraph(checkpoint).layers.filter(({ className }) => className === "MultiHeadAttention");
    if (heads.length === 0) return [];
    const paths = heads.map(({ path }) => `${path}: MultiHeadAttention`);
    return [`Keras 2 does not find these weights in a .weights.h5: ${listed(paths)}. Write .h5 for Keras 2.`];
  },
  leftBehind: () => undefined,
};

/** Writes the weights alone as `model.save_weights` of Keras 3 does. @throws {TopologyError} as for `.keras`. */
async function writeWeightsH5(file: VirtualFile, label: string, original: Checkpoint): Promise<void> {
  const checkpoint = inDialect(original, "keras3");
  const notes = writeNotes(checkpoint.notes);
  const writer = await createHdf5(file, label);
  try {
    writeVariables(modelTree(inHubClasses(checkpoint.modelConfig)), checkpoint, writer);
    if (notes) writer.text("/", notesKey, stringifyPythonJson(notes));
  } finally {
    writer.close();
  }
}
