import { UsageError } from "../errors.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { policyOf } from "./policy.ts";
import { nearestNames } from "./suggestions.ts";

/**
 * Returns the position in `graph.layers` at which `model.layers[:n]` ends, where a nested model counts as one layer of
 * the model around it.
 * @param container Name or path of a nested model whose layers are counted instead of the outermost model's.
 * @throws {UsageError} if there is no such nested model, or if it has fewer layers.
 */
export function depthPosition(graph: LayerGraph, n: number, container?: string): number {
  const path = container === undefined ? "" : containerPath(graph, container, n);
  const entries = modelLayers(graph, path);
  if (Math.abs(n) > entries.length) {
    throw new UsageError(
      `${policyOf("depth", container === undefined ? n : `${container}:${n}`)}: expected at most the ${entries.length} layers of ${container ?? "the model"}, got ${Math.abs(n)}. 'inspect' lists them.`,
      "freeze-depth-range",
      "freeze",
    );
  }
  const count = n < 0 ? entries.length + n : n;
  const after = entries.slice(count).find((position) => position !== null);
  if (after !== undefined) return after;
  const last = graph.layers.findLast((layer) => path === "" || layer.containers.includes(path));
  return last ? last.index + 1 : 0;
}

/**
 * Lists Keras's `model.layers` of the model at `path` by the position of each layer in `graph.layers`: for a nested
 * model that of its first layer, for a nested model's InputLayer null, because the graph has no such layer.
 */
function modelLayers(graph: LayerGraph, path: string): (number | null)[] {
  const prefix = path === "" ? "" : `${path}/`;
  const firstOf = new Map<string, number>();
  for (const layer of graph.layers) {
    const child = childName(layer, path, prefix);
    if (child !== null && !firstOf.has(child)) firstOf.set(child, layer.index);
  }
  const listed = graph.models?.find((model) => model.path === path)?.layers ?? [...firstOf.keys()];
  return listed.map((name) => firstOf.get(name) ?? null);
}

/**
 * Returns the layer's name in the model at `path`, or that of the nested model that contains it; null if it is
 * elsewhere.
 */
function childName(layer: GraphLayer, path: string, prefix: string): string | null {
  if (path !== "" && !layer.containers.includes(path)) return null;
  const inner = layer.containers.find((container) => container.length > path.length && container !== path);
  return (inner ?? layer.path).slice(prefix.length);
}

/** Returns the path of the nested model with this path or name. @throws {UsageError} if there is none. */
function containerPath(graph: LayerGraph, name: string, n: number): string {
  const containers = [...new Set(graph.layers.flatMap((layer) => layer.containers))];
  const found =
    containers.find((path) => path === name) ?? containers.find((path) => path.endsWith(`/${name}`));
  if (found !== undefined) return found;
  const known = containers.length > 0 ? `one of ${containers.join(", ")}` : "a model with nested models";
  const near = nearestNames(name, containers, 1);
  throw new UsageError(
    `${policyOf("depth", `${name}:${n}`)}: expected ${known}, got no nested model of that name.${near.length > 0 ? ` Did you mean ${near[0]}?` : ""}`,
    "freeze-no-match",
    "freeze",
  );
}
