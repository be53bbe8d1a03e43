import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { booleanAt } from "../config-values.ts";
import {
  type CallShapes,
  inputShapes,
  type LayerSpec,
  type Refusal,
  type WeightSpec,
} from "../layer-spec.ts";
import type { NestedLayer } from "./recurrent-cells.ts";
import { nestedLayer, within } from "./recurrent-cells.ts";

/** Returns the spec of a layer class. */
export type SpecOf = (className: string) => LayerSpec | undefined;

/**
 * Creates the specs of wrappers (`keras/src/layers/rnn/bidirectional.py`, `time_distributed.py`).
 * @param specOf Returns the specs of wrapped layers.
 */
export function wrapperSpecs(specOf: SpecOf): readonly LayerSpec[] {
  return [bidirectional(specOf), timeDistributed(specOf)];
}

/**
 * Returns the two layers of a Bidirectional. The backward layer is a copy of the forward one unless the config has its
 * own.
 */
export function directions(config: CallShapes["config"]): { forward: NestedLayer; backward: NestedLayer } {
  const forward = nestedLayer(config, "layer");
  const backward = config["backward_layer"] ? nestedLayer(config, "backward_layer") : copied(forward);
  return { forward, backward };
}

function copied({ className, config }: NestedLayer): NestedLayer {
  return { className, config: { ...config, go_backwards: true } };
}

function bidirectional(specOf: SpecOf): LayerSpec {
  return {
    className: "Bidirectional",
    defaults: { merge_mode: "concat" },
    weights: (call) => {
      const { forward, backward } = directions(call.config);
      return [
        ...within("forward_layer", forward.config, weightsOf(specOf, forward, call)),
        ...within("backward_layer", backward.config, weightsOf(specOf, backward, call)),
      ];
    },
    outputShapes: (call) => {
      const { forward, backward } = directions(call.config);
      const [output, ...states] = innerSpec(specOf, forward).outputShapes(inside(call, forward));
      const [other] = innerSpec(specOf, backward).outputShapes(inside(call, backward));
      const mode = call.config["merge_mode"];
      if (!output || !other) throw new TopologyError("layer: expected an output, got none.", "shape");
      const outputs =
        mode === null ? [output, other] : [mode === "concat" ? sideBySide(output, other) : output];
      return booleanAt(forward.config, "return_state") ? [...outputs, ...states, ...states] : outputs;
    },
    multiplyAdds: (call) => {
      const { forward } = directions(call.config);
      const inner = inside(call, forward);
      const spec = innerSpec(specOf, forward);
      return 2 * (spec.multiplyAdds?.({ ...inner, outputs: inputShapes(spec.outputShapes(inner)) }) ?? 0);
    },
    randomWith: (config) => isRandom(specOf, directions(config).forward),
    refusal: (config) => {
      const { forward, backward } = directions(config);
      return refusalInside(specOf, forward) ?? refusalInside(specOf, backward);
    },
    masking: true,
  };
}

/** Concatenates two shapes along the last axis. */
function sideBySide(one: Shape, other: Shape): Shape {
  const [a = null, b = null] = [one.at(-1), other.at(-1)];
  return [...one.slice(0, -1), a === null || b === null ? null : a + b];
}

function timeDistributed(specOf: SpecOf): LayerSpec {
  const withoutTime = ({ inputs: [input], ...call }: CallShapes, { config }: NestedLayer): CallShapes => {
    const [batch = null, , ...rest] = input;
    if (input.length < 3) {
      throw new TopologyError(
        `input: expected at least 3 dimensions, got shape ${formatShape(input)}.`,
        "shape",
      );
    }
    return { ...call, config, inputs: [[batch, ...rest]], args: [], kwargs: {} };
  };
  return {
    className: "TimeDistributed",
    defaults: {},
    weights: (call) => {
      const layer = nestedLayer(call.config, "layer");
      return within(
        "layer",
        layer.config,
        innerSpec(specOf, layer).weights?.(withoutTime(call, layer)) ?? [],
      );
    },
    outputShapes: (call) => {
      const layer = nestedLayer(call.config, "layer");
      const [[batch = null, ...rest] = []] = innerSpec(specOf, layer).outputShapes(withoutTime(call, layer));
      return [[batch, call.inputs[0][1] ?? null, ...rest]];
    },
    multiplyAdds: (call) => {
      const layer = nestedLayer(call.config, "layer");
      const inner = withoutTime(call, layer);
      const spec = innerSpec(specOf, layer);
      const once = spec.multiplyAdds?.({ ...inner, outputs: inputShapes(spec.outputShapes(inner)) }) ?? 0;
      return (call.inputs[0][1] ?? 0) * once;
    },
    randomWith: (config) => isRandom(specOf, nestedLayer(config, "layer")),
    refusal: (config) => refusalInside(specOf, nestedLayer(config, "layer")),
    masking: true,
  };
}

function weightsOf(specOf: SpecOf, layer: NestedLayer, call: CallShapes): readonly WeightSpec[] {
  return innerSpec(specOf, layer).weights?.(inside(call, layer)) ?? [];
}

function inside(call: CallShapes, { config }: NestedLayer): CallShapes {
  return { ...call, config };
}

/** Returns the spec of a wrapped layer. @throws {TopologyError} if there is none. */
export function innerSpec(specOf: SpecOf, { className }: NestedLayer): LayerSpec {
  const spec = specOf(className);
  if (spec) return spec;
  throw new TopologyError(
    `layer: expected a known layer class inside, got ${className}.`,
    "unsupported-layer",
  );
}

/** Members that a layer which wraps another, in `layer` of its config, takes from it unchanged. */
interface Wrapped extends Required<Pick<LayerSpec, "outputShapes" | "multiplyAdds">> {
  /** Returns the spec of the wrapped layer, and the call as it sees it. */
  readonly inside: (call: CallShapes) => { readonly spec: LayerSpec; readonly call: CallShapes };
}

/** Returns the shapes and the work of the wrapped layer as the wrapper's own. */
export function wrappedLayer(specOf: SpecOf): Wrapped {
  const inside: Wrapped["inside"] = (call) => {
    const layer = nestedLayer(call.config, "layer");
    return { spec: innerSpec(specOf, layer), call: { ...call, config: layer.config } };
  };
  return {
    inside,
    outputShapes: (outer) => {
      const { spec, call } = inside(outer);
      return spec.outputShapes(call);
    },
    multiplyAdds: (outer) => {
      const { spec, call } = inside(outer);
      return spec.multiplyAdds?.({ ...call, outputs: outer.outputs }) ?? 0;
    },
  };
}

/** Returns whether a wrapped layer draws random numbers in training. */
export function isRandom(specOf: SpecOf, { className, config }: NestedLayer): boolean {
  const spec = specOf(className);
  return spec?.random === true || spec?.randomWith?.(config) === true;
}

/** Returns the reason for which a wrapped layer cannot be computed, undefined if it can. */
export function refusalInside(specOf: SpecOf, { className, config }: NestedLayer): Refusal | undefined {
  const spec = specOf(className);
  if (spec) return spec.refusal?.(config);
  return {
    reason: `the layer inside, ${className}, is unknown`,
    advice: "Register it (docs/custom-layers.md), or rebuild it from Keras layers and save the model again.",
  };
}
