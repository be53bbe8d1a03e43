import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint, Json, JsonObject, Notes } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { isObject } from "../topology/config-values.ts";

/** @file Class names in a file beside a model, as Teachable Machine exports them. */

/**
 * Returns the checkpoint with the class names of a `labels.txt` or a `metadata.json` in `folder`, if the file itself has
 * none and their number is that of the model's classes. The images of a Teachable Machine model range from -1 to 1.
 */
export function withLabelsBeside(checkpoint: Checkpoint, folder: string): Checkpoint {
  if (checkpoint.notes.labels) return checkpoint;
  const found = labelsText(join(folder, "labels.txt")) ?? metadata(join(folder, "metadata.json"));
  const labels = found?.labels;
  if (!labels || new Set(labels).size !== labels.length) return checkpoint;
  const units = unitsOf(checkpoint);
  const classes = units === 1 ? 2 : units;
  return labels.length === classes ? { ...checkpoint, notes: { ...found, ...checkpoint.notes } } : checkpoint;
}

type Found = Pick<Notes, "labels" | "preprocess">;

/** Reads one name a line. Teachable Machine writes the class's index before each: `0 ants`. */
function labelsText(path: string): Found | undefined {
  const text = textAt(path);
  if (text === undefined) return undefined;
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const isNumbered = lines.every((line, index) => line.startsWith(`${index} `));
  return { labels: isNumbered ? lines.map((line) => line.slice(line.indexOf(" ")).trim()) : lines };
}

function metadata(path: string): Found | undefined {
  const text = textAt(path);
  const { labels, packageName } = text === undefined ? {} : parsed(text);
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string")) return undefined;
  return { labels, ...(packageName === "@teachablemachine/image" && { preprocess: "tf" }) };
}

function parsed(text: string): JsonObject {
  try {
    const json = JSON.parse(text) as Json;
    return isObject(json) ? json : {};
  } catch {
    return {};
  }
}

/** Number of bytes beyond which a file is no list of class names. */
const limit = 2 ** 20;

function textAt(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const bytes = readFileSync(path);
    return bytes.length > limit ? undefined : bytes.toString("utf8").replace(/^\ufeff/, "");
  } catch {
    return undefined;
  }
}

/** Returns the size of the last axis of a lone output, undefined if there is none. */
function unitsOf(checkpoint: Checkpoint): number | undefined {
  try {
    const { nodes, outputs } = layerGraph(checkpoint);
    const [output, ...others] = outputs;
    if (!output || others.length > 0) return undefined;
    return nodes[output.ref.node]?.outputs[output.ref.output]?.shape?.at(-1) ?? undefined;
  } catch (error) {
    if (error instanceof TopologyError) return undefined;
    throw error;
  }
}
