import type { Checkpoint, JsonObject, Weight } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import type { Hdf5File, Hdf5Group } from "../hdf5/reader.ts";
import { placeInGroup } from "./group-weights.ts";
import { type LayerSlots, layerSlots } from "./layer-slots.ts";
import { isObject, leavesOf, modelTree } from "./model-tree.ts";
import { notesKey, parseNotes } from "./notes.ts";
import { parsePythonJson } from "./python-json.ts";
import {
  joinPlacements,
  type Placement,
  readPlaced,
  type StoredWeight,
  storedWeight,
} from "./stored-weights.ts";

/**
 * @file Whole models in `.h5`, of Keras 1, 2 and 3 (`keras/src/legacy/saving/legacy_h5_format.py`): root attributes
 * model_config and training_config, group model_weights with a group a layer, each listing its weights by name.
 */

/**
 * The checkpoint in an open `.h5` that has a model_config.
 * @param values False to read shapes only.
 * @throws {KerasFileError} naming what is missing or does not fit.
 */
export function readKerasH5(file: Hdf5File, label: string, values: boolean): Checkpoint {
  const { root } = file;
  const modelConfig = jsonAttribute(root, "model_config", label);
  if (!modelConfig) throw new KerasFileError(`${label}: has no model_config.`, "structure");
  const group = root.group("model_weights");
  if (!group)
    throw new KerasFileError(`${label}: has a model_config but no group model_weights.`, "structure");
  const kerasVersion = root.text("keras_version") ?? group.text("keras_version") ?? "1";
  const trainingConfig = jsonAttribute(root, "training_config", label);
  const optimizerWeights = values ? readOptimizer(root, label) : undefined;
  const placement = placeH5Weights({ modelConfig, kerasVersion }, group, label);
  return {
    format: "h5",
    kerasVersion,
    modelConfig,
    weights: readPlaced(placement, values, label),
    ...(trainingConfig && { trainingConfig }),
    ...(optimizerWeights && { optimizerWeights }),
    notes: parseNotes(root.text(notesKey)),
  };
}

function jsonAttribute(root: Hdf5Group, name: string, label: string): JsonObject | undefined {
  const text = root.text(name);
  if (text === undefined) return undefined;
  const json = parsePythonJson(text, `${label}: ${name}`);
  if (isObject(json)) return json;
  throw new KerasFileError(`${label}: ${name}: expected an object, got ${text.slice(0, 40)}.`, "structure");
}

/** The weights below `group`, which has a group a layer, in the layers of the model: by the names of the groups. */
function placeH5Weights(
  model: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  group: Hdf5Group,
  label: string,
): Placement {
  const slots = layerSlots(model);
  const tree = modelTree(model.modelConfig);
  const names = group.textList("layer_names");
  if (!names) throw new KerasFileError(`${label}: ${group.path}: has no layer_names.`, "structure");
  const groups = new Map(names.map((name) => [name, storedInGroup(group, name, label)]));
  const placements: Placement[] = [];
  for (const child of tree.children ?? []) {
    const layers = leavesOf(child).flatMap((leaf): LayerSlots[] => {
      const layer = slots.get(leaf.path);
      return layer ? [layer] : [];
    });
    const stored = groups.get(child.name) ?? [];
    groups.delete(child.name);
    if (layers.length > 0) placements.push(placeInGroup(child.name, layers, stored));
  }
  const left = [...groups].filter(([, stored]) => stored.length > 0);
  const problems = left.flatMap(([name, stored]) =>
    stored.map((weight) => `${name}/${weight.name} is in the file but not in the model`),
  );
  return joinPlacements([...placements, { weights: new Map(), problems }]);
}

/** A layer's weights in the file's order. @throws {KerasFileError} for one that is listed but not there. */
export function storedInGroup(parent: Hdf5Group, name: string, label: string): readonly StoredWeight[] {
  const group = parent.group(name);
  if (!group)
    throw new KerasFileError(`${label}: ${parent.path}: layer ${name} is listed but not there.`, "structure");
  return (group.textList("weight_names") ?? []).map((weightName) => {
    const dataset = group.dataset(weightName);
    if (dataset) return storedWeight(weightName.replace(/:0$/, ""), dataset);
    throw new KerasFileError(
      `${label}: ${group.path}: weight ${weightName} is listed but not there.`,
      "structure",
    );
  });
}

/** The optimizer's variables under the names of the file. */
function readOptimizer(root: Hdf5Group, label: string): readonly Weight[] | undefined {
  const group = root.group("optimizer_weights");
  const names = group?.textList("weight_names");
  if (!group || !names || names.length === 0) return undefined;
  return names.map((name) => {
    const dataset = group.dataset(name);
    if (!dataset)
      throw new KerasFileError(
        `${label}: ${group.path}: weight ${name} is listed but not there.`,
        "structure",
      );
    return { name, ...dataset.read() };
  });
}
