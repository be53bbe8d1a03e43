import type { Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";
import { customSpecOf } from "../topology/custom-layers.ts";
import { attributeKey, classKey, variableKey } from "../topology/hub-keys.ts";

/** A layer entry of a model config, or the model itself. */
export interface TreeNode {
  readonly name: string;
  /** Path of the layer, `outer/inner`; empty for the model itself. */
  readonly path: string;
  /** Class name as the config spells it. */
  readonly className: string;
  /** True for a call of keras.ops, which has an entry in the config but is no layer and has no weights. */
  readonly isOp: boolean;
  readonly trainable: boolean;
  /** The attribute of a composite layer that holds this one; undefined outside of these. */
  readonly attribute?: string;
  /** The variable of the composite around it that this layer holds. */
  readonly variable?: OwnVariable;
  /** The layers of a nested model in config order; undefined for a layer. */
  readonly children?: readonly TreeNode[];
}

/** A variable of a composite layer of KerasHub, which is a layer here. */
export interface OwnVariable {
  /** Its number among the variables that the composite owns. */
  readonly index: number;
  /** Its shape in the file. */
  readonly shape: readonly number[];
  /** Numbers of variables that hold the same values. */
  readonly copies?: readonly number[];
  /** Names of variables that follow from this one. */
  readonly also?: readonly string[];
}

/**
 * Returns the layers of a config of any Keras as a tree that includes the layers of nested models. Unknown layer
 * classes are allowed.
 */
export function modelTree(modelConfig: JsonObject): TreeNode {
  return treeNode(modelConfig, "", true);
}

/** Returns the layers below `node` that are not models, InputLayers included, depth first. */
export function leavesOf(node: TreeNode): readonly TreeNode[] {
  return node.children ? node.children.flatMap(leavesOf) : [node];
}

function treeNode(entry: JsonObject, prefix: string, outermost: boolean): TreeNode {
  const config = entry["config"] ?? null;
  const fields = isObject(config) ? config : {};
  const name = String(entry["name"] ?? fields["name"] ?? "");
  const className = String(entry[classKey] ?? entry["class_name"] ?? "");
  const path = outermost ? "" : prefix + name;
  const layers = layersOf(className, config);
  const common = {
    name,
    path,
    className,
    isOp: isOp(entry, fields),
    trainable: fields["trainable"] !== false,
    ...(typeof entry[attributeKey] === "string" && { attribute: entry[attributeKey] }),
    ...(isObject(entry[variableKey] ?? null) && { variable: entry[variableKey] as unknown as OwnVariable }),
  };
  if (!layers) return common;
  const below = outermost ? "" : `${path}/`;
  return { ...common, children: layers.filter(isObject).map((layer) => treeNode(layer, below, false)) };
}

/**
 * Returns the layer entries of a model, undefined for a layer. The config of a Sequential is the bare list of layers in
 * Keras 1 and in Keras 2 before 2.2.3.
 */
function layersOf(className: string, config: Json): readonly Json[] | undefined {
  if (Array.isArray(config)) return className === "Sequential" ? config : undefined;
  if (!isObject(config) || !Array.isArray(config["layers"])) return undefined;
  return className === "Sequential" || "output_layers" in config ? config["layers"] : undefined;
}

/** Returns true for a call of keras.ops. In .h5 it has no module and is recognized by lacking what every layer has. */
function isOp(entry: JsonObject, config: JsonObject): boolean {
  const module = entry["module"];
  if (typeof module === "string") return /^keras\.(src\.)?(ops|activations)(\.|$)/.test(module);
  return "inbound_nodes" in entry &&
    "config" in entry &&
    customSpecOf(String(entry["class_name"])) === undefined &&
    !("trainable" in config) &&
    !("dtype" in config) &&
    !("layers" in config)
    ? isKeras3Call(entry["inbound_nodes"] ?? null)
    : false;
}

/** Returns true for calls in the form that only Keras 3 writes, `[{ args, kwargs }]`. */
function isKeras3Call(nodes: Json): boolean {
  return Array.isArray(nodes) && nodes.some((node: Json) => isObject(node) && "args" in node);
}
