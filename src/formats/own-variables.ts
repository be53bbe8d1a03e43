/** @file Variables that composite layers of KerasHub own themselves, such as the class token of a ViT. Here each is a layer. */
import type { Hdf5Group } from "../hdf5/reader.ts";
import { elementCount, formatShape, sameShape } from "../tensor.ts";
import type { LayerSlots } from "./layer-slots.ts";
import { leavesOf, type OwnVariable, type TreeNode } from "./model-tree.ts";
import { type Placement, type StoredWeight, storedWeight } from "./stored-weights.ts";

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

/** Weights of an `.h5` that are placed, and those that are left for the layers themselves. */
interface PlacedVariables {
  readonly placement: Placement;
  readonly rest: readonly StoredWeight[];
}

/**
 * Assigns the variables of composites in a layer's group of an `.h5`: by their paths, or, since a path begins with the name that a model
 * had when it was made, the n-th of a name to the n-th.
 */
export function placeOwnVariables(
  leaves: readonly TreeNode[],
  stored: readonly StoredWeight[],
): PlacedVariables {
  const held = leaves.flatMap(({ path, name, variable }) => (variable ? [{ path, name, variable }] : []));
  const placed = new Map<string, StoredWeight>();
  const nth = new Map<string, number>();
  for (const { path, name, variable } of held) {
    const named = stored.filter((weight) => lastPart(weight.name) === name);
    const count = nth.get(name) ?? 0;
    nth.set(name, count + 1);
    const below = path.slice(path.indexOf("/") + 1);
    const own = named.find((weight) => [below, path].includes(weight.name)) ?? named[count];
    if (own && sameShape(own.shape, variable.shape)) placed.set(path, own);
  }
  const taken = new Set(placed.values());
  const left = new Set(held.flatMap(({ variable }) => variable.also ?? []));
  const rest = stored.filter((weight) => !taken.has(weight) && !left.has(lastPart(weight.name)));
  const missing = held.filter(({ path }) => !placed.has(path));
  return {
    placement: {
      weights: new Map(
        [...placed].map(([path, weight]) => [path, [{ name: "embeddings", stored: asRows(weight) }]]),
      ),
      problems: missing.map(({ path, variable }) => `${path} ${formatShape(variable.shape)} is missing`),
    },
    rest,
  };
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Puts the layers of classes of KerasHub in the order in which Keras lists their weights, where it is not that of their calls. */
const listed: Readonly<Record<string, (children: readonly TreeNode[]) => readonly TreeNode[]>> = {
  SegFormerMultiheadAttention: (children) => {
    const place = ({ attribute = "" }: TreeNode): number =>
      ["q", "k", "v", "proj", "sr", "norm"].indexOf(attribute);
    return children.toSorted((a, b) => place(a) - place(b));
  },
  SegFormerBackbone: (children) => {
    const projections = children.filter(({ name }) => name.startsWith("linear_")).reverse();
    return children.map((child) =>
      child.name.startsWith("linear_") ? (projections.shift() ?? child) : child,
    );
  },
};

/** Returns the layers below a node that hold no variable of a composite, in the order in which Keras lists their weights. */
export function leavesInOrder(node: TreeNode): readonly TreeNode[] {
  if (!node.children) return node.variable ? [] : [node];
  const inOrder = listed[node.className];
  return (inOrder ? inOrder(node.children) : node.children).flatMap(leavesInOrder);
}
