/** @file Activation layers (`keras/src/layers/activations`), and the `activation` argument of all other layers. */
import type { Json, JsonObject } from "../checkpoint.ts";
import { relu } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { isObject, numberAt, numberList } from "../topology/config-values.ts";
import { modernConfig } from "../topology/dialects/layer-config.ts";
import type { KerasMajor } from "../topology/layer-graph.ts";
import {
  activationName,
  activationNamed,
  elu,
  generalRelu,
  leakyRelu,
  maskedSoftmax,
  softmax,
} from "./activation-functions.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput, unsupported, weightIn } from "./kernel.ts";

/**
 * Applies an `activation` argument to `x`: a name, a serialized function, or a layer without weights, with the
 * semantics of `keras`.
 * @throws {TopologyError} for a function or layer that Keras does not have.
 */
export function activate(x: tf.Tensor, activation: Json | undefined, keras: KerasMajor): tf.Tensor {
  const name = activationName(activation);
  if (name !== undefined) return activationNamed(name, keras)(x);
  const layer = activation as JsonObject;
  const className = String(layer["class_name"]);
  const compute = layers[className];
  if (!compute) throw unsupported(`an activation that is a layer ${className}`, "Put it after the layer.");
  const config = isObject(layer["config"]) ? layer["config"] : {};
  return compute(x, modernConfig(className, config, keras), keras);
}

type ActivationLayer = (x: tf.Tensor, config: JsonObject, keras: KerasMajor) => tf.Tensor;

const layers: Readonly<Record<string, ActivationLayer>> = {
  Activation: (x, config, keras) => activate(x, config["activation"], keras),
  ReLU: (x, config) =>
    generalRelu(
      x,
      (config["negative_slope"] as number | undefined) ?? 0,
      (config["max_value"] as number | null | undefined) ?? null,
      (config["threshold"] as number | undefined) ?? 0,
    ),
  LeakyReLU: (x, config) => leakyRelu(x, numberAt(config, "negative_slope")),
  ELU: (x, config) => elu(x, numberAt(config, "alpha")),
  ThresholdedReLU: (x, config) => generalRelu(x, 0, null, numberAt(config, "theta")),
  Softmax: (x, config) => softmax(x, numberList(config["axis"])),
};

export const activationKernels: Readonly<Record<string, Kernel>> = {
  ...Object.fromEntries(
    Object.entries(layers).map(([className, compute]): [string, Kernel] => [
      className,
      ({ inputs, config, context }) => compute(firstInput(inputs), config, context.keras),
    ]),
  ),
  Softmax: softmaxLayer,
  PReLU: ({ inputs, weights }) => {
    const x = firstInput(inputs);
    return tf.sub(relu(x), tf.mul(weightIn(weights, "alpha"), relu(tf.neg(x))));
  },
};

function softmaxLayer({ inputs, config, kwargs, args, masks, context }: KernelCall): tf.Tensor {
  const axes = numberList(config["axis"]);
  const x = firstInput(inputs);
  const mask = [kwargs["mask"], args[1], masks[0]].find(
    (given): given is tf.Tensor => given instanceof tf.Tensor,
  );
  if (!mask) return softmax(x, axes);
  // Keras 3 keeps positions above 0.5. Keras 2 subtracts in proportion to the difference from 1.
  const shown = mask.dtype === "bool" || context.keras < 3 ? mask : tf.greater(mask, 0.5);
  return maskedSoftmax(x, axes, shown, context.keras);
}
