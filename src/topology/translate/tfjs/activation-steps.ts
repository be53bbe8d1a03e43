import type { Json, JsonObject } from "../../../checkpoint.ts";
import { isObject } from "../../config-values.ts";
import { classNameOf } from "../../dialects/class-names.ts";
import { modernConfig } from "../../dialects/layer-config.ts";
import { picked, refuse, type SourceLayer, type TfjsStep } from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

/** An activation in tfjs-layers: a value of a layer's `activation` argument, and layers to apply after it. */
export interface TfjsActivation {
  readonly name: string;
  readonly after: readonly TfjsStep[];
}

/** Names of activations that compute the same in tfjs-layers, by their names in Keras 3. */
const equal: Readonly<Record<string, string>> = {
  linear: "linear",
  relu: "relu",
  relu6: "relu6",
  elu: "elu",
  selu: "selu",
  gelu: "gelu",
  mish: "mish",
  silu: "swish",
  sigmoid: "sigmoid",
  softplus: "softplus",
  softsign: "softsign",
  tanh: "tanh",
  softmax: "softmax",
  log_softmax: "log_softmax",
};

/** Keras 3's hard_sigmoid, `relu6(x + 3) / 6`. In Keras 2 and tfjs-layers hard_sigmoid is `clip(0.2 x + 0.5)`. */
const hardSigmoid: readonly TfjsStep[] = [
  { className: "Rescaling", config: { scale: 1, offset: 3 } },
  { className: "ReLU", config: { max_value: 6 } },
  { className: "Rescaling", config: { scale: 1 / 6, offset: 0 } },
];

const composed: Readonly<Record<string, readonly TfjsStep[]>> = {
  hard_sigmoid: hardSigmoid,
  hard_silu: [
    ...hardSigmoid,
    { className: "Multiply", config: {}, reads: [{ input: 0 }, { step: hardSigmoid.length - 1 }] },
  ],
  leaky_relu: [{ className: "LeakyReLU", config: { alpha: 0.2 } }],
};

type StepsOf = (layer: SourceLayer) => readonly TfjsStep[];

/**
 * Translates the layer's activation.
 * @param stepsOf Translates an activation that is a layer.
 * @throws {TopologyError} naming the layer, if tfjs-layers has no equivalent activation.
 */
export function activationOf(layer: SourceLayer, stepsOf: StepsOf): TfjsActivation {
  const activation = layer.config["activation"] ?? "linear";
  if (isObject(activation)) return { name: "linear", after: stepsOf(asLayer(layer, activation)) };
  const name = equalName(layer, activation);
  if (name !== undefined) return { name, after: [] };
  const after = composed[String(activation)];
  return after ? { name: "linear", after } : refuseActivation(layer, activation);
}

/** Returns the name of an activation inside a cell, where no layer can be added after it. */
export function cellActivation(layer: SourceLayer, activation: Json): string {
  return equalName(layer, activation) ?? refuseActivation(layer, activation);
}

function equalName({ keras }: SourceLayer, activation: Json): string | undefined {
  if (activation === "hard_sigmoid" && keras < 3) return "hard_sigmoid";
  return equal[String(activation)];
}

function refuseActivation(layer: SourceLayer, activation: Json): never {
  return refuse(layer, `has no activation that computes the same as ${JSON.stringify(activation)}`);
}

function asLayer(layer: SourceLayer, activation: JsonObject): SourceLayer {
  const className = classNameOf(activation, layer.keras);
  const config = isObject(activation["config"]) ? activation["config"] : {};
  return {
    ...layer,
    className,
    config: modernConfig(className, config, layer.keras),
    inputs: layer.outputs,
    weights: [],
    constants: [],
  };
}

/**
 * Appends the steps `after`, whose references to the layer's inputs then mean the output of the last step `before`.
 */
export function followedBy(before: readonly TfjsStep[], after: readonly TfjsStep[]): readonly TfjsStep[] {
  const offset = before.length;
  return [
    ...before,
    ...after.map((step) =>
      step.reads
        ? {
            ...step,
            reads: step.reads.map((read) =>
              "step" in read ? { step: read.step + offset } : { step: offset - 1 },
            ),
          }
        : step,
    ),
  ];
}

/** Returns a layer of the same class with weights and an activation, which may add layers after it. */
export function activated(
  { className, config }: SourceLayer,
  { name, after }: TfjsActivation,
  keys: string,
  ...variables: readonly string[]
): readonly TfjsStep[] {
  const own = {
    ...picked(config, keys.split(" ")),
    activation: name,
    ...trainingArguments(config, ...variables),
  };
  return followedBy([{ className, config: own, weighted: true }], after);
}
