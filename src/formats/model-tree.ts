import type { Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";

/** A layer entry of a model config, or the model itself. */
export interface TreeNode {
  readonly name: string;
  /** `outer/inner`; empty for the model itself. */
  readonly path: string;
  /** As the config spells it. */
  readonly className: string;
  /** A node of keras.ops: named in the config, but no layer and without weights. */
  readonly isOp: boolean;
  readonly trainable: boolean;
  /** A nested model's layers, in config order; undefined for a layer. */
  readonly children?: readonly TreeNode[];
}

/** The layers of a config of any Keras as a tree, nested models with their layers; needs no known layer class. */
export function modelTree(modelConfig: JsonObject): TreeNode {
  return treeNode(modelConfig, "", true);
}

/** The layers below `node` that are no models, InputLayers among them, depth first. */
export function leavesOf(node: TreeNode): readonly TreeNode[] {
  return node.children ? node.children.flatMap(leavesOf) : [node];
}

function treeNode(entry: JsonObject, prefix: string, outermost: boolean): TreeNode {
  const config = entry["config"] ?? null;
  const fields = isObject(config) ? config : {};
  const name = String(entry["name"] ?? fields["name"] ?? "");
  const className = String(entry["class_name"] ?? "");
  const path = outermost ? "" : prefix + name;
  const layers = layersOf(className, config);
  const common = {
    name,
    path,
    className,
    isOp: isOp(entry, fields),
    trainable: fields["trainable"] !== false,
  };
  if (!layers) return common;
  const below = outermost ? "" : `${path}/`;
  return { ...common, children: layers.filter(isObject).map((layer) => treeNode(layer, below, false)) };
}

/** Sequential configs of Keras 1 and of Keras 2 before 2.2.3 are the bare list of layers. */
function layersOf(className: string, config: Json): readonly Json[] | undefined {
  if (Array.isArray(config)) return className === "Sequential" ? config : undefined;
  if (!isObject(config) || !Array.isArray(config["layers"])) return undefined;
  return className === "Sequential" || "output_layers" in config ? config["layers"] : undefined;
}

/** In .h5 an op of keras.ops has no module; what every layer has, it lacks. */
function isOp(entry: JsonObject, config: JsonObject): boolean {
  const module = entry["module"];
  if (typeof module === "string") return /^keras\.(src\.)?(ops|activations)(\.|$)/.test(module);
  return "inbound_nodes" in entry &&
    "config" in entry &&
    !("trainable" in config) &&
    !("dtype" in config) &&
    !("layers" in config)
    ? isKeras3Call(entry["inbound_nodes"] ?? null)
    : false;
}

/** `[{ args, kwargs }]`, as only Keras 3 writes calls. */
function isKeras3Call(nodes: Json): boolean {
  return Array.isArray(nodes) && nodes.some((node: Json) => isObject(node) && "args" in node);
}
