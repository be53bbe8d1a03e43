import type { Json, JsonObject } from "../../../checkpoint.ts";
import { isObject } from "../../config-values.ts";
import { classNameOf } from "../../dialects/class-names.ts";
import { modernConfig } from "../../dialects/layer-config.ts";
import { picked, refuse, type SourceLayer, type TfjsStep } from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

/** An activation in tfjs-layers's words: a name that a layer may have, or layers to come after it. */
export interface TfjsActivation {
  readonly name: string;
  readonly after: readonly TfjsStep[];
}

/** Activations that compute the same in tfjs-layers, by Keras 3's name. */
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

/** `relu6(x + 3) / 6`: Keras 3's hard_sigmoid, which in Keras 2 and tfjs-layers is another line. */
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
 * The layer's activation.
 * @param stepsOf What an activation that is a layer becomes.
 * @throws {TopologyError} naming the layer, for one that tfjs-layers has not.
 */
export function activationOf(layer: SourceLayer, stepsOf: StepsOf): TfjsActivation {
  const activation = layer.config["activation"] ?? "linear";
  if (isObject(activation)) return { name: "linear", after: stepsOf(asLayer(layer, activation)) };
  const name = equalName(layer, activation);
  if (name !== undefined) return { name, after: [] };
  const after = composed[String(activation)];
  return after ? { name: "linear", after } : refuseActivation(layer, activation);
}

/** An activation inside a cell, where no layer can follow. */
export function cellActivation(layer: SourceLayer, activation: Json): string {
  return equalName(layer, activation) ?? refuseActivation(layer, activation);
}

function equalName({ keras }: SourceLayer, activation: Json): string | undefined {
  if (activation === "hard_sigmoid" && keras < 3) return "hard_sigmoid";
  return equal[String(activation)];
}

function refuseActivation(layer: SourceLayer, activation: Json): never {
  return refuse(layer, `has no activation ${JSON.stringify(activation)} that computes the same`);
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

/** The steps behind `before`, whose references to inputs then mean the last of `before`. */
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

/** A layer of the same class with weights and an activation, which may be layers behind it. */
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
