import type { Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";
import { isObject } from "./config-values.ts";
import { formerLayers } from "./dialects/class-names.ts";
import { innerLayersOf, innerModelOf, isInnerModel } from "./dialects/inner-model.ts";
import { nestedKeys } from "./dialects/layer-config.ts";
import { kindOfNode } from "./dialects/node-def.ts";
import { isTensorFlowFunction } from "./dialects/tf-ops.ts";
import type { GraphLayer, LayerGraph } from "./layer-graph.ts";
import type { Refusal } from "./layer-spec.ts";
import { specOf } from "./layer-specs.ts";
import { activationNames } from "./specs/activation.ts";
import { quantizationRefusal } from "./specs/quantization.ts";

/** A layer that cannot be run here, and what the user can do about it. */
export interface UnsupportedLayer {
  readonly path: string;
  readonly className: string;
  /** Why not, as half a sentence, and a sentence of advice. */
  readonly reason: string;
  readonly advice: string;
}

/** @throws {TopologyError} one for all layers that cannot be run here, each by its path. */
export function requireSupported(graph: LayerGraph): void {
  const refused = unsupportedLayers(graph);
  if (refused.length === 0) return;
  const lines = refused.map(
    ({ path, className, reason, advice }) => `  ${path} (${className}): ${reason}. ${advice}`,
  );
  const count = refused.length === 1 ? "one that cannot" : `${refused.length} that cannot`;
  throw new TopologyError(
    `${graph.name}: layers: expected all to be computable without Python, got ${count}:\n${lines.join("\n")}`,
    "unsupported-layer",
  );
}

/** In the order of `graph.layers`; empty where the whole model can be run. */
export function unsupportedLayers(graph: LayerGraph): readonly UnsupportedLayer[] {
  return graph.layers.flatMap((layer) => {
    const refusal = refusalOf(layer);
    return refusal ? [{ path: layer.path, className: layer.className, ...refusal }] : [];
  });
}

/** Layers whose work is not in the file, or not computed here. */
const foreign: Readonly<Record<string, Refusal>> = {
  Lambda: {
    reason: "a Lambda is Python code",
    advice:
      "Replace it by a Keras layer or by functions of keras.ops, which a model file can hold, and save again.",
  },
  TFSMLayer: foreignProgram("a TensorFlow SavedModel"),
  JaxLayer: foreignProgram("a JAX function"),
  FlaxLayer: foreignProgram("a Flax module"),
  TorchModuleWrapper: foreignProgram("a PyTorch module"),
};

function foreignProgram(what: string): Refusal {
  return {
    reason: `it runs ${what}, which is not in the file`,
    advice: "Rebuild that part from Keras layers and save again.",
  };
}

function refusalOf(layer: GraphLayer): Refusal | undefined {
  const known = foreign[layer.className];
  if (known) return known;
  if (isTensorFlowFunction(layer.className)) return tensorFlowFunction(layer);
  const spec = specOf(layer.className);
  if (!spec) return unknownClass(layer.className);
  const refusal = spec.refusal?.(layer.config);
  if (refusal) return refusal;
  const quantized = quantizationRefusal(layer.className, layer.config);
  if (quantized) return quantized;
  return activationsIn(layer.config)
    .map(unknownActivation)
    .find((found) => found !== undefined);
}

/** The activations of a layer, its gates and the layers inside it. */
function activationsIn(config: JsonObject): (Json | undefined)[] {
  const inner = [...nestedKeys].flatMap((key) => [config[key] ?? null].flat());
  const modelled = isInnerModel(config) ? innerLayersOf(innerModelOf(config)) : [];
  return [
    config["activation"],
    config["recurrent_activation"],
    ...inner.flatMap((item) =>
      isObject(item) && isObject(item["config"]) ? activationsIn(item["config"]) : [],
    ),
    ...modelled.flatMap((layer) => activationsIn(layer.config)),
  ];
}

function tensorFlowFunction(layer: GraphLayer): Refusal {
  const name = layer.config["function"];
  const kind = kindOfNode(layer.config);
  const called =
    typeof name === "string"
      ? `the TensorFlow function tf.${name}`
      : `the TensorFlow operation${kind === undefined ? "" : ` ${kind}`}`;
  return {
    reason: `it is ${called}, which has no equal here as it is called`,
    advice: "Replace it by a Keras layer that does the same and save again.",
  };
}

function unknownClass(className: string): Refusal {
  if (className.startsWith("ops.")) return operationRefusal(className.slice("ops.".length));
  if (className.includes(">")) {
    return {
      reason: "a custom class, whose code is not in the file",
      advice: "Rebuild it from Keras layers and save again.",
    };
  }
  if (className.startsWith("CuDNN")) {
    const plain = className.slice("CuDNN".length);
    const more = plain === "GRU" ? ", reset_after=True" : "";
    return {
      reason: "a layer of an earlier Keras that runs on a GPU alone",
      advice: `Build the model in that Keras with ${plain}(recurrent_activation="sigmoid"${more}) in its place, load_weights of this file, which converts them, and save again.`,
    };
  }
  if (formerLayers.has(className)) {
    return {
      reason: "a layer of an earlier Keras, which is neither computed here nor in Keras 3",
      advice:
        "Rebuild it from layers that Keras 3 has and save again; freezing it does not help, it must run.",
    };
  }
  return {
    reason: "no layer of that class is known here",
    advice:
      "If it is a class of your own, rebuild it from Keras layers; freezing it does not help, it must run.",
  };
}

function unknownActivation(activation: Json | undefined): Refusal | undefined {
  if (activation === undefined || activation === null) return undefined;
  if (typeof activation === "string") {
    return activationNames.has(activation) ? undefined : customActivation(`"${activation}"`);
  }
  const className = isObject(activation) ? activation["class_name"] : undefined;
  if (typeof className === "string") {
    if (activationLayers.has(className)) return undefined;
    if (specOf(className)) return activationThatIsLayer(className);
  }
  return customActivation(JSON.stringify(className ?? activation));
}

/** Layers that compute as an activation too. */
const activationLayers = new Set(["Activation", "ELU", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU"]);

/** Whether an activation is a layer with weights: files hold them under the layer that has it. */
export function hasWeightedActivation(config: JsonObject): boolean {
  return activationsIn(config).some(
    (activation) => isObject(activation) && specOf(String(activation["class_name"]))?.weights !== undefined,
  );
}

function activationThatIsLayer(className: string): Refusal {
  const weighted = specOf(className)?.weights ? " with weights of its own" : "";
  return {
    reason: `its activation is a layer ${className}${weighted}`,
    advice: "Put that layer behind it and save again.",
  };
}

function customActivation(name: string): Refusal {
  return {
    reason: `its activation ${name} is none of keras.activations`,
    advice: "Replace it by one of those and save again.",
  };
}

/** Why some operations of keras.ops can be in no model that runs here. */
const operationRefusals: readonly {
  readonly names: string;
  readonly because: string;
  readonly advice: string;
}[] = [
  {
    names: "AssociativeScan Cond ForiLoop JVP Map Scan Switch VectorizedMap WhileLoop",
    because: "calls a Python function, which is not in the file",
    advice: "Replace it by operations on whole tensors and save again.",
  },
  {
    names: "Arange",
    because: "has a length that only a number says, which a tensor in a model is not, in Keras either",
    advice: "Compute it outside of the model and save again.",
  },
  {
    names: "Eig Polar ViewAsComplex ViewAsReal",
    because: "works on complex numbers, which no tensor here holds",
    advice: "Keep the real and the imaginary parts apart and save again.",
  },
];

/** What is told of an operation, by its class name, that has no spec. */
function operationRefusal(name: string): Refusal {
  const known = operationRefusals.find(({ names }) => names.split(" ").includes(name));
  if (known) return { reason: `${name} ${known.because}`, advice: known.advice };
  return {
    reason: `neither an operation nor a layer named ${name} is known here`,
    advice: "Replace it by one that is and save again.",
  };
}
