import type { Shape } from "../../tensor.ts";
import { outputsOfCall } from "../call-outputs.ts";
import type { ModelDescription } from "../dialects/description.ts";
import { tensorNamesIn } from "../dialects/description.ts";
import { innerLayersOf, innerModelClass, innerModelOf, isInnerModel } from "../dialects/inner-model.ts";
import { type GraphLayer, type GraphNode, layerLookup, tensorAt } from "../layer-graph.ts";
import { type CallShapes, inputShapes, type LayerSpec } from "../layer-spec.ts";
import type { ModelCalls } from "../model-calls.ts";
import { modelCalls } from "../model-calls.ts";
import { nameInCode, snakeCase } from "../naming.ts";
import { within } from "./recurrent-cells.ts";
import { isRandom, refusalInside, type SpecOf } from "./wrappers.ts";

/**
 * Creates the spec of a model that a wrapper contains and calls as a layer. @param specOf Returns the specs of inner
 * layers.
 */
export function innerModelSpec(specOf: SpecOf): LayerSpec {
  const callsIn = ({ config, inputs }: CallShapes): ModelCalls => innerCalls(specOf, config, inputs);
  return {
    className: innerModelClass,
    defaults: {},
    weights: (call) => {
      const calls = callsIn(call);
      const places = innerPlaces(innerModelOf(call.config));
      return calls.layers.flatMap((layer) => {
        const node = calls.nodes.find((candidate) => candidate.layer === layer.path);
        const weights = node && specOf(layer.className)?.weights?.(shapesOf(calls, layer, node));
        return within(places.get(layer.path) ?? "", { trainable: layer.trainable }, weights ?? []);
      });
    },
    outputShapes: (call) => {
      const { nodes, outputs } = callsIn(call);
      return outputs.map((ref) => tensorAt({ nodes }, ref).shape ?? []);
    },
    multiplyAdds: (call) => {
      const calls = callsIn(call);
      const layerOf = layerLookup(calls);
      return calls.nodes.reduce((sum, node) => {
        const layer = layerOf(node.layer);
        const outputs = inputShapes(node.outputs.map(({ shape }) => shape ?? []));
        const count = specOf(layer.className)?.multiplyAdds?.({ ...shapesOf(calls, layer, node), outputs });
        return sum + (count ?? 0);
      }, 0);
    },
    randomWith: (config) =>
      isInnerModel(config) && innerLayersOf(innerModelOf(config)).some((layer) => isRandom(specOf, layer)),
    refusal: (config) =>
      isInnerModel(config)
        ? innerLayersOf(innerModelOf(config))
            .map((layer) => refusalInside(specOf, layer))
            .find((refusal) => refusal !== undefined)
        : { reason: "it is a model without its layers", advice: "Rebuild it and save the model again." },
    masking: true,
  };
}

/** Lists the layers and calls of the model on inputs of these shapes. */
export function innerCalls(
  specOf: SpecOf,
  config: CallShapes["config"],
  inputs: readonly Shape[],
): ModelCalls {
  const model = innerModelOf(config);
  const shapes = new Map(
    tensorNamesIn(model.inputs).map(({ layer }, index) => [layer, inputs[index] ?? null]),
  );
  const layers = model.layers.map((layer) => {
    const shape = shapes.get(layer.name);
    return shape === undefined ? layer : { ...layer, config: { ...layer.config, batch_shape: shape } };
  });
  return modelCalls({ ...model, layers }, (layer, call) =>
    outputsOfCall(specOf(layer.className), layer, call),
  );
}

/**
 * Returns the place of each layer in Keras's archives by its path: `layers/conv2d`, `layers/functional/layers/dense_1`.
 */
export function innerPlaces(model: ModelDescription): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  const visit = ({ layers, kind }: ModelDescription, path: string, place: string): void => {
    const used = new Map<string, number>();
    for (const layer of layers) {
      if (layer.className.startsWith("ops.") || (kind === "sequential" && layer.className === "InputLayer"))
        continue;
      const base = snakeCase(nameInCode(layer.className));
      const count = used.get(base) ?? 0;
      used.set(base, count + 1);
      const own = `${place}layers/${base}${count === 0 ? "" : `_${count}`}`;
      places.set(path + layer.name, own);
      if (layer.model) visit(layer.model, `${path}${layer.name}/`, `${own}/`);
    }
  };
  visit(model, "", "");
  return places;
}

function shapesOf({ nodes }: ModelCalls, layer: GraphLayer, node: GraphNode): CallShapes {
  return {
    config: layer.config,
    keras: layer.keras,
    inputs: inputShapes(node.inputs.map((ref) => tensorAt({ nodes }, ref).shape ?? [])),
    args: node.args,
    kwargs: node.kwargs,
  };
}
