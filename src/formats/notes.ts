import type { Json, JsonObject, Notes, PreprocessMode } from "../checkpoint.ts";
import { pixelStatistics } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";
import { parsePythonJson } from "./python-json.ts";

/**
 * The key of the notes in a `.keras` archive's metadata.json, and of their root attribute in .h5. Keras reads neither.
 */
export const notesKey = "keras_finetune";

const preprocessModes: readonly unknown[] = [
  "caffe",
  "tf",
  "torch",
  "unit",
  "none",
] satisfies PreprocessMode[];
const bnModes = ["inference", "follow", "freeze", "train"] as const;

/** Reads the notes in `json`. Values of an unexpected form are dropped, since another release may have written them. */
export function readNotes(json: Json | undefined): Notes {
  if (!isObject(json)) return {};
  const labels = strings(json["labels"]);
  const newLayers = strings(json["new_layers"]);
  const preprocess = preprocessMode(json["preprocess"]);
  const bnMode = bnModes.find((mode) => mode === json["bn_mode"]);
  const imageSize = size(json["image_size"]);
  return {
    ...(labels && { labels }),
    ...(preprocess && { preprocess }),
    ...(imageSize && { imageSize }),
    ...(json["crop"] === true && { crop: true }),
    ...(isObject(json["preprocessor"]) && { preprocessor: json["preprocessor"] }),
    ...(bnMode && { bnMode }),
    ...(newLayers && { newLayers }),
  };
}

/** Reads the notes in a JSON text. Returns no notes if it is not JSON. */
export function parseNotes(text: string | undefined): Notes {
  if (text === undefined) return {};
  try {
    return readNotes(parsePythonJson(text, notesKey));
  } catch {
    return {};
  }
}

/** Returns the notes as JSON, undefined if there are none. */
export function writeNotes(notes: Notes): JsonObject | undefined {
  const json: JsonObject = {
    ...(notes.labels && { labels: notes.labels }),
    ...(notes.preprocess && { preprocess: notes.preprocess }),
    ...(notes.imageSize && { image_size: notes.imageSize }),
    ...(notes.crop && { crop: true }),
    ...(notes.preprocessor && { preprocessor: notes.preprocessor }),
    ...(notes.bnMode && { bn_mode: notes.bnMode }),
    ...(notes.newLayers && { new_layers: notes.newLayers }),
  };
  return Object.keys(json).length > 0 ? json : undefined;
}

function preprocessMode(json: Json | undefined): PreprocessMode | undefined {
  if (typeof json !== "string") return undefined;
  return preprocessModes.includes(json) || pixelStatistics(json) ? (json as PreprocessMode) : undefined;
}

function strings(json: Json | undefined): readonly string[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const items: readonly Json[] = json;
  return items.every((item) => typeof item === "string") ? items : undefined;
}

function size(json: Json | undefined): readonly [number, number] | undefined {
  if (!Array.isArray(json)) return undefined;
  const [height, width]: readonly Json[] = json;
  return typeof height === "number" && typeof width === "number" ? [height, width] : undefined;
}
