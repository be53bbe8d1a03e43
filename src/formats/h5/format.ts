import { flatWarning, holdsHub } from "../../architectures/hub/hub-models.ts";
import { windowFile } from "../../hdf5/file-system.ts";
import { neededClasses } from "../../topology/translate/custom-classes.ts";
import { refusalsOfKeras3 } from "../../topology/translate/keras3-refusals.ts";
import { replaceFile } from "../atomic-file.ts";
import { dialectInH5, leftInDialect, listed } from "../dialect-writing.ts";
import type { Format } from "../format.ts";
import { readKerasH5 } from "./reader.ts";
import { writeKerasH5 } from "./writer.ts";

/** `.h5`, a whole model in the dialect of the Keras that it came from. */
export const h5Format: Format = {
  name: "h5",
  endings: [".h5", ".hdf5"],
  isFolder: false,
  fileName: "model.h5",
  holdsModel: true,
  holdsGraphs: false,
  read: (source, { values }) =>
    source.kind === "hdf5" && source.file.root.text("model_config") !== undefined
      ? readKerasH5(source.file, source.path, values)
      : undefined,
  write: (path, checkpoint) =>
    replaceFile(path, (descriptor) => writeKerasH5(windowFile(descriptor, 0, 0), path, checkpoint)),
  warnings: (checkpoint) => {
    if (holdsHub(checkpoint.modelConfig)) return [flatWarning(".h5")];
    const refusals = refusalsOfKeras3(checkpoint);
    const classes = neededClasses(checkpoint, false);
    if (refusals.length === 0) return classes;
    const problem = checkpoint.kerasVersion.startsWith("3")
      ? "Saved as .h5, the model is opened by no Keras, not even as Keras itself writes it"
      : "Saved as .h5, the model remains one of Keras 2, which Keras 3 does not open";
    return [...classes, `${problem}: ${listed(refusals)}. Write .keras for Keras 3.`];
  },
  leftBehind: (checkpoint) => leftInDialect(checkpoint, dialectInH5(checkpoint)),
};
