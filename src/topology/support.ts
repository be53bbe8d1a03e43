import type { Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";
import { isObject } from "./config-values.ts";
import { formerLayers } from "./dialects/class-names.ts";
import { innerLayersOf, innerModelOf, isInnerModel } from "./dialects/inner-model.ts";
import { kindOfNode } from "./dialects/node-def.ts";
import { isTensorFlowFunction } from "./dialects/tf-ops.ts";
import { innerLayerKeys } from "./edit-config.ts";
import { lambdaRefusal } from "./lambda-refusal.ts";
import type { GraphLayer, LayerGraph } from "./layer-graph.ts";
import type { Refusal } from "./layer-spec.ts";
import { specOf } from "./layer-specs.ts";
import { activationNames } from "./specs/activation.ts";
import { quantizationRefusal } from "./specs/quantization.ts";

/** A layer that cannot be computed, with the reason and what the user can do. */
export interface UnsupportedLayer {
  readonly path: string;
  readonly className: string;
  /** Reason, without a final period. */
  readonly reason: string;
  /** Sentences that tell the user what to do. */
  readonly advice: string;
}

/**
 * Checks that all layers can be computed. @throws {TopologyError} that lists all layers that cannot, with reason and
 * advice.
 */
export function requireSupported(graph: LayerGraph): void {
  const refused = unsupportedLayers(graph);
  if (refused.length === 0) return;
  const lines = refused.map(
    ({ path, className, reason, advice }) => `  ${path} (${className}): ${reason}. ${advice}`,
  );
  const count = refused.length === 1 ? "one that is not" : `${refused.length} that are not`;
  throw new TopologyError(
    `${graph.name}: layers: expected all to be computable without Python, got ${count}:\n${lines.join("\n")}`,
    "unsupported-layer",
  );
}

/**
 * Lists the layers that cannot be computed in the order of `graph.layers`. The list is empty for a supported model.
 */
export function unsupportedLayers(graph: LayerGraph): readonly UnsupportedLayer[] {
  return graph.layers.flatMap((layer) => {
    const refusal = refusalOf(layer);
    return refusal ? [{ path: layer.path, className: layer.className, ...refusal }] : [];
  });
}

/** Layer classes whose computation is not in the file. */
const foreign: Readonly<Record<string, Refusal>> = {
  TFSMLayer: foreignProgram("a TensorFlow SavedModel"),
  JaxLayer: foreignProgram("a JAX function"),
  FlaxLayer: foreignProgram("a Flax module"),
  TorchModuleWrapper: foreignProgram("a PyTorch module"),
};

/** Returns whether a class of Keras holds a program that is not in the file. */
export function isForeign(className: string): boolean {
  return className in foreign;
}

function foreignProgram(what: string): Refusal {
  return {
    reason: `it runs ${what}, which is not in the file`,
    advice: "Rebuild that part from Keras layers and save the model again.",
  };
}

function refusalOf(layer: GraphLayer): Refusal | undefined {
  const known = foreign[layer.className];
  if (known) return known;
  if (layer.className === "Lambda") return lambdaRefusal(layer);
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

/** Lists the activations of a layer, of its gates and of the layers inside it. */
function activationsIn(config: JsonObject): (Json | undefined)[] {
  const inner = [...innerLayerKeys].flatMap((key) => [config[key] ?? null].flat());
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
    reason: `it is ${called}, which has no equivalent here with these arguments`,
    advice: "Replace it with an equivalent Keras layer and save the model again.",
  };
}

const registering =
  "If it is a class of your own, write it in TypeScript and make it known with registerLayer, or --layers FILE on the command line (docs/custom-layers.md)";

function unknownClass(className: string): Refusal {
  if (className.startsWith("ops.")) return operationRefusal(className.slice("ops.".length));
  if (className.includes(">")) {
    return {
      reason: "a custom class, whose code is not in the file",
      advice: `${registering}, or rebuild it from Keras layers and save the model again.`,
    };
  }
  if (className.startsWith("CuDNN")) {
    const plain = className.slice("CuDNN".length);
    const more = plain === "GRU" ? ", reset_after=True" : "";
    return {
      reason: "a layer of an earlier version of Keras that runs on GPUs only",
      advice: `In that version of Keras build the model with ${plain}(recurrent_activation="sigmoid"${more}) in its place, load this file with load_weights, which converts the weights, and save the model again.`,
    };
  }
  if (formerLayers.has(className)) {
    return {
      reason: "a layer of an earlier version of Keras that neither Keras 3 nor this program supports",
      advice:
        "Rebuild it from layers of Keras 3 and save the model again. Freezing the layer does not help, because it must run.",
    };
  }
  return {
    reason: "an unknown layer class",
    advice: `${registering}, or rebuild it from Keras layers. Freezing the layer does not help, because it must run.`,
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

/** Layer classes that may stand as the activation of another layer. */
const activationLayers = new Set(["Activation", "ELU", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU"]);

/**
 * Returns whether an activation is a layer with weights, which files store under the layer that has the activation.
 */
export function hasWeightedActivation(config: JsonObject): boolean {
  return activationsIn(config).some(
    (activation) => isObject(activation) && specOf(String(activation["class_name"]))?.weights !== undefined,
  );
}

function activationThatIsLayer(className: string): Refusal {
  const weighted = specOf(className)?.weights ? " with weights of its own" : "";
  return {
    reason: `its activation is a ${className} layer${weighted}`,
    advice: "Move that layer behind it and save the model again.",
  };
}

function customActivation(name: string): Refusal {
  return {
    reason: `its activation ${name} is not in keras.activations`,
    advice: "Replace it with one of those and save the model again.",
  };
}

/** Operations of keras.ops that cannot be computed. */
const operationRefusals: readonly {
  readonly names: string;
  readonly because: string;
  readonly advice: string;
}[] = [
  {
    names: "AssociativeScan Cond ForiLoop JVP Map Scan Switch VectorizedMap WhileLoop",
    because: "calls a Python function, which is not in the file",
    advice: "Replace it with operations on whole tensors and save the model again.",
  },
  {
    names: "Arange",
    because:
      "has an output whose length depends on a tensor's value, which Keras does not support in models either",
    advice: "Compute it outside of the model and save the model again.",
  },
  {
    names: "Eig Polar ViewAsComplex ViewAsReal",
    because: "works on complex numbers, which are not supported",
    advice: "Keep real and imaginary parts in separate tensors and save the model again.",
  },
];

/** Returns the reason for which an operation without a spec cannot be computed. */
function operationRefusal(name: string): Refusal {
  const known = operationRefusals.find(({ names }) => names.split(" ").includes(name));
  if (known) return { reason: `${name} ${known.because}`, advice: known.advice };
  return {
    reason: `an unknown operation or layer ${name}`,
    advice: "Replace it with a known one and save the model again.",
  };
}
