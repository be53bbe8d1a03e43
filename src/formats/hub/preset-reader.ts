import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { backboneNetwork, hubArguments, withHubNetworks } from "../../architectures/hub/hub-models.ts";
import { imageNotesOf } from "../../architectures/hub/image-converter.ts";
import type { Checkpoint, JsonObject, Weights } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import type { Hdf5Group } from "../../hdf5/reader.ts";
import { isObject } from "../../topology/config-values.ts";
import { snakeCase } from "../../topology/naming.ts";
import { placeVariables } from "../keras/variable-groups.ts";
import { layerSlots } from "../layer-slots.ts";
import { modelTree, type TreeNode } from "../model-tree.ts";
import { notesKey, readNotes } from "../notes.ts";
import type { ReadValues } from "../read-values.ts";
import { readJsonFile, withSource } from "../source.ts";
import { readPlaced } from "../stored-weights.ts";
import { withShards } from "../weights/sharded.ts";
import { withTokenizerAssets } from "./tokenizer-assets.ts";

/** @file Reads preset folders of KerasHub (`keras_hub/src/utils/preset_utils.py`). */

/** The backbone's class and arguments. */
export const configName = "config.json";
/** The task's class and arguments, its backbone's and preprocessor's among them. */
export const taskName = "task.json";
export const metadataName = "metadata.json";
export const weightsName = "model.weights.h5";
/** The map of a large backbone's weights in shards, `model_00000.weights.h5` and so on. */
export const shardMapName = "model.weights.json";
export const taskWeightsName = "task.weights.h5";
/** The folder of the tokenizer's vocabulary. */
export const tokenizerFolder: string = join("assets", "tokenizer");

/** Returns whether a folder is a preset: no run folder has a file of these names. */
export function isPreset(folder: string): boolean {
  return [configName, taskName].some((name) => existsSync(join(folder, name)));
}

/**
 * Reads the task of a preset folder, or the backbone where there is none.
 * @throws {KerasFileError} naming what is missing or does not fit. @throws {TopologyError} for a class that is not known.
 */
export async function readPreset(folder: string, values: ReadValues): Promise<Checkpoint> {
  const hasTask = existsSync(join(folder, taskName));
  const entry = readJsonFile(join(folder, hasTask ? taskName : configName));
  const modelConfig = withTokenizerAssets(withHubNetworks(entry), (name) => {
    const path = join(folder, tokenizerFolder, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  });
  if (!hubArguments(modelConfig)) {
    throw new KerasFileError(
      `${folder}: expected a preset of KerasHub, got the class ${JSON.stringify(entry["class_name"] ?? null)}.`,
      "not-keras",
    );
  }
  const metadata = existsSync(join(folder, metadataName)) ? readJsonFile(join(folder, metadataName)) : {};
  const version = metadata["keras_version"];
  const kerasVersion = typeof version === "string" ? version : "3";
  const weights = hasTask
    ? await taskWeights(folder, { modelConfig, kerasVersion }, values)
    : await weightsIn(folder, weightsName, { modelConfig, kerasVersion }, values);
  const notes = { ...imageNotesOf(modelConfig), ...readNotes(metadata[notesKey]) };
  return { format: "hub", kerasVersion, modelConfig, weights, notes };
}

type Model = Pick<Checkpoint, "modelConfig" | "kerasVersion">;

/** Reads the backbone's weights and those of the head, which lie in files of their own. */
async function taskWeights(folder: string, model: Model, values: ReadValues): Promise<Weights> {
  const { entry, rest } = backboneIn(model.modelConfig);
  const backbone = { ...model, modelConfig: backboneNetwork(entry) };
  const inner = await weightsIn(folder, weightsName, backbone, values);
  const head = await weightsIn(folder, taskWeightsName, model, values, rest);
  const prefix = backboneName(entry);
  return new Map([...[...inner].map(([path, layer]) => [`${prefix}/${path}`, layer] as const), ...head]);
}

/** Returns the entry of a task's backbone as KerasHub writes it, and the tree of the layers around it. */
export function backboneIn(modelConfig: JsonObject): { readonly entry: JsonObject; readonly rest: TreeNode } {
  const entry = hubArguments(modelConfig)?.["backbone"];
  if (!isObject(entry ?? null)) throw new Error("a task of KerasHub without its backbone");
  const tree = modelTree(modelConfig);
  const name = backboneName(entry as JsonObject);
  const children = (tree.children ?? []).filter((child) => child.name !== name);
  return { entry: entry as JsonObject, rest: { ...tree, children } };
}

/** Returns the name of a backbone. The arguments of VGG's and of some others have none, so that it is that of the class. */
export function backboneName(entry: JsonObject): string {
  const { name } = entry["config"] as JsonObject;
  return typeof name === "string" ? name : snakeCase(String(entry["class_name"]));
}

function weightsIn(
  folder: string,
  name: string,
  model: Model,
  values: ReadValues,
  tree: TreeNode = modelTree(model.modelConfig),
): Promise<Weights> {
  const path = join(folder, name);
  const place = (root: Hdf5Group): Weights =>
    readPlaced(placeVariables(tree, layerSlots(model), root), values, path);
  const map = join(folder, shardMapName);
  if (name === weightsName && existsSync(map)) return withShards(readJsonFile(map), map, place);
  if (!existsSync(path)) {
    throw new KerasFileError(`${folder}: expected the weights in ${name}, got none.`, "structure");
  }
  return withSource(path, (source) => {
    if (source.kind !== "hdf5") {
      throw new KerasFileError(
        `${path}: expected an HDF5 file, got another ${source.kind} file.`,
        "not-keras",
      );
    }
    return place(source.file.root);
  });
}
