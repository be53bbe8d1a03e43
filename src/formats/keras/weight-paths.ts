import { nameInCode, snakeCase } from "../../topology/naming.ts";
import type { TreeNode } from "../model-tree.ts";

/** How a release of Keras numbers the groups of a model's layers. */
export interface GroupLayout {
  readonly container: string;
  /** How far a layer moves the number of the next of its class. */
  readonly step: (layer: TreeNode) => number;
}

const layersLayout: GroupLayout = { container: "layers", step: () => 1 };

/** Keras 2.12 numbers what TensorFlow's checkpoints track, in which a layer with weights stands twice. */
export function trackedLayout(hasWeights: (path: string) => boolean): GroupLayout {
  const weighted = (layer: TreeNode): boolean => hasWeights(layer.path) || !!layer.children?.some(weighted);
  return { container: "_layer_checkpoint_dependencies", step: (layer) => (weighted(layer) ? 2 : 1) };
}

/**
 * The group of every layer in a `.weights.h5`, by layer path: `layers/conv2d_1`, in a nested model
 * `layers/functional/layers/dense` (`keras/src/saving/saving_lib.py`, `_save_container_state`). The n-th layer whose class
 * has the same snake-case name gets `_n`; ops are no layers, and a Sequential does not count its InputLayer.
 */
export function weightPaths(
  model: TreeNode,
  layout: GroupLayout = layersLayout,
): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  const visit = (node: TreeNode, group: string): void => {
    const used = new Map<string, number>();
    for (const child of node.children ?? []) {
      if (child.isOp || (child.className === "InputLayer" && node.className === "Sequential")) continue;
      const base = snakeCase(nameInCode(child.className));
      const count = used.get(base) ?? 0;
      used.set(base, count + layout.step(child));
      const path = `${group}${layout.container}/${base}${count === 0 ? "" : `_${count}`}`;
      paths.set(child.path, path);
      if (child.children) visit(child, `${path}/`);
    }
  };
  visit(model, "");
  return paths;
}
