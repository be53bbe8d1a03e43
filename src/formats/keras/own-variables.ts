/** @file Variables that composite layers of KerasHub own themselves, such as the class token of a ViT. Here each is a layer. */
import type { Hdf5Group } from "../../hdf5/reader.ts";
import { elementCount, formatShape, sameShape } from "../../tensor.ts";
import type { LayerSlots } from "../layer-slots.ts";
import { leavesOf, type OwnVariable, type TreeNode } from "../model-tree.ts";
import { type Placement, type StoredWeight, storedWeight } from "../stored-weights.ts";

/** Returns the variables of composites by the path of the layer that holds each. */
export function ownVariables(model: TreeNode): ReadonlyMap<string, OwnVariable> {
  return new Map(
    leavesOf(model).flatMap(({ path, variable }) => (variable ? [[path, variable] as const] : [])),
  );
}

/** Assigns a variable in a composite's group of a `.weights.h5` to the layer that holds it. */
export function placeVariable(
  layer: LayerSlots,
  { index, shape }: OwnVariable,
  group: Hdf5Group | undefined,
): Placement {
  const dataset = group?.group("vars")?.dataset(String(index));
  const problem = (got: string): Placement => ({
    weights: new Map(),
    problems: [`${layer.path}: expected a variable of shape ${formatShape(shape)}, got ${got}`],
  });
  if (!dataset) return problem("none");
  if (!sameShape(dataset.shape, shape)) return problem(formatShape(dataset.shape));
  return {
    weights: new Map([
      [layer.path, [{ name: "embeddings", stored: asRows(storedWeight("embeddings", dataset)) }]],
    ]),
    problems: [],
  };
}

/** Returns a stored variable as the rows of an Embedding: all axes but the last are one. */
export function asRows(stored: StoredWeight): StoredWeight {
  const width = stored.shape.at(-1) ?? 1;
  const shape = [elementCount(stored.shape) / width, width];
  return { ...stored, shape, read: () => ({ ...stored.read(), shape }) };
}

/** Returns the weights of an `.h5` with each variable of a composite as the weight of the layer that holds it. */
export function asOwnLayers(
  leaves: readonly TreeNode[],
  stored: readonly StoredWeight[],
): readonly StoredWeight[] {
  const renamed = new Map<StoredWeight, StoredWeight>();
  const left = new Set<string>();
  for (const { path, variable } of leaves.filter((leaf) => leaf.variable !== undefined)) {
    const below = path.slice(path.indexOf("/") + 1);
    const own = stored.find(({ name }) => name === below || name === path);
    if (own) renamed.set(own, { ...asRows(own), name: `${own.name}/embeddings` });
    for (const name of variable?.also ?? []) left.add(below.slice(0, below.lastIndexOf("/") + 1) + name);
  }
  return stored.filter(({ name }) => !left.has(name)).map((weight) => renamed.get(weight) ?? weight);
}
