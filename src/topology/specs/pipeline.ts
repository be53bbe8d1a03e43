import type { Shape } from "../../tensor.ts";
import {
  type CallShapes,
  inputShapes,
  type LayerSpec,
  type NonEmpty,
  type WeightSpec,
} from "../layer-spec.ts";
import type { NestedLayer } from "./recurrent-cells.ts";
import { nestedLayers, placesBelow, within } from "./recurrent-cells.ts";
import { innerSpec, isRandom, refusalInside, type SpecOf } from "./wrappers.ts";

/**
 * Creates the spec of Pipeline, which calls layers one after another (`keras/src/layers/preprocessing/pipeline.py`).
 * @param specOf Returns the specs of inner layers.
 */
export function pipelineSpec(specOf: SpecOf): LayerSpec {
  return {
    className: "Pipeline",
    defaults: {},
    weights: (outer) => {
      const layers = layersOf(outer.config);
      const places = placesBelow("layers", layers);
      return inTurn(specOf, outer).flatMap(({ layer, spec, call }, index): readonly WeightSpec[] =>
        within(places[index] ?? "", layer.config, spec.weights?.(call) ?? []),
      );
    },
    outputShapes: (outer) => inTurn(specOf, outer).at(-1)?.outputs ?? [],
    multiplyAdds: (outer) =>
      inTurn(specOf, outer).reduce(
        (sum, { spec, call, outputs }) => sum + (spec.multiplyAdds?.({ ...call, outputs }) ?? 0),
        0,
      ),
    randomWith: (config) => layersOf(config).some((layer) => isRandom(specOf, layer)),
    refusal: (config) =>
      layersOf(config)
        .map((layer) => refusalInside(specOf, layer))
        .find((refusal) => refusal !== undefined),
  };
}

function layersOf(config: CallShapes["config"]): readonly NestedLayer[] {
  return nestedLayers(config, "layers");
}

/** The call of one layer of a Pipeline. */
interface Turn {
  readonly layer: NestedLayer;
  readonly spec: LayerSpec;
  readonly call: CallShapes;
  readonly outputs: NonEmpty<Shape>;
}

/** Lists the calls of the layers, each of which reads the outputs of the layer before it. */
function inTurn(specOf: SpecOf, outer: CallShapes): Turn[] {
  let inputs = outer.inputs;
  return layersOf(outer.config).map((layer) => {
    const spec = innerSpec(specOf, layer);
    const call = { ...outer, config: layer.config, inputs, args: [], kwargs: {} };
    const outputs = inputShapes(spec.outputShapes(call));
    inputs = outputs;
    return { layer, spec, call, outputs };
  });
}
