import type { JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { KerasMajor } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";

/** Classes that Keras 1 and 2 called otherwise, and aliases that were once classes of their own. */
const renamed: Readonly<Record<string, string>> = {
  BatchNormalizationV1: "BatchNormalization",
  BatchNormalizationV2: "BatchNormalization",
  SyncBatchNormalization: "BatchNormalization",
  GroupedQueryAttention: "GroupQueryAttention",
};

/** Packages whose classes are Keras's own. */
const ownPackages = /^(keras|tf_keras|keras_core|tensorflow\.(python\.)?keras)(\.|$)/;

/** Keras 3 `module`s of the classes of keras.ops: `keras.src.ops.numpy`; keras.activations has two of its own. */
const opModule = /^keras\.(src\.)?(ops|activations)(\.|$)/;

/**
 * Keras 3's class name of a layer entry: `Conv2D`, `ops.Add` for an op, `package>Name` for a class that is not Keras's own
 * (also one that bears the name of a Keras layer).
 */
export function classNameOf(layer: JsonObject, keras: KerasMajor): string {
  const name = typeof layer["class_name"] === "string" ? layer["class_name"] : "";
  const module = layer["module"];
  const registered = layer["registered_name"];
  if (typeof registered === "string" && registered.includes(">")) return registered;
  if (typeof module === "string") {
    if (opModule.test(module)) return `ops.${name}`;
    return ownPackages.test(module) ? (renamed[name] ?? name) : `${module}>${name}`;
  }
  // With `module: null` Keras 3 marks a class of the script that saved the model.
  if (module === null && !isOwnByRegistration(registered)) return `__main__>${name}`;
  if (keras === 3 && isLegacyOp(layer)) return `ops.${name}`;
  return renamed[name] ?? name;
}

function isOwnByRegistration(registered: unknown): boolean {
  return registered === null || registered === undefined;
}

/** In Keras 3's .h5 nothing but the missing arguments of every layer tells an op from the layer of the same name. */
function isLegacyOp(layer: JsonObject): boolean {
  const { config, class_name: name } = layer;
  if (specOf(String(name)) && !specOf(`ops.${String(name)}`)) return false;
  if (!isObject(config) || !("inbound_nodes" in layer) || layer["class_name"] === "InputLayer") return false;
  // The dtype of a layer is a policy, that of the op Cast a name.
  return !("trainable" in config) && !isObject(config["dtype"]);
}

/** Classes of Keras 1 and 2 that Keras 3 has not. */
export const formerLayers: ReadonlySet<string> = new Set(
  `AbstractRNNCell ConvLSTM2DCell ConvRNN2D CuDNNGRU CuDNNLSTM DenseFeatures Highway Lambda LocallyConnected1D
   LocallyConnected2D MaxoutDense Merge ParametricSoftplus RandomHeight RandomWidth SReLU SequenceFeatures SlicingOpLambda
   TFOpLambda TensorFlowOpLayer ThresholdedReLU`.split(/\s+/),
);
