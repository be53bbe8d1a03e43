import { dirname } from "node:path";
import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import { isObject } from "../../topology/config-values.ts";
import { fromTfjs } from "../../topology/translate/tfjs/from-tfjs.ts";
import { placeInGroup } from "../h5/group-weights.ts";
import { placeVariables } from "../keras/variable-groups.ts";
import { layerSlots } from "../layer-slots.ts";
import { modelTree } from "../model-tree.ts";
import { notesKey, readNotes } from "../notes.ts";
import type { ReadValues } from "../read-values.ts";
import { readPlaced } from "../stored-weights.ts";
import { groupOfNames } from "../virtual-groups.ts";
import { readGraphModel } from "./graph.ts";
import { storedInManifest } from "./manifest.ts";

/**
 * @file Reads tfjs models: a model.json with the config of a Keras model, or with a graph, and weights in shards beside
 * it, as written by tensorflowjs_converter, by tfjs-layers itself (`model.save`), or by this package.
 */

/**
 * Reads the checkpoint of a model.json.
 * @param path Where the model.json was found. Shards lie beside it.
 * @param values False to read shapes only.
 * @throws {KerasFileError} naming what is missing or does not fit.
 * @throws {TopologyError} naming a layer of tfjs-layers that computes something that no Keras does.
 */
export function readTfjsModel(model: JsonObject, path: string, values: ReadValues): Checkpoint {
  const topology = model["modelTopology"];
  if (isObject(topology) && "node" in topology) return readGraphModel(model, topology, path, values);
  if (!isObject(topology)) {
    throw new KerasFileError(
      `${path}: modelTopology: expected an object. It is no model of tfjs.`,
      "structure",
    );
  }
  const { modelConfig, kerasVersion } = configOf(topology, path);
  const { training_config: trainingConfig } = topology;
  const metadata = model["userDefinedMetadata"];
  return {
    format: "tfjs",
    kerasVersion,
    modelConfig,
    weights: readWeights(model, { modelConfig, kerasVersion }, path, values),
    ...(isObject(trainingConfig) && { trainingConfig }),
    notes: readNotes(isObject(metadata) ? metadata[notesKey] : undefined),
  };
}

/**
 * Returns `{ class_name, config }` and the Keras version. A config in tfjs-layers's own vocabulary is converted to
 * Keras 2's.
 */
function configOf(topology: JsonObject, path: string): Pick<Checkpoint, "modelConfig" | "kerasVersion"> {
  const inner = topology["model_config"] ?? topology;
  if (!isObject(inner) || typeof inner["class_name"] !== "string") {
    throw new KerasFileError(`${path}: modelTopology: expected a class_name and a config.`, "structure");
  }
  const { class_name, config = null } = inner;
  const modelConfig: JsonObject = { class_name, config };
  const version: Json = topology["keras_version"] ?? "2";
  if (typeof version === "string" && !version.startsWith("tfjs-layers")) {
    return { modelConfig, kerasVersion: version };
  }
  return { modelConfig: fromTfjs(modelConfig), kerasVersion: "2" };
}

function readWeights(
  model: JsonObject,
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  path: string,
  values: ReadValues,
): Checkpoint["weights"] {
  const stored = storedInManifest(model["weightsManifest"] ?? [], dirname(path), path);
  const slots = layerSlots(checkpoint);
  const placement = stored.some(({ name }) => numbered.test(name))
    ? placeVariables(modelTree(checkpoint.modelConfig), slots, groupOfNames(stored))
    : placeInGroup(path, [...slots.values()], stored);
  return readPlaced(placement, values, path);
}

/** The names that the converter gives to weights from the model.weights.h5 of a `.keras` archive. */
const numbered = /^layers\/.*\/vars\/\d+$/;
