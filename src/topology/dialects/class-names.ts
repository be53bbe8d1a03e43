import type { JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { KerasMajor } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";

/** Current names of classes that were renamed, and of aliases that once were classes of their own. */
const renamed: Readonly<Record<string, string>> = {
  BatchNormalizationV1: "BatchNormalization",
  BatchNormalizationV2: "BatchNormalization",
  SyncBatchNormalization: "BatchNormalization",
  GroupedQueryAttention: "GroupQueryAttention",
};

/** Matches packages whose classes belong to Keras. */
const ownPackages = /^(keras|tf_keras|keras_core|tensorflow\.(python\.)?keras)(\.|$)/;

/** Matches the modules of operations in Keras 3: `keras.src.ops.numpy`, and keras.activations, which defines two. */
const opModule = /^keras\.(src\.)?(ops|activations)(\.|$)/;

/**
 * Returns the class name of a layer entry in Keras 3: `Conv2D`, `ops.Add` for an operation, `package>Name` for a custom
 * class, even if it has the name of a Keras layer.
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
  // Keras 3 writes `module: null` for a class of the script that saved the model.
  if (module === null && !isOwnByRegistration(registered)) return `__main__>${name}`;
  if (keras === 3 && isLegacyOp(layer)) return `ops.${name}`;
  return renamed[name] ?? name;
}

function isOwnByRegistration(registered: unknown): boolean {
  return registered === null || registered === undefined;
}

/**
 * Returns whether an entry in an .h5 file of Keras 3 is an operation. It differs from the layer of the same name only
 * in that it lacks the arguments that every layer has.
 */
function isLegacyOp(layer: JsonObject): boolean {
  const { config, class_name: name } = layer;
  if (specOf(String(name)) && !specOf(`ops.${String(name)}`)) return false;
  if (!isObject(config) || !("inbound_nodes" in layer) || layer["class_name"] === "InputLayer") return false;
  // The dtype of a layer is a policy; that of the operation Cast is a name.
  return !("trainable" in config) && !isObject(config["dtype"]);
}

/** Layer classes of Keras 1 and 2 that Keras 3 does not have. */
export const formerLayers: ReadonlySet<string> = new Set(
  `AbstractRNNCell ConvLSTM2DCell ConvRNN2D CuDNNGRU CuDNNLSTM DenseFeatures Highway Lambda LocallyConnected1D
   LocallyConnected2D MaxoutDense Merge ParametricSoftplus RandomHeight RandomWidth SReLU SequenceFeatures SlicingOpLambda
   TFOpLambda TensorFlowOpLayer ThresholdedReLU`.split(/\s+/),
);
