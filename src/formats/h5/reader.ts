import { withHubNetworks } from "../../architectures/hub/hub-models.ts";
import { imageNotesOf } from "../../architectures/hub/image-converter.ts";
import type { Checkpoint, JsonObject, Weight } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import type { Hdf5File, Hdf5Group } from "../../hdf5/reader.ts";
import { layerGraph } from "../../topology/build-graph.ts";
import { isObject } from "../../topology/config-values.ts";
import { keras1ToKeras2 } from "../../topology/dialects/keras1-model.ts";
import { withSequentialNames } from "../../topology/dialects/sequential.ts";
import { layersByPath } from "../../topology/layer-graph.ts";
import { translateCompileConfig } from "../../topology/translate/compile-config.ts";
import { type LayerSlots, layerSlots } from "../layer-slots.ts";
import { leavesOf, modelTree } from "../model-tree.ts";
import { notesKey, parseNotes } from "../notes.ts";
import { leavesInOrder, placeOwnVariables } from "../own-variables.ts";
import { parsePythonJson } from "../python-json.ts";
import type { ReadValues } from "../read-values.ts";
import { keptAs, optimizerPath } from "../read-values.ts";
import {
  joinPlacements,
  type Placement,
  placeInLayer,
  readPlaced,
  type StoredWeight,
  storedWeight,
} from "../stored-weights.ts";
import { isIdfNameInH5, storedIdfWeights } from "../vocabularies.ts";
import { placeInGroup } from "./group-weights.ts";
import { fromKeras1, ownedInKeras1 } from "./keras1-weights.ts";
import { fromTheano } from "./theano-kernels.ts";

/**
 * @file Reads whole models in `.h5`, of Keras 1, 2 and 3 (`keras/src/legacy/saving/legacy_h5_format.py`). Root
 * attributes hold model_config and training_config; the group model_weights has one group for each layer, which lists
 * its weights by name.
 */

/**
 * Reads the checkpoint in an open `.h5` that has a model_config.
 * @param values False to read shapes only.
 * @throws {KerasFileError} naming what is missing or does not fit.
 */
export function readKerasH5(file: Hdf5File, label: string, values: ReadValues): Checkpoint {
  const { root } = file;
  const stated = jsonAttribute(root, "model_config", label);
  const written = stated && withHubNetworks(stated);
  if (!written) throw new KerasFileError(`${label}: has no model_config.`, "structure");
  const group = root.group("model_weights");
  if (!group)
    throw new KerasFileError(`${label}: has a model_config but no group model_weights.`, "structure");
  const kerasVersion = root.text("keras_version") ?? group.text("keras_version") ?? "1";
  const compiled = jsonAttribute(root, "training_config", label);
  // A network of KerasHub is built in the dialect of .keras, whatever file it lies in.
  const trainingConfig =
    compiled && written !== stated ? translateCompileConfig(compiled, "keras3-h5", "keras3") : compiled;
  if (!group.textList("layer_names"))
    throw new KerasFileError(`${label}: ${group.path}: has no layer_names.`, "structure");
  const optimizerWeights =
    values === false || isKeras1(kerasVersion)
      ? undefined
      : readOptimizer(root, label)?.map((weight) => keptAs(values, optimizerPath, weight));
  return {
    format: "h5",
    ...readNamedWeights({ modelConfig: written, kerasVersion }, { root, group, label, values }),
    ...(trainingConfig && { trainingConfig }),
    ...(optimizerWeights && { optimizerWeights }),
    notes: { ...imageNotesOf(written), ...parseNotes(root.text(notesKey)) },
  };
}

/** A file with one group for each layer, and what to read from it. */
export interface NamedGroups {
  readonly root: Hdf5Group;
  /** The group that holds the layers' groups; the root in a file of weights alone. */
  readonly group: Hdf5Group;
  readonly label: string;
  readonly values: ReadValues;
}

/**
 * Reads a model with the weights of a file that names its layers. The config of Keras 1 is returned in Keras 2's
 * dialect.
 * @throws {KerasFileError} naming what is missing or does not fit.
 */
export function readNamedWeights(
  { modelConfig: written, kerasVersion }: Model,
  { root, group, label, values }: NamedGroups,
): Pick<Checkpoint, "modelConfig" | "kerasVersion" | "weights"> {
  const names = group.textList("layer_names") ?? [];
  const ofKeras1 = isKeras1(kerasVersion);
  const modelConfig = ofKeras1 ? keras1ToKeras2(written, names) : withSequentialNames(written, names);
  const model = { modelConfig, kerasVersion };
  const graph = ranOnTheano(root, group, names, ofKeras1) ? layerGraph(model) : undefined;
  const placed = placeH5Weights(model, names, group, label, ofKeras1);
  const placement = graph ? fromTheano(placed, graph, label) : placed;
  return { ...model, weights: readPlaced(placement, values, label) };
}

