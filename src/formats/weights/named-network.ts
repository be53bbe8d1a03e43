import type { Architecture } from "../../architectures/architecture.ts";
import type { JsonObject } from "../../checkpoint.ts";
import { toFloat32 } from "../../tensor.ts";
import { dialectVersion } from "../dialect-writing.ts";
import { placeInGroup } from "../h5/group-weights.ts";
import { type LayerSlots, layerSlots } from "../layer-slots.ts";
import { leavesOf, modelTree, type TreeNode } from "../model-tree.ts";
import { joinPlacements, type Placement, type StoredWeight } from "../stored-weights.ts";
import { nameFinder, namesInFile } from "./architecture-layers.ts";

/** A network built to the widths of a file, with the file's weights assigned to it. */
export interface BuiltNetwork {
  readonly modelConfig: JsonObject;
  readonly placement: Placement;
}

/** The weights of each layer in the file's order, by the name that the file gives the layer. */
export type StoredLayers = ReadonlyMap<string, readonly StoredWeight[]>;

/**
 * Builds the network of a file that names its layers. @throws {TopologyError} if the file's widths do not make a
 * network.
 */
export function buildNamed(architecture: Architecture, stored: StoredLayers): BuiltNetwork {
  const nameOf = nameFinder(architecture, [...stored.keys()]);
  const weightsOf = (layer: string): readonly StoredWeight[] => stored.get(nameOf(layer) ?? "") ?? [];
  const modelConfig = architecture.build({
    kernelShape: (layer) => kernelShape(weightsOf(layer)),
    has: (formerName) => stored.has(formerName),
    values: (layer, name) => valuesOf(weightsOf(layer).find((weight) => weight.name.endsWith(name))),
  });
  return { modelConfig, placement: placeNamed(architecture, modelConfig, stored) };
}

/** Returns the shape of the kernel, which is the weight of the highest rank. */
function kernelShape(stored: readonly StoredWeight[]): readonly number[] | undefined {
  return stored.map((weight) => weight.shape).sort((a, b) => b.length - a.length)[0];
}

function valuesOf(weight: StoredWeight | undefined): readonly number[] | undefined {
  return weight && [...toFloat32(weight.read())];
}

/**
 * Assigns weights by the layers' present and former names. If none is known, they are assigned in order, and the shapes
 * decide if that fits.
 */
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
  /** A layer of the model, or a nested model. */
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
