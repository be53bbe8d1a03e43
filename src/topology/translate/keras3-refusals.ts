import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { classNameOf } from "../dialects/class-names.ts";
import { type Dialect, dialectOf } from "../dialects/dialect.ts";
import { editLayers, entryName, layersOf } from "../edit-config.ts";
import { recurrentClass } from "../specs/recurrent.ts";
import { insideKeys, refusalInH5 } from "./keras2-arguments.ts";
import { translateConfig } from "./translate-config.ts";

/**
 * Lists why Keras 3 does not open a model written as `.h5`, one sentence per layer; empty if it opens it. For a model
 * of Keras 1 or 2 these are configs that only those read, for one of Keras 3 layers that it writes to `.h5` but fails
 * to load.
 */
export function refusalsOfKeras3(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
): readonly string[] {
  const from = dialectOf(checkpoint);
  if (from.startsWith("keras3")) return unreadOfItsOwn(checkpoint.modelConfig, from);
  return refusalsIn(translateConfig(checkpoint, "keras2").modelConfig, "");
}

const applicationLayers: ReadonlySet<string> = new Set(
  "CustomScaleLayer LayerScale StochasticDepth".split(" "),
);

/**
 * Lists operations, layer classes of keras.applications and float8 layers, which Keras 3 writes to a file but fails to
 * load.
 */
function unreadOfItsOwn(modelConfig: JsonObject, from: Dialect): readonly string[] {
  const refusals: string[] = [];
  editLayers(modelConfig, ({ path, json }) => {
    const className = classNameOf(json, 3);
    const isH5 = from === "keras3-h5";
    if (isH5 && className.startsWith("ops."))
      refusals.push(`${path}: ${className}: Keras cannot load an operation from .h5`);
    if (isH5 && applicationLayers.has(className))
      refusals.push(`${path}: ${className}: Keras does not find its class`);
    const dtype = isObject(json["config"]) ? (json["config"]["dtype"] ?? null) : null;
    if (JSON.stringify(dtype).includes("float8"))
      refusals.push(`${path}: ${className}: Keras loads its float8 scales in the wrong order`);
    return json;
  });
  return refusals;
}

function refusalsIn(model: JsonObject, prefix: string): readonly string[] {
  const layers = (layersOf(model) ?? []).filter(isObject);
  const isSequential = model["class_name"] === "Sequential";
  const isList = Array.isArray(model["config"]);
  const listed = isList
    ? [`${prefix || "model"}: Sequential: its config is a list, as written before Keras 2.2.3`]
    : [];
  const counted = isSequential ? new Set<string>() : countedFromOne(layers);
  return [
    ...listed,
    ...layers.flatMap((layer) => {
      const path = prefix + entryName(layer);
      const className = String(layer["class_name"]);
      if (entryName(layer).includes("/")) return [`${path}: ${className}: Keras 3 allows no slash in a name`];
      if (startsFromStates(className, layer))
        return [`${path}: ${className}: Keras 3 expects its initial states as initial_state`];
      if (!layersOf(layer)) return layerRefusals(path, className, layer["config"] ?? null);
      if (isSequential ? className !== "Sequential" : counted.has(entryName(layer))) {
        return [`${path}: ${className}: Keras 3 numbers the calls of a nested model differently`];
      }
      return refusalsIn(layer, `${path}/`);
    }),
  ];
}

/** Returns whether a recurrent layer is called on a list of the sequence and its initial states. */
function startsFromStates(className: string, { inbound_nodes: nodes = null }: JsonObject): boolean {
  if (!recurrentClass.test(className) || !Array.isArray(nodes)) return false;
  return (nodes as readonly Json[]).some((node) => Array.isArray(node) && node.length > 1);
}

/** Returns the names of nested models whose calls are numbered from 1. */
function countedFromOne(layers: readonly JsonObject[]): ReadonlySet<string> {
  const names = new Set(layers.filter(layersOf).map(entryName));
  const lowest = new Map<string, number>();
  const visit = (json: Json | undefined): void => {
    if (!Array.isArray(json)) return;
    const [name, node]: readonly Json[] = json;
    if (typeof name === "string" && typeof node === "number" && names.has(name)) {
      lowest.set(name, Math.min(lowest.get(name) ?? node, node));
    }
    (json as readonly Json[]).forEach(visit);
  };
  for (const layer of layers) visit(layer["inbound_nodes"]);
  return new Set([...lowest].filter(([, node]) => node > 0).map(([name]) => name));
}

function layerRefusals(path: string, className: string, config: Json): readonly string[] {
  if (!isObject(config)) return [];
  const own = refusalInH5(className, config);
  if (own) return [`${path}: ${className}: ${own}`];
  const cells: Json = config["cells"] ?? [];
  const inside = [
    ...insideKeys.map((key) => config[key]),
    ...(Array.isArray(cells) ? (cells as readonly Json[]) : []),
  ];
  return inside.filter(isObject).flatMap((json) => {
    if (layersOf(json)) return [`${path}: ${className}: Keras 3 cannot load a model inside a layer`];
    return layerRefusals(path, String(json["class_name"]), json["config"] ?? null);
  });
}
