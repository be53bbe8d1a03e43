import type { Checkpoint, Json, JsonObject } from "../checkpoint.ts";
import type { Hdf5Group } from "../hdf5/reader.ts";
import { float32Tensor, type Tensor, toFloat32 } from "../tensor.ts";
import { isObject } from "../topology/config-values.ts";
import { classNameOf } from "../topology/dialects/class-names.ts";
import { modernConfig } from "../topology/dialects/layer-config.ts";
import { editLayers, withConfig } from "../topology/edit-config.ts";
import { outputMode } from "../topology/specs/encoded-indices.ts";
import { idfWeightsOf } from "../topology/specs/lookups.ts";
import type { ZipEntry } from "../zip/reader.ts";

/**
 * @file State that lookup layers have learned from data: vocabularies in text files of a `.keras` archive, and idf weights
 * among its variables.
 */

const lookups: ReadonlySet<string> = new Set(["IntegerLookup", "StringLookup", "TextVectorization"]);

/** Path of a layer's idf weights below its group. TextVectorization stores them in its inner lookup layer too. */
export const idfName = "vars/idf_weights";

/** The name of idf weights in Keras 2's .h5. */
export const idfNameInH5 = "Variable";

/**
 * Returns true for a name of idf weights. In a nested model these names have no scope, so that further ones are
 * numbered.
 */
export function isIdfNameInH5(name: string): boolean {
  return /^Variable(_\d+)?$/.test(name);
}

/**
 * Returns the config with the vocabularies of adapted layers inlined, as if they had been given when the layers were
 * made: every format can hold them there.
 * @param groups The group of each layer, by layer path.
 */
export function withVocabularies(
  modelConfig: JsonObject,
  groups: ReadonlyMap<string, string>,
  entries: ReadonlyMap<string, ZipEntry>,
  root: Hdf5Group,
): JsonObject {
  return editLayers(modelConfig, ({ path, json }) => {
    const config = lookupConfig(json);
    const group = groups.get(path);
    const entry = group === undefined ? undefined : entries.get(`assets/${group}/vocabulary.txt`);
    if (!config || !entry || Array.isArray(config["vocabulary"])) return json;
    const lines = linesOf(new TextDecoder().decode(entry.read()));
    const vocabulary = json["class_name"] === "IntegerLookup" ? lines.map(Number) : lines;
    const idf = root.group(group!)?.group("vars")?.dataset("idf_weights");
    const idfWeights = idf && [...toFloat32(idf.read())].slice(0, vocabulary.length);
    return withConfig(json, { vocabulary, ...(idfWeights && { idf_weights: idfWeights }) });
  });
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

function lookupConfig(json: JsonObject): JsonObject | undefined {
  const config = json["config"];
  return isObject(config) && lookups.has(classNameOf(json, 3)) ? config : undefined;
}

/**
 * Returns the idf weights that Keras 3 expects in a `.keras` archive, by layer path and by their path below the layer's
 * group.
 */
export function storedIdfWeights({
  modelConfig,
}: Pick<Checkpoint, "modelConfig">): ReadonlyMap<string, ReadonlyMap<string, Tensor>> {
  const found = new Map<string, ReadonlyMap<string, Tensor>>();
  editLayers(modelConfig, ({ path, json }) => {
    const config = lookupConfig(json);
    const weights: Json | undefined = config?.["idf_weights"];
    if (!config || !Array.isArray(weights) || !Array.isArray(config["vocabulary"])) return json;
    const className = classNameOf(json, 3);
    const modern = modernConfig(className, config, 3);
    if (outputMode(modern) !== "tf_idf") return json;
    const values = Float32Array.from(idfWeightsOf(modern));
    const tensor = float32Tensor(values, [values.length]);
    const inside = className === "TextVectorization" ? [`_lookup_layer/${idfName}`] : [];
    found.set(path, new Map([idfName, ...inside].map((name) => [name, tensor])));
    return json;
  });
  return found;
}
