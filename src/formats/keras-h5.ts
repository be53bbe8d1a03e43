import type { Checkpoint, JsonObject, Weight } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import type { Hdf5File, Hdf5Group } from "../hdf5/reader.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { isObject } from "../topology/config-values.ts";
import { keras1ToKeras2 } from "../topology/dialects/keras1-model.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import { placeInGroup } from "./group-weights.ts";
import { fromKeras1, ownedInKeras1 } from "./keras1-weights.ts";
import { type LayerSlots, layerSlots } from "./layer-slots.ts";
import { leavesOf, modelTree } from "./model-tree.ts";
import { notesKey, parseNotes } from "./notes.ts";
import { parsePythonJson } from "./python-json.ts";
import {
  joinPlacements,
  type Placement,
  placeInLayer,
  readPlaced,
  type StoredWeight,
  storedWeight,
} from "./stored-weights.ts";
import { fromTheano } from "./theano-kernels.ts";
import { isIdfNameInH5, storedIdfWeights } from "./vocabularies.ts";

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
  const written = jsonAttribute(root, "model_config", label);
  if (!written) throw new KerasFileError(`${label}: has no model_config.`, "structure");
  const group = root.group("model_weights");
  if (!group)
    throw new KerasFileError(`${label}: has a model_config but no group model_weights.`, "structure");
  const kerasVersion = root.text("keras_version") ?? group.text("keras_version") ?? "1";
  const trainingConfig = jsonAttribute(root, "training_config", label);
  const names = group.textList("layer_names");
  if (!names) throw new KerasFileError(`${label}: ${group.path}: has no layer_names.`, "structure");
  const isKeras1 = /^1\b/.test(kerasVersion);
  const modelConfig = isKeras1 ? keras1ToKeras2(written, names) : written;
  const model = { modelConfig, kerasVersion };
  const optimizerWeights = values && !isKeras1 ? readOptimizer(root, label) : undefined;
  const graph = ranOnTheano(root, group, names, isKeras1) ? layerGraph(model) : undefined;
  const placed = placeH5Weights(model, names, group, label, isKeras1);
  const placement = graph ? fromTheano(placed, graph, label) : placed;
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

/**
 * Whether the file's kernels are Theano's. Keras 2 says so; Keras 1 does not, but only TensorFlow ends a variable's name
 * with `:0`.
 */
function ranOnTheano(
  root: Hdf5Group,
  group: Hdf5Group,
  names: readonly string[],
  isKeras1: boolean,
): boolean {
  if (!isKeras1) return (root.text("backend") ?? group.text("backend")) === "theano";
  const weights = names.flatMap((name) => group.group(name)?.textList("weight_names") ?? []);
  return weights.length > 0 && !weights.some((name) => name.endsWith(":0"));
}

type Model = Pick<Checkpoint, "modelConfig" | "kerasVersion">;

/** The weights below `group`, which has a group a layer, in the layers of the model: by the names of the groups. */
function placeH5Weights(
  model: Model,
  names: readonly string[],
  group: Hdf5Group,
  label: string,
  isKeras1: boolean,
): Placement {
  const slots = layerSlots(model);
  const tree = modelTree(model.modelConfig);
  const place = isKeras1 ? placeInKeras1(model) : placeInGroup;
  const idfWeights = storedIdfWeights(model);
  const groups = new Map(names.map((name) => [name, storedInGroup(group, name, label)]));
  const placements: Placement[] = [];
  for (const child of tree.children ?? []) {
    const leaves = leavesOf(child);
    const layers = leaves.flatMap((leaf): LayerSlots[] => {
      const layer = slots.get(leaf.path);
      return layer ? [layer] : [];
    });
    const inside = groups.get(child.name) ?? [];
    const weighs = leaves.some(({ path }) => idfWeights.has(path));
    const stored = weighs ? inside.filter(({ name }) => !isIdfNameInH5(name)) : inside;
    groups.delete(child.name);
    if (layers.length > 0) placements.push(place(child.name, layers, stored));
  }
  const left = [...groups].filter(([, stored]) => stored.length > 0);
  const problems = left.flatMap(([name, stored]) =>
    stored.map((weight) => `${name}/${weight.name} is in the file but not in the model`),
  );
  return joinPlacements([...placements, { weights: new Map(), problems }]);
}

/** Places a group's weights after making them Keras 2's. */
function placeInKeras1(model: Model): typeof placeInGroup {
  const byPath = layersByPath(layerGraph(model));
  return (_group, slots, stored) => {
    const layers = slots.map(({ path }) => byPath.get(path)!);
    const owned = ownedInKeras1(layers, stored);
    return joinPlacements(
      slots.map((slot, index) => placeInLayer(slot, fromKeras1(layers[index]!, owned.get(slot.path) ?? []))),
    );
  };
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
