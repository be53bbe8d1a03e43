import type { Format } from "../format.ts";
import { isPreset, readPreset } from "./preset-reader.ts";
import { writePreset } from "./preset-writer.ts";

/** A preset folder of KerasHub, as `save_to_preset` writes it and `from_preset` opens it. */
export const hubFormat: Format = {
  name: "hub",
  endings: [],
  isFolder: false,
  fileName: "model_preset",
  holdsModel: true,
  holdsGraphs: false,
  read: ({ kind, path }, { values }) =>
    kind === "folder" && isPreset(path) ? readPreset(path, values) : undefined,
  write: (path, checkpoint) => writePreset(path, checkpoint),
  warnings: () => [],
  leftBehind: () => "Loss, metrics and optimizer are left out: a preset folder of KerasHub holds none.",
};
