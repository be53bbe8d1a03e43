import { UsageError } from "../errors.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { nearestNames } from "./suggestions.ts";

/**
 * The position in `graph.layers` that `model.layers[:n]` ends at; of the nested model at `container` where one is given. A
 * nested model counts as one layer of the model around it.
 * @throws {UsageError} for a container that is none, and for more layers than there are.
 */
export function depthPosition(graph: LayerGraph, n: number, container?: string): number {
  const path = container === undefined ? "" : containerPath(graph, container);
  const entries = modelLayers(graph, path);
  if (Math.abs(n) > entries.length) {
    const flag = `--freeze-depth ${container === undefined ? "" : `${container}:`}${n}`;
    throw new UsageError(
      `${flag}: expected at most the ${entries.length} layers of ${container ?? "the model"}, got ${Math.abs(n)}. 'inspect' lists them.`,
      "freeze-depth-range",
    );
  }
  const count = n < 0 ? entries.length + n : n;
  const after = entries.slice(count).find((entry) => entry.first !== null);
  if (after) return after.first!;
  const last = graph.layers.findLast((layer) => path === "" || layer.containers.includes(path));
  return last ? last.index + 1 : 0;
}

interface Entry {
  /** Position in `graph.layers` of its first layer; null for a nested model's InputLayer, which is none. */
  readonly first: number | null;
}

/** What Keras's `model.layers` lists, in its order. */
function modelLayers(graph: LayerGraph, path: string): Entry[] {
  const prefix = path === "" ? "" : `${path}/`;
  const firstOf = new Map<string, number>();
  for (const layer of graph.layers) {
    const child = childName(layer, path, prefix);
    if (child !== null && !firstOf.has(child)) firstOf.set(child, layer.index);
  }
  const listed = graph.models?.find((model) => model.path === path)?.layers ?? [...firstOf.keys()];
  return listed.map((name) => ({ first: firstOf.get(name) ?? null }));
}

/** The name that the model at `path` knows the layer by, itself or the nested model that it is in. */
function childName(layer: GraphLayer, path: string, prefix: string): string | null {
  if (path !== "" && !layer.containers.includes(path)) return null;
  const inner = layer.containers.find((container) => container.length > path.length && container !== path);
  return (inner ?? layer.path).slice(prefix.length);
}

function containerPath(graph: LayerGraph, name: string): string {
  const containers = [...new Set(graph.layers.flatMap((layer) => layer.containers))];
  const found =
    containers.find((path) => path === name) ?? containers.find((path) => path.endsWith(`/${name}`));
  if (found !== undefined) return found;
  const known = containers.length > 0 ? `one of ${containers.join(", ")}` : "a model with nested models";
  const near = nearestNames(name, containers, 1);
  throw new UsageError(
    `--freeze-depth ${name}: expected ${known}, got no nested model of that name.${near.length > 0 ? ` Did you mean ${near[0]}?` : ""}`,
    "freeze-no-match",
  );
}
