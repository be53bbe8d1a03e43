/** @file The layers that a custom layer holds in its attributes. */
import type { JsonObject } from "../checkpoint.ts";
import type { EngineTensor } from "../engine/tensor-operations.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import type { Shape } from "../tensor.ts";
import { calledOnList, modernConfig } from "../topology/dialects/layer-config.ts";
import type { Argument } from "../topology/layer-graph.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../topology/layer-spec.ts";
import { inputShapes } from "../topology/layer-spec.ts";
import { isRandomLayer, specOf } from "../topology/layer-specs.ts";
import { within } from "../topology/specs/recurrent-cells.ts";
import type { CustomShapes, HeldCall, HeldLayer } from "./custom-layer.ts";
import type { Kernel, KernelArgument, KernelCall } from "./kernel.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import { runInside } from "./wrappers.ts";

/** A held layer with its spec and complete config. */
interface Held {
  readonly key: string;
  readonly className: string;
  readonly spec: LayerSpec;
  readonly config: JsonObject;
  readonly call: CallShapes;
}

/** Returns the weights of the held layers, each named by its layer's key and its own name. */
export function heldWeights(layers: HeldLayers, shapes: CustomShapes): readonly WeightSpec[] {
  return heldIn(layers, shapes).flatMap(({ key, spec, config, call }) =>
    within(key, config, spec.weights?.(call) ?? []),
  );
}

/**
 * Returns whether a held layer draws random numbers in training, which does not depend on the inputs' shapes. A layer
 * whose held layers cannot be told without them counts as random.
 */
export function holdsRandom(layers: HeldLayers, config: JsonObject): boolean {
  try {
    return heldIn(layers, { config, inputs: [[]], keras: 3 }).some(isRandomLayer);
  } catch {
    return true;
  }
}

/** Returns whether a held layer makes a sample's output depend on the rest of its batch in training. */
export function holdsCoupling(layers: HeldLayers, shapes: CustomShapes): boolean {
  return heldIn(layers, shapes).some(({ spec: { couplesBatch = false }, config, call }) =>
    typeof couplesBatch === "function" ? couplesBatch({ config, inputs: call.inputs }) : couplesBatch,
  );
}

/** Returns the multiply-adds of the held layers for one sample. */
export function heldMultiplyAdds(layers: HeldLayers, shapes: CustomShapes): number {
  return heldIn(layers, shapes).reduce((sum, { spec, call }) => {
    const outputs = inputShapes(spec.outputShapes(call));
    return sum + (spec.multiplyAdds?.({ ...call, outputs }) ?? 0);
  }, 0);
}

export type HeldLayers = (call: CustomShapes) => Readonly<Record<string, HeldLayer>>;

/** New values of weights that held layers return, by the name that the outer layer has for them. */
export type HeldState = Record<string, tf.Tensor>;

/** Returns functions that run the held layers of a call, and collects the state that they return in `state`. */
export function heldCalls(
  kernelOf: (className: string) => Kernel | undefined,
  layers: HeldLayers,
  shapes: CustomShapes,
  outer: KernelCall,
  state: HeldState,
): Readonly<Record<string, HeldCall>> {
  const calls = heldIn(layers, shapes).map(({ key, className, config }) => {
    const run: HeldCall = (given, kwargs = {}) => {
      const inputs = (Array.isArray(given) ? given : [given]) as readonly tf.Tensor[];
      const isList = calledOnList(className) && Array.isArray(given);
      const result = runInside(
        kernelOf,
        { className, config },
        {
          ...outer,
          inputs,
          weights: weightsBelow(outer.weights, key),
          args: isList ? [inputs] : inputs,
          kwargs: kwargs as Readonly<Record<string, KernelArgument>>,
          masks: inputs.map((input) => outer.masks[outer.inputs.indexOf(input)]),
        },
      );
      for (const [name, value] of Object.entries(result.state ?? {})) state[`${key}/${name}`] = value;
      const [output] = result.outputs;
      if (output) return output satisfies EngineTensor;
      throw new TopologyError(`${key}: ${className}: expected an output, got none.`);
    };
    return [key, run] as const;
  });
  return Object.fromEntries(calls);
}

function heldIn(layers: HeldLayers, shapes: CustomShapes): readonly Held[] {
  return Object.entries(layers(shapes)).map(([key, { className, config = {}, inputs }]) => {
    const spec = specOf(className);
    if (!spec) {
      throw new TopologyError(
        `${key}: expected a layer class of Keras or a registered one, got ${JSON.stringify(className)}. Register it first.`,
        "unsupported-layer",
      );
    }
    const complete = modernConfig(className, { name: key, ...config }, 3);
    return { key, className, spec, config: complete, call: callOn(className, complete, inputs) };
  });
}

function callOn(className: string, config: JsonObject, inputs: readonly Shape[]): CallShapes {
  const tensors = inputs.map((_, output): Argument => ({ kind: "tensor", ref: { node: 0, output } }));
  const args: readonly Argument[] = calledOnList(className) ? [{ kind: "list", items: tensors }] : tensors;
  return { config, keras: 3, inputs: inputShapes(inputs), args, kwargs: {} };
}

/** Tells a tensor of the engine from a plain value. */
export function isTensor(value: unknown): value is tf.Tensor {
  return value instanceof tf.Tensor;
}
