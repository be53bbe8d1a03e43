import type { Checkpoint } from "../checkpoint.ts";
import { KerasFileError, UsageError } from "../errors.ts";
import type { Hdf5File, Hdf5Group } from "../hdf5/reader.ts";
import type { Architecture } from "../topology/architectures/architecture.ts";
import { architectureNames, architectureOf, recogniseArchitecture } from "../topology/architectures/known.ts";
import { dialectVersion } from "./dialect-writing.ts";
import { placeInGroup } from "./group-weights.ts";
import { storedInGroup } from "./keras-h5.ts";
import { type LayerSlots, layerSlots } from "./layer-slots.ts";
import { modelTree } from "./model-tree.ts";
import { notesKey, parseNotes } from "./notes.ts";
import { joinPlacements, type Placement, readPlaced, type StoredWeight } from "./stored-weights.ts";
import { placeVariables } from "./variable-groups.ts";
import { weightPaths } from "./weight-paths.ts";

/**
 * @file Files with weights and no model: what `save_weights` leaves and keras.applications downloads. The model comes from
 * the architecture's name. Legacy `.h5` names its layers, `.weights.h5` numbers them by class.
 */

/**
 * The checkpoint that the weights in an open file make of an architecture.
 * @throws {KerasFileError} if the file holds no weights of Keras, if they do not fit, and without an architecture, naming the
 * one that the layers suggest.
 * @throws {UsageError} for an architecture that is not known.
 */
export function readWeightsOnly(
  file: Hdf5File,
  label: string,
  arch: string | undefined,
  values: boolean,
): Checkpoint {
  const { root } = file;
  const legacy = legacyGroup(root);
  const numbered = legacy ? undefined : numberedGroup(root);
  if (!legacy && !numbered) {
    throw new KerasFileError(
      `${label}: an HDF5 file that Keras did not write: expected a model_config or layer_names, got ${root.keys().slice(0, 5).join(", ") || "nothing"}.`,
      "not-keras",
    );
  }
  return legacy
    ? readNamed(legacy, label, arch, values, root)
    : readNumbered(numbered!, label, arch, values, root);
}

function legacyGroup(root: Hdf5Group): Hdf5Group | undefined {
  if (root.textList("layer_names")) return root;
  const group = root.keys().includes("model_weights") ? root.group("model_weights") : undefined;
  return group?.textList("layer_names") ? group : undefined;
}

function numberedGroup(root: Hdf5Group): Hdf5Group | undefined {
  return root.keys().includes("layers") ? root.group("layers") : undefined;
}

function readNamed(
  group: Hdf5Group,
  label: string,
  arch: string | undefined,
  values: boolean,
  root: Hdf5Group,
): Checkpoint {
  const names = group.textList("layer_names")!;
  const stored = new Map(
    names
      .map((name) => [name, storedInGroup(group, name, label)] as const)
      .filter(([, weights]) => weights.length > 0),
  );
  const architecture = chosen(arch, label, stored.size, recogniseArchitecture(names));
  const modelConfig = architecture.build({
    layers: names,
    kernelShape: (layer) => {
      const name = fileName(architecture, layer, stored);
      return name === undefined ? undefined : kernelShape(stored.get(name)!);
    },
  });
  const slots = layerSlots({ modelConfig, kerasVersion: dialectVersion });
  return {
    format: "h5",
    kerasVersion: dialectVersion,
    modelConfig,
    weights: readPlaced(placeNamed(architecture, slots, stored), values, label),
    notes: parseNotes(root.text(notesKey)),
  };
}

/** A kernel is the weight of the highest rank. */
function kernelShape(stored: readonly StoredWeight[]): readonly number[] | undefined {
  return stored.map((weight) => weight.shape).sort((a, b) => b.length - a.length)[0];
}

function fileName(
  architecture: Architecture,
  layer: string,
  stored: ReadonlyMap<string, readonly StoredWeight[]>,
): string | undefined {
  return architecture.fileNames(layer).find((name) => stored.has(name));
}

/** By the names that the layers have or had; if none is known, in order, the shapes deciding whether it fits. */
function placeNamed(
  architecture: Architecture,
  slots: ReadonlyMap<string, LayerSlots>,
  stored: ReadonlyMap<string, readonly StoredWeight[]>,
): Placement {
  const layers = [...slots.values()].filter((layer) => layer.weights && layer.weights.length > 0);
  const known = layers.filter((layer) => fileName(architecture, layer.path, stored) !== undefined);
  if (known.length === 0 && layers.length === stored.size) {
    const groups = [...stored.values()];
    return joinPlacements(layers.map((layer, index) => placeInGroup(layer.path, [layer], groups[index]!)));
  }
  const left = new Set(stored.keys());
  const placements = layers.map((layer) => {
    const name = fileName(architecture, layer.path, stored);
    if (name !== undefined) left.delete(name);
    return placeInGroup(layer.path, [layer], name === undefined ? [] : stored.get(name)!);
  });
  const problems = [...left].flatMap((name) =>
    stored
      .get(name)!
      .map((weight) => `${name}/${weight.name} is in the file but not in ${architecture.name}`),
  );
  return joinPlacements([...placements, { weights: new Map(), problems }]);
}

function readNumbered(
  group: Hdf5Group,
  label: string,
  arch: string | undefined,
  values: boolean,
  root: Hdf5Group,
): Checkpoint {
  const groups = group.keys().filter((name) => group.group(name)?.group("vars")?.keys().length);
  const architecture = chosen(arch, label, groups.length, recogniseArchitecture(groups));
  // The published one tells which number a layer has; the file's own widths follow from that.
  const published = architecture.build({
    layers: [],
    kernelShape: (layer) => (hasTop(groups) && /^pred/.test(layer) ? [1, 1000] : undefined),
  });
  const paths = weightPaths(modelTree(published));
  const modelConfig = architecture.build({
    layers: [],
    kernelShape: (layer) => {
      const path = paths.get(layer)?.replace(/^layers\//, "");
      const vars =
        path === undefined || !groups.includes(path) ? undefined : group.group(path)?.group("vars");
      return vars?.dataset("0")?.shape;
    },
  });
  const slots = layerSlots({ modelConfig, kerasVersion: dialectVersion });
  return {
    format: "weights.h5",
    kerasVersion: dialectVersion,
    modelConfig,
    weights: readPlaced(placeVariables(modelTree(modelConfig), slots, root), values, label),
    notes: parseNotes(root.text(notesKey)),
  };
}

function hasTop(groups: readonly string[]): boolean {
  return groups.includes("dense");
}

function chosen(
  arch: string | undefined,
  label: string,
  groups: number,
  recognised: Architecture | undefined,
): Architecture {
  const known = architectureNames().join(", ");
  if (arch !== undefined) {
    const architecture = architectureOf(arch);
    if (architecture) return architecture;
    throw new UsageError(`--arch "${arch}": no such architecture. Known: ${known}.`, "arch");
  }
  const hint = recognised
    ? `Pass --arch ${recognised.name} (recognised from its ${groups} weight groups).`
    : `Pass --arch with the network that its ${groups} weight groups belong to: ${known}.`;
  throw new KerasFileError(
    `${label} has weights but no model_config (saved with save_weights). ${hint}`,
    "weights-only",
  );
}
