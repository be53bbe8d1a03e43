import { nameInCode, snakeCase } from "../../topology/naming.ts";
import type { TreeNode } from "../model-tree.ts";

/** The way in which a Keras release numbers the groups of a model's layers. */
export interface GroupLayout {
  readonly container: string;
  /** Returns the amount by which a layer raises the number of the next layer of its class. */
  readonly step: (layer: TreeNode) => number;
}

const layersLayout: GroupLayout = { container: "layers", step: () => 1 };

/**
 * Returns the layout of Keras 2.12, which numbers the objects that TensorFlow's checkpoints track: a layer with weights
 * counts twice.
 */
export function trackedLayout(hasWeights: (path: string) => boolean): GroupLayout {
  const weighted = (layer: TreeNode): boolean => hasWeights(layer.path) || !!layer.children?.some(weighted);
  return { container: "_layer_checkpoint_dependencies", step: (layer) => (weighted(layer) ? 2 : 1) };
}

/**
 * Returns the group of every layer in a `.weights.h5` by layer path: `layers/conv2d_1`, or
 * `layers/functional/layers/dense` in a nested model (`keras/src/saving/saving_lib.py`, `_save_container_state`). The
 * n-th layer whose class has the same snake-case name gets `_n`. Calls of keras.ops are not layers, and a Sequential
 * does not count its InputLayer. A variable that a composite owns lies in the composite's group.
 */
export function weightPaths(
  model: TreeNode,
  layout: GroupLayout = layersLayout,
): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  const visit = (node: TreeNode, group: string): void => {
    const used = new Map<string, number>();
    const isComposite = !!node.children?.some(
      ({ attribute, variable }) => attribute !== undefined || variable !== undefined,
    );
    for (const child of node.children ?? []) {
      if (isComposite) {
        // The layers of a composite lie under its attributes; those that it makes at each call are not in the file.
        if (child.variable) paths.set(child.path, group.replace(/\/$/, ""));
        if (child.attribute === undefined) continue;
        paths.set(child.path, `${group}${child.attribute}`);
        if (child.children) visit(child, `${group}${child.attribute}/`);
        continue;
      }
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
