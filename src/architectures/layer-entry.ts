import type { Json, JsonObject } from "../checkpoint.ts";
import type { Shape } from "../tensor.ts";
import { inputShapes, type LayerSpec } from "../topology/layer-spec.ts";
import { specOf } from "../topology/layer-specs.ts";
import { inModule } from "../topology/translate/keras-modules.ts";
import type { Output } from "./network-output.ts";
import type { OperationArgument } from "./operation-arguments.ts";
import { describedArgument, isOutput, isOutputs } from "./operation-arguments.ts";

/** Modules of the layers that keras.applications defines for itself. */
const ownModules: Readonly<Record<string, string>> = {
  LayerScale: "keras.src.applications.convnext",
  CustomScaleLayer: "keras.src.applications.inception_resnet_v2",
};

/** The default dtype policy of every layer. */
export const float32Policy: JsonObject = inModule(
  { class_name: "DTypePolicy", config: { name: "float32" } },
  "keras",
);

/** Returns the entry of an input layer in Keras 3's `.keras` dialect. */
export function inputEntry({ layer, shape, dtype = "float32" }: Output): JsonObject {
  const config = { batch_shape: shape, dtype, sparse: false, name: layer };
  return inModule({ class_name: "InputLayer", config }, "keras.layers");
}

/** Returns the entry of a layer in Keras 3's `.keras` dialect, without its calls. */
export function layerEntry(className: string, config: JsonObject, name: string, dtype: Json): JsonObject {
  const common: JsonObject = { name, trainable: true, dtype };
  const whole = { ...common, ...withLayout(className, config) };
  const entry = inModule({ class_name: className, config: whole }, ownModules[className] ?? "keras.layers");
  return className in ownModules ? { ...entry, registered_name: className } : entry;
}

/** Adds the data format to the config of a layer that has one, because the reading Keras may have another default. */
function withLayout(className: string, config: JsonObject): JsonObject {
  return "data_format" in knownSpec(className).defaults
    ? { ...config, data_format: "channels_last" }
    : config;
}

/** Returns the shapes of an operation's outputs. */
export function operationShapes(
  className: string,
  config: JsonObject,
  args: readonly OperationArgument[],
): readonly Shape[] {
  const spec = knownSpec(`ops.${className}`);
  const outputs = args.flatMap((arg) => (isOutput(arg) ? [arg] : isOutputs(arg) ? arg : []));
  const call = { config: { ...spec.defaults, ...config }, keras: 3, kwargs: {} } as const;
  const inputs = inputShapes(outputs.map(({ shape }) => shape));
  return spec.outputShapes({ ...call, args: args.map(describedArgument), inputs });
}

/** Returns the shape of the first output of a layer that is called on outputs. */
export function outputShape(className: string, config: JsonObject, given: readonly Output[]): Shape {
  const spec = knownSpec(className);
  const args = attends(className) ? given.map(describedArgument) : [];
  const call = { config: { ...spec.defaults, ...config }, keras: 3, args, kwargs: {} } as const;
  const [shape] = spec.outputShapes({ ...call, inputs: inputShapes(given.map((output) => output.shape)) });
  if (!shape) throw new Error(`${className}: expected an output`);
  return shape;
}

function knownSpec(className: string): LayerSpec {
  const spec = specOf(className);
  if (!spec) throw new Error(`${className}: expected a layer with a spec`);
  return spec;
}

/** Returns whether the inputs of a layer are several arguments, not a list. */
export function attends(className: string): boolean {
  return className === "MultiHeadAttention";
}
