import type { Checkpoint, JsonObject } from "../checkpoint.ts";
import { KerasFileError, TopologyError, UsageError } from "../errors.ts";
import type { Hdf5Dataset, Hdf5File, Hdf5Group } from "../hdf5/reader.ts";
import { toFloat32 } from "../tensor.ts";
import { type Architecture, publishedFile } from "../topology/architectures/architecture.ts";
import { architectureOf, knownArchitectures } from "../topology/architectures/known.ts";
import { nameFinder, namesInFile } from "./architecture-layers.ts";
import { dialectVersion } from "./dialect-writing.ts";
import { placeInGroup } from "./group-weights.ts";
import { storedInGroup } from "./keras-h5.ts";
import { type LayerSlots, layerSlots } from "./layer-slots.ts";
import { leavesOf, modelTree, type TreeNode } from "./model-tree.ts";
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
  const stored = new Map(
    group
      .textList("layer_names")!
      .map((name) => [name, storedInGroup(group, name, label)] as const)
      .filter(([, weights]) => weights.length > 0),
  );
  const built = (architecture: Architecture): Built => buildNamed(architecture, stored);
  const { modelConfig, placement } = chosen(arch, label, stored.size, built);
  return {
    format: "h5",
    kerasVersion: dialectVersion,
    modelConfig,
    weights: readPlaced(placement, values, label),
    notes: parseNotes(root.text(notesKey)),
  };
}

/** A network as the file has it, and the file's weights in it. */
interface Built {
  readonly modelConfig: JsonObject;
  readonly placement: Placement;
}

type StoredLayers = ReadonlyMap<string, readonly StoredWeight[]>;

function buildNamed(architecture: Architecture, stored: StoredLayers): Built {
  const nameOf = nameFinder(architecture, [...stored.keys()]);
  const weightsOf = (layer: string): readonly StoredWeight[] => stored.get(nameOf(layer) ?? "") ?? [];
  const modelConfig = architecture.build({
    kernelShape: (layer) => kernelShape(weightsOf(layer)),
    has: (formerName) => stored.has(formerName),
    values: (layer, name) => valuesOf(weightsOf(layer).find((weight) => weight.name.endsWith(name))),
  });
  return { modelConfig, placement: placeNamed(architecture, modelConfig, stored) };
}

/** A kernel is the weight of the highest rank. */
function kernelShape(stored: readonly StoredWeight[]): readonly number[] | undefined {
  return stored.map((weight) => weight.shape).sort((a, b) => b.length - a.length)[0];
}

function valuesOf(weight: StoredWeight | undefined): readonly number[] | undefined {
  return weight && [...toFloat32(weight.read())];
}

/** By the names that the layers have or had; if none is known, in order, the shapes deciding whether it fits. */
function placeNamed(architecture: Architecture, modelConfig: JsonObject, stored: StoredLayers): Placement {
  const layers = weightedLayers(modelConfig);
  const names = namesInFile(
    architecture,
    layers.map(({ node }) => node),
    [...stored.keys()],
  );
  const inOrder = names.size === 0 && layers.length === stored.size ? [...stored.keys()] : undefined;
  const left = new Set(stored.keys());
  const placements = layers.map(({ node, slots }, index) => {
    const name = inOrder ? inOrder[index]! : (names.get(node.name) ?? "");
    left.delete(name);
    return placeInGroup(node.name, slots, stored.get(name) ?? []);
  });
  const problems = [...left].flatMap((name) =>
    stored
      .get(name)!
      .map((weight) => `${name}/${weight.name} is in the file but not in ${architecture.name}`),
  );
  return joinPlacements([...placements, { weights: new Map(), problems }]);
}

interface WeightedLayer {
  /** A layer of the model or a model in it. */
  readonly node: TreeNode;
  readonly slots: readonly LayerSlots[];
}

function weightedLayers(modelConfig: JsonObject): readonly WeightedLayer[] {
  const slots = layerSlots({ modelConfig, kerasVersion: dialectVersion });
  return (modelTree(modelConfig).children ?? []).flatMap((node): WeightedLayer[] => {
    const own = leavesOf(node).flatMap((leaf) => slots.get(leaf.path) ?? []);
    const weighted = own.filter((layer) => layer.weights && layer.weights.length > 0);
    return weighted.length > 0 ? [{ node, slots: weighted }] : [];
  });
}

function readNumbered(
  group: Hdf5Group,
  label: string,
  arch: string | undefined,
  values: boolean,
  root: Hdf5Group,
): Checkpoint {
  const built = (architecture: Architecture): Built => buildNumbered(architecture, root);
  const { modelConfig, placement } = chosen(arch, label, group.keys().length, built);
  return {
    format: "weights.h5",
    kerasVersion: dialectVersion,
    modelConfig,
    weights: readPlaced(placement, values, label),
    notes: parseNotes(root.text(notesKey)),
  };
}

/** The published network tells which number a layer has; the file's own widths and classes follow from that. */
function buildNumbered(architecture: Architecture, root: Hdf5Group): Built {
  const [whole, trunk] = [1000, null].map((classes) =>
    weightPaths(modelTree(architecture.build(publishedFile(classes)))),
  );
  const isStored = (path: string): boolean => (root.group(path)?.group("vars")?.keys().length ?? 0) > 0;
  const top = [...whole!].filter(([layer]) => !trunk!.has(layer));
  const paths = top.some(([, path]) => isStored(path)) ? whole! : trunk!;
  const variable = (layer: string, index: number): Hdf5Dataset | undefined =>
    root
      .group(paths.get(layer) ?? "")
      ?.group("vars")
      ?.dataset(String(index));
  const modelConfig = architecture.build({
    kernelShape: (layer) => variable(layer, 0)?.shape,
    has: () => false,
    values: (layer) => {
      const mean = variable(layer, 0);
      return mean && [...toFloat32(mean.read())];
    },
  });
  const slots = layerSlots({ modelConfig, kerasVersion: dialectVersion });
  return { modelConfig, placement: placeVariables(modelTree(modelConfig), slots, root) };
}

/** The network that was asked for. @throws {UsageError | KerasFileError} without one, naming the one that fits. */
function chosen(
  arch: string | undefined,
  label: string,
  groups: number,
  built: (architecture: Architecture) => Built,
): Built {
  const known = knownArchitectures()
    .map(({ name }) => name)
    .join(", ");
  if (arch !== undefined) {
    const architecture = architectureOf(arch);
    if (architecture) return asAsked(label, architecture, built);
    throw new UsageError(`--arch "${arch}": no such architecture. Known: ${known}.`, "arch");
  }
  const recognised = knownArchitectures().find((architecture) => fits(() => built(architecture)));
  const hint = recognised
    ? `Pass --arch ${recognised.name} (recognised from its ${groups} weight groups).`
    : `Pass --arch with the network that its ${groups} weight groups belong to: ${known}.`;
  throw new KerasFileError(
    `${label} has weights but no model_config (saved with save_weights). ${hint}`,
    "weights-only",
  );
}

/** @throws {KerasFileError} where the file's widths make no such network. */
function asAsked(
  label: string,
  architecture: Architecture,
  built: (architecture: Architecture) => Built,
): Built {
  try {
    return built(architecture);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    throw new KerasFileError(
      `${label}: its weights do not fit ${architecture.name}: ${error.message}`,
      "weights",
    );
  }
}

/** Whether all of a file has a place; widths that belong to another network may make one that cannot be. */
function fits(build: () => Built): boolean {
  try {
    return build().placement.problems.length === 0;
  } catch (error) {
    if (error instanceof TopologyError) return false;
    throw error;
  }
}
