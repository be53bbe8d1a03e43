import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { layerGraph } from "../build-graph.ts";
import type { ModelDescription, TensorName } from "../dialects/description.ts";
import { tensorNamesIn } from "../dialects/description.ts";
import type { TensorSpec } from "../layer-graph.ts";
import type { KnownTensor } from "./keras3-nodes.ts";

/**
 * Returns a lookup of shapes and dtypes of a model's tensors by name, including the outputs of nested models. Keras 3
 * writes both for each tensor but reads neither, so a tensor that is not known gets a placeholder of shape `[null]`.
 */
export function knownTensors(
  entry: JsonObject,
  kerasVersion: string,
  model: ModelDescription,
): (name: TensorName) => KnownTensor {
  const specs = new Map<string, readonly TensorSpec[]>();
  const graph = orUndefined(() => layerGraph({ modelConfig: entry, kerasVersion }));
  for (const node of graph?.nodes ?? []) if (!specs.has(node.layer)) specs.set(node.layer, node.outputs);
  const models = new Map(
    model.layers.flatMap((layer) => (layer.model ? [[layer.name, layer.model] as const] : [])),
  );
  const find = (
    prefix: string,
    nested: ReadonlyMap<string, ModelDescription>,
    name: TensorName,
  ): TensorSpec | undefined => {
    const inner = nested.get(name.layer);
    if (!inner) return specs.get(prefix + name.layer)?.[name.output];
    const output = tensorNamesIn(inner.outputs)[name.output];
    const below = new Map(
      inner.layers.flatMap((layer) => (layer.model ? [[layer.name, layer.model] as const] : [])),
    );
    return output && find(`${prefix}${name.layer}/`, below, output);
  };
  return (name) => {
    const spec = find("", models, name);
    return { shape: spec?.shape ?? [null], dtype: spec?.dtype ?? "float32" };
  };
}

/** Returns what a call returns; undefined where the graph or a config refuses it. */
export function orUndefined<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof TopologyError) return undefined;
    throw error;
  }
}
