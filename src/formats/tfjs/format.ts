import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Format } from "../format.ts";
import { readJsonFile } from "../source.ts";
import { readTfjsModel } from "./folder.ts";
import { modelJsonName, writeTfjsFolder } from "./folder-writer.ts";

/** A tfjs folder: a model of tfjs-layers, or a graph model. */
export const tfjsFormat: Format = {
  name: "tfjs",
  endings: [],
  isFolder: true,
  fileName: "model_tfjs",
  holdsModel: true,
  holdsGraphs: true,
  read: (source, { values }) => {
    if (source.kind === "json") return readTfjsModel(source.json, source.path, values);
    const path = join(source.path, modelJsonName);
    if (source.kind !== "folder" || !existsSync(path)) return undefined;
    return readTfjsModel(readJsonFile(path), path, values);
  },
  write: (path, checkpoint) => writeTfjsFolder(path, checkpoint),
  warnings: () => [],
  leftBehind: () => "Loss, metrics and optimizer are left out: a tfjs folder is for predictions only.",
};