function isKeras1(kerasVersion: string): boolean {
  return /^1\b/.test(kerasVersion);
}

function jsonAttribute(root: Hdf5Group, name: string, label: string): JsonObject | undefined {
  const text = root.text(name);
  if (text === undefined) return undefined;
  const json = parsePythonJson(text, `${label}: ${name}`);
  if (isObject(json)) return json;
  throw new KerasFileError(`${label}: ${name}: expected an object, got ${text.slice(0, 40)}.`, "structure");
}

/**
 * Returns true if the file's kernels are those of Theano. Keras 2 records the backend; Keras 1 does not, but only
 * TensorFlow's variable names end with `:0`.
 */
function ranOnTheano(
  root: Hdf5Group,
  group: Hdf5Group,
  names: readonly string[],
  ofKeras1: boolean,
): boolean {
  if (!ofKeras1) return (root.text("backend") ?? group.text("backend")) === "theano";
  const weights = names.flatMap((name) => group.group(name)?.textList("weight_names") ?? []);
  return weights.length > 0 && !weights.some((name) => name.endsWith(":0"));
}

type Model = Pick<Checkpoint, "modelConfig" | "kerasVersion">;

/**
 * Assigns the weights below `group`, which has one group for each layer, to the layers of the model by the names of the
 * groups.
 */
function placeH5Weights(
  model: Model,
  names: readonly string[],
  group: Hdf5Group,
  label: string,
  ofKeras1: boolean,
): Placement {
  const slots = layerSlots(model);
  const tree = modelTree(model.modelConfig);
  const place = ofKeras1 ? placeInKeras1(model) : placeInGroup;
  const idfWeights = storedIdfWeights(model);
  const groups = new Map(names.map((name) => [name, storedInGroup(group, name, label)]));
  const children = (tree.children ?? []).map((child) => {
    const leaves = leavesOf(child);
    const layers = leavesInOrder(child).flatMap((leaf) => slots.get(leaf.path) ?? []);
    return { name: child.name, leaves, layers };
  });
  const groupOf = groupNames(children, groups);
  const placements: Placement[] = [];
  for (const { name: child, leaves, layers } of children) {
    const name = groupOf(child);
    const inside = groups.get(name) ?? [];
    const weighs = leaves.some(({ path }) => idfWeights.has(path));
    const stored = weighs ? inside.filter((weight) => !isIdfNameInH5(weight.name)) : inside;
    groups.delete(name);
    const own = placeOwnVariables(leaves, stored);
    placements.push(own.placement);
    if (layers.length > 0) placements.push(place(child, layers, own.rest));
  }
  const left = [...groups].filter(([, stored]) => stored.length > 0);
  const problems = left.flatMap(([name, stored]) =>
    stored.map((weight) => `${name}/${weight.name} is in the file but not in the model`),
  );
  return joinPlacements([...placements, { weights: new Map(), problems }]);
}

interface OuterLayer {
  readonly name: string;
  readonly layers: readonly LayerSlots[];
}

/**
 * Returns a function that gives the file's name of a layer, normally its own. If the names differ but as many layers
 * have weights, the n-th layer is the n-th in the file, as in Keras's `load_weights`: layers that Keras named itself
 * have other numbers in another session.
 */
function groupNames(
  children: readonly OuterLayer[],
  groups: ReadonlyMap<string, readonly StoredWeight[]>,
): (layer: string) => string {
  const weighted = children.filter(({ layers }) => layers.some(({ weights }) => weights?.length !== 0));
  const stored = [...groups].filter(([, weights]) => weights.length > 0).map(([name]) => name);
  const isNamed = weighted.every(({ name }) => groups.has(name));
  if (isNamed || weighted.length !== stored.length) return (layer) => layer;
  const inOrder = new Map(weighted.map(({ name }, index) => [name, stored[index]!]));
  return (layer) => inOrder.get(layer) ?? "";
}

/** Returns a function that assigns a group's weights after converting them to Keras 2's form. */
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

/** Returns a layer's weights in the file's order. @throws {KerasFileError} for a weight that is listed but missing. */
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

/** Reads the optimizer's variables under the names of the file. */
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
