import { flatWarning, leavesHub } from "../../architectures/hub/hub-models.ts";
import type { Checkpoint } from "../../checkpoint.ts";
import { layerGraph } from "../../topology/build-graph.ts";
import { changesInKeras3 } from "../../topology/translate/changes-in-keras3.ts";
import { neededClasses } from "../../topology/translate/custom-classes.ts";
import { earlyVersion, inEarlyForm, refuseEncodedColumns } from "../../topology/translate/early-keras3.ts";
import { replaceFile } from "../atomic-file.ts";
import { dialectVersion, inDialect, leftInDialect, listed } from "../dialect-writing.ts";
import type { Format } from "../format.ts";
import { readKerasArchive, writeKerasArchive } from "./archive.ts";

/** `.keras`, a whole model in Keras 3's dialect. */
export const kerasFormat: Format = {
  name: "keras",
  endings: [".keras"],
  isFolder: false,
  fileName: "model.keras",
  holdsModel: true,
  holdsGraphs: false,
  read: (source, { values }) =>
    source.kind === "zip" ? readKerasArchive(source.entries, source.path, values) : undefined,
  write: (path, checkpoint) =>
    replaceFile(path, (descriptor) => writeKerasArchive(descriptor, path, checkpoint)),
  warnings: (checkpoint, release) => {
    const changes = changesInKeras3(checkpoint, release);
    const others = [
      ...(leavesHub(checkpoint.modelConfig) ? [flatWarning(".keras")] : []),
      ...neededClasses(checkpoint, true),
    ];
    if (changes.length === 0) return others;
    const isKeras3 = checkpoint.kerasVersion.startsWith("3");
    const opener = release === "early" ? "in Keras 3.0" : isKeras3 ? `in Keras ${dialectVersion}` : "";
    const advice = isKeras3
      ? `Open it in Keras ${checkpoint.kerasVersion} to keep its numbers`
      : "Write .h5 to keep its numbers";
    return [
      ...others,
      `Saved as .keras, the model computes differently${opener && ` ${opener}`} than in Keras ${checkpoint.kerasVersion}: ${listed(changes)}. ${advice}, or fine-tune it in the new form.`,
    ];
  },
  leftBehind: (checkpoint) => leftInDialect(checkpoint, "keras3"),
  forEarlyKeras3,
};

/**
 * Returns the checkpoint in the form of Keras 3's `.keras` that Keras 3.0 to 3.3 open too, with the meaning that these give it.
 * Later releases open it as well, and give `model.output` as a list.
 * @throws {TopologyError} naming the layer that Keras 3, or 3.0, cannot hold or open.
 */
export function forEarlyKeras3(checkpoint: Checkpoint): Checkpoint {
  const translated = inDialect(checkpoint, "keras3");
  refuseEncodedColumns(layerGraph(translated));
  return {
    ...translated,
    kerasVersion: earlyVersion,
    modelConfig: inEarlyForm(translated.modelConfig),
  };
}
