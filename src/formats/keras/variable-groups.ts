import type { Checkpoint, Weight } from "../../checkpoint.ts";
import type { Hdf5Group } from "../../hdf5/reader.ts";
import type { Hdf5Writer } from "../../hdf5/writer.ts";
import { formatShape, sameShape } from "../../tensor.ts";
import type { WeightSpec } from "../../topology/layer-spec.ts";
import { type LayerSlots, layerSlots } from "../layer-slots.ts";
import { modelTree, type TreeNode } from "../model-tree.ts";
import { ownVariables, placeVariable } from "../own-variables.ts";
import {
  joinPlacements,
  type PlacedWeight,
  type Placement,
  type StoredWeight,
  storedWeight,
} from "../stored-weights.ts";
import { idfName, storedIdfWeights } from "../vocabularies.ts";
import { absentLowRank, mergedLowRank } from "./low-rank.ts";
import { trackedLayout, weightPaths } from "./weight-paths.ts";

/**
 * @file The layers' variables in a `.weights.h5` (`keras/src/saving/saving_lib.py`): numbered in the order of
 * `layer.weights`, in a group `vars` of the layer, or of the object inside it that owns them (`cell/vars/0`).
 */

/** Assigns the variables below `root` to the layers of `model`. */
export function placeVariables(
  model: TreeNode,
  slots: ReadonlyMap<string, LayerSlots>,
  root: Hdf5Group,
): Placement {
  return placeAt(model, storedPaths(model, slots, root), slots, root);
}

function placeAt(
  model: TreeNode,
  groups: ReadonlyMap<string, string>,
  slots: ReadonlyMap<string, LayerSlots>,
  root: Hdf5Group,
): Placement {
  const placements: Placement[] = [];
  const variables = ownVariables(model);
  for (const [path, groupPath] of groups) {
    const layer = slots.get(path);
    if (!layer) continue;
    const group = root.group(groupPath);
    const variable = variables.get(path);
    if (variable) {
      placements.push(placeVariable(layer, variable, group));
      continue;
    }
    const stored = (group ? storedBelow(group, "", 0) : []).filter(({ name }) => !name.endsWith(idfName));
    placements.push(layer.weights ? placeNumbered(layer, layer.weights, stored) : asNamed(layer, stored));
  }
  return joinPlacements(placements);
}

/**
 * Returns the group below `root` of every layer of `model`, numbered like the release that wrote the file numbers them.
 */
export function storedPaths(
  model: TreeNode,
  slots: ReadonlyMap<string, LayerSlots>,
  root: Hdf5Group,
): ReadonlyMap<string, string> {
  const tracked = trackedLayout((path) => !!slots.get(path)?.weights?.length);
  return weightPaths(model, root.keys().includes(tracked.container) ? tracked : undefined);
}

/** The nesting depth that no Keras object exceeds. */
const deepest = 12;

/** Returns every dataset below a group, named by its path: `vars/0`, `forward_layer/cell/vars/1`. */
function storedBelow(group: Hdf5Group, prefix: string, depth: number): readonly StoredWeight[] {
  if (depth > deepest) return [];
  const names = group.keys().toSorted((a, b) => Number(a) - Number(b) || (a < b ? -1 : a > b ? 1 : 0));
  if (prefix.endsWith("vars/")) {
    return names.flatMap((name) => {
      const dataset = group.dataset(name);
      return dataset ? [storedWeight(prefix + name, dataset)] : [];
    });
  }
  return names.flatMap((name) => {
    const child = group.group(name);
    return child ? storedBelow(child, `${prefix}${name}/`, depth + 1) : [];
  });
}

/** Assigns the variables of a file of weights alone to the layers of the model. */
export function placeNumberedWeights(
  model: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  root: Hdf5Group,
): Placement {
  const slots = layerSlots(model);
  const tree = modelTree(model.modelConfig);
  const groups = storedPaths(tree, slots, root);
  const used = new Set([...groups.values()].map(outerGroup));
  const containers = new Set([...used].map((path) => path.split("/")[0]!));
  const left = [...containers].flatMap((container) => {
    const names = root.group(container)?.keys() ?? [];
    return names.map((name) => `${container}/${name}`).filter((path) => !used.has(path));
  });
  const problems = left
    .filter((path) => variableCount(root.group(path)!) > 0)
    .map((path) => `${path} is in the file but not in the model`);
  return joinPlacements([placeAt(tree, groups, slots, root), { weights: new Map(), problems }]);
}

