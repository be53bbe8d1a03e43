import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { ElementType, Shape } from "../../tensor.ts";
import type { LayerSpec } from "../layer-spec.ts";

/** InputLayer (`keras/src/layers/core/input_layer.py`). Keras 1 and 2 named the shape `batch_input_shape`. */
const inputLayer: LayerSpec = {
  className: "InputLayer",
  defaults: { dtype: "float32" },
  modernize: ({ batch_input_shape, ...config }) =>
    batch_input_shape === undefined ? config : { batch_shape: batch_input_shape, ...config },
  outputShapes: ({ config }) => [inputShape(config["batch_shape"])],
  outputDTypes: ({ config }) => [inputDType(config)],
};

function inputShape(json: Json | undefined): Shape {
  const known = Array.isArray(json) && json.length > 0;
  if (known && json.every((size) => size === null || (Number.isSafeInteger(size) && Number(size) > 0))) {
    return json as Shape;
  }
  throw new TopologyError(
    `batch_shape: expected the model's input shape, such as [null,224,224,3], got ${JSON.stringify(json ?? null)}. ` +
      "Build the model on an input before saving it.",
    "shape",
  );
}

const dtypes: ReadonlySet<string> = new Set<ElementType>([
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
  "string",
]);

function inputDType(config: JsonObject): ElementType {
  const dtype = config["dtype"];
  return typeof dtype === "string" && dtypes.has(dtype) ? (dtype as ElementType) : "float32";
}

/** Identity (`keras/src/layers/core/identity.py`). */
const identity: LayerSpec = {
  className: "Identity",
  defaults: {},
  outputShapes: ({ inputs }) => inputs,
  outputDTypes: (call) => call.dtypes,
  elementwise: true,
  masking: true,
};

export const coreSpecs: readonly LayerSpec[] = [inputLayer, identity];
