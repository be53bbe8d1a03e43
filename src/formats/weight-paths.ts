import { snakeCase } from "../topology/snake-case.ts";
import type { TreeNode } from "./model-tree.ts";

/**
 * The group of every layer in a `.weights.h5`, by layer path: `layers/conv2d_1`, in a nested model
 * `layers/functional/layers/dense` (`keras/src/saving/saving_lib.py`, `_save_container_state`). The n-th layer whose class
 * has the same snake-case name gets `_n`; ops are no layers, and a Sequential does not count its InputLayer.
 */
export function weightPaths(model: TreeNode): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  const visit = (node: TreeNode, group: string): void => {
    const used = new Map<string, number>();
    for (const child of node.children ?? []) {
      if (child.isOp || (child.className === "InputLayer" && node.className === "Sequential")) continue;
      const base = snakeCase(ownNames[child.className] ?? child.className);
      const count = used.get(base) ?? 0;
      used.set(base, count + 1);
      const path = `${group}layers/${base}${count === 0 ? "" : `_${count}`}`;
      paths.set(child.path, path);
      if (child.children) visit(child, `${path}/`);
    }
  };
  visit(model, "");
  return paths;
}

/** Classes that a config calls by the name that they are exported by. */
const ownNames: Readonly<Record<string, string>> = { GroupQueryAttention: "GroupedQueryAttention" };