/** Returns the group of the layer itself: `layers/dense_1` for `layers/dense_1/cell`. */
function outerGroup(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

/** Counts the variables below a group. */
export function variableCount(group: Hdf5Group): number {
  return storedBelow(group, "", 0).length;
}

function asNamed(layer: LayerSlots, stored: readonly StoredWeight[]): Placement {
  return {
    weights: new Map([[layer.path, stored.map((weight) => ({ name: weight.name, stored: weight }))]]),
    problems: [],
  };
}

/** Assigns a layer's stored weights to its slots by their numbers: `vars/0`, `cell/vars/1`. */
export function placeNumbered(
  layer: LayerSlots,
  specs: readonly WeightSpec[],
  stored: readonly StoredWeight[],
): Placement {
  const left = new Map(stored.map((weight) => [weight.name, weight]));
  const places = placesIn(specs, left)[Symbol.iterator]();
  const placed: PlacedWeight[] = [];
  const problems: string[] = [];
  specs.forEach((spec) => {
    if (spec.mergedInto) {
      placed.push(absentLowRank(spec));
      return;
    }
    if (spec.alsoNamed) left.delete(places.next().value as string);
    const place = places.next().value as string;
    const weight = left.get(place);
    left.delete(place);
    if (!weight) problems.push(`${layer.path}/${spec.name} ${formatShape(spec.shape)} is missing`);
    else if (!sameShape(weight.shape, spec.shape)) {
      problems.push(
        `${layer.path}/${spec.name}: expected shape ${formatShape(spec.shape)}, got ${formatShape(weight.shape)}`,
      );
    } else placed.push({ name: spec.name, stored: weight });
  });
  for (const weight of left.values()) {
    problems.push(
      `${layer.path}/${weight.name} ${formatShape(weight.shape)} is in the file but not in the model`,
    );
  }
  return { weights: new Map([[layer.path, placed]]), problems };
}

/**
 * Returns the place of each weight among those stored, second names before first ones: at its present name, or all at
 * their former names. A weight that is merged into another has no place.
 */
function placesIn(
  specs: readonly WeightSpec[],
  stored: ReadonlyMap<string, StoredWeight>,
): readonly string[] {
  const names = numberedNames(archivedNames(specs));
  const former = specs.reduce((most, spec) => Math.max(most, spec.formerNames?.length ?? 0), 0);
  const others = Array.from({ length: former }, (_, index) =>
    numberedNames(
      archivedNames(specs.map((spec) => ({ ...spec, name: spec.formerNames?.[index] ?? spec.name }))),
    ),
  );
  return [names, ...others].find((places) => places.every((place) => stored.has(place))) ?? names;
}

function archivedNames(specs: readonly WeightSpec[]): readonly string[] {
  return specs.flatMap(({ name, alsoNamed, mergedInto }) =>
    mergedInto ? [] : alsoNamed ? [alsoNamed, name] : [name],
  );
}

/** Returns numbered names: `kernel`, `bias` become `vars/0`, `vars/1`, and `cell/kernel` becomes `cell/vars/0`. */
function numberedNames(names: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  return names.map((name) => {
    if (/(^|\/)vars\/\d+$/.test(name)) return name;
    const owner = name.slice(0, name.lastIndexOf("/") + 1);
    const index = counts.get(owner) ?? 0;
    counts.set(owner, index + 1);
    return `${owner}vars/${index}`;
  });
}

/**
 * Writes the variables of every layer of `model`, including the groups that Keras expects for layers without variables.
 */
export function writeVariables(model: TreeNode, checkpoint: Checkpoint, writer: Hdf5Writer): void {
  writer.group("/vars");
  const names = layerNames(model);
  const slots = layerSlots(checkpoint);
  const idfWeights = storedIdfWeights(checkpoint);
  const variables = ownVariables(model);
  for (const [path, groupPath] of weightPaths(model)) {
    const group = `/${groupPath}`;
    const variable = variables.get(path);
    if (variable) {
      const [weight] = checkpoint.weights.get(path) ?? [];
      for (const number of weight ? [variable.index, ...(variable.copies ?? [])] : []) {
        writer.dataset(`${group}/vars/${number}`, { ...weight!, shape: variable.shape });
      }
      continue;
    }
    writer.group(`${group}/vars`);
    writer.text(`${group}/vars`, "name", names.get(path)!);
    const specs = slots.get(path)?.weights ?? [];
    const weights = archived(mergedLowRank(checkpoint.weights.get(path) ?? [], specs), specs);
    const numbered = numberedNames(weights.map((weight) => weight.name));
    weights.forEach((weight, index) => {
      writer.dataset(`${group}/${numbered[index]}`, weight);
    });
    for (const [name, weights] of idfWeights.get(path) ?? []) writer.dataset(`${group}/${name}`, weights);
  }
}

/** Repeats each weight that has a second name under that name. */
function archived(weights: readonly Weight[], specs: readonly WeightSpec[]): readonly Weight[] {
  const second = new Map(specs.map(({ name, alsoNamed }) => [name, alsoNamed]));
  return weights.flatMap((weight) => {
    const name = second.get(weight.name);
    return name === undefined ? [weight] : [{ ...weight, name }, weight];
  });
}

function layerNames(model: TreeNode): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const visit = (node: TreeNode): void => {
    for (const child of node.children ?? []) {
      names.set(child.path, child.name);
      visit(child);
    }
  };
  visit(model);
  return names;
}
