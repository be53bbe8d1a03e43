import type { Json, JsonObject } from "../checkpoint.ts";
import type { Shape } from "../tensor.ts";
import { isObject } from "../topology/config-values.ts";
import { readModel } from "../topology/dialects/read-model.ts";
import type { Argument } from "../topology/layer-graph.ts";
import { inputShapes, type LayerSpec } from "../topology/layer-spec.ts";
import { specOf } from "../topology/layer-specs.ts";
import { snakeCase } from "../topology/naming.ts";
import { inModule, opModule } from "../topology/translate/keras-modules.ts";
import { modelOrder } from "../topology/translate/model-order.ts";

/** Output of a layer in a network that is being built. */
export interface Output {
  readonly layer: string;
  readonly shape: Shape;
  /** Position among the outputs of the layer; the first where absent. */
  readonly index?: number;
}

/** Argument of an operation of keras.ops: an output, a list of outputs, or a constant. */
export type OperationArgument = Output | readonly Output[] | Json;

/** A functional model that is built layer by layer. Configs hold the arguments that differ from Keras's defaults. */
export interface Network {
  readonly input: Output;
  /**
   * Calls a new layer on an output or a list of outputs, which are separate arguments of attention. Without a name the layer is named as Keras names it:
   * `conv2d_1`. `keys` stand in its entry beside the config.
   */
  layer(
    className: string,
    config: JsonObject,
    given: Output | readonly Output[],
    name?: string,
    keys?: JsonObject,
  ): Output;
  /** Calls an operation of keras.ops (`Add`), with arguments in its config and at the call, and returns its first output. */
  operation(
    className: string,
    config: JsonObject,
    args: readonly OperationArgument[],
    kwargs?: JsonObject,
  ): Output;
  /** Calls an operation of keras.ops and returns all of its outputs. */
  operations(className: string, config: JsonObject, args: readonly OperationArgument[]): readonly Output[];
  /** Calls a model that {@link Network.model} has returned; `shape` is that of its output. */
  nested(model: JsonObject, given: Output, shape: Shape): Output;
  /** Calls a Sequential made of the layers that `build` adds in order. */
  sequential(name: string, given: Output, build: (add: AddLayer) => void): Output;
  /** Returns the finished model's config in Keras 3's `.keras` dialect, layers in Keras's order. */
  model(name: string, output: Output): JsonObject;
}

/** Appends a layer to a Sequential. */
export type AddLayer = (className: string, config: JsonObject, name: string) => void;

/** Modules of the layers that keras.applications defines for itself. */
const ownModules: Readonly<Record<string, string>> = {
  LayerScale: "keras.src.applications.convnext",
  CustomScaleLayer: "keras.src.applications.inception_resnet_v2",
};

const version = "3.15.1";

/**
 * Creates a network with one input: RGB images of `size` rows and columns, null for any size, or tensors of a shape with the batch.
 * `dtype` is the policy of every layer.
 */
export function network(size: number | null | Shape, dtype: Json = float32Policy): Network {
  const counts = new Map<string, number>();
  const named = (className: string, name: string | undefined): string =>
    name ?? numbered(snakeCase(className), counts);
  const shape: Shape = typeof size === "number" || size === null ? [null, size, size, 3] : size;
  const input: Output = { layer: named("InputLayer", undefined), shape };
  const entries: JsonObject[] = [{ ...inputEntry(input), name: input.layer, inbound_nodes: [] }];
  const add = (
    entry: JsonObject,
    name: string,
    args: Json,
    outputShape: Shape,
    kwargs: JsonObject = {},
  ): Output => {
    entries.push({ ...entry, name, inbound_nodes: [{ args, kwargs }] });
    return { layer: name, shape: outputShape };
  };
  const operate = (
    className: string,
    config: JsonObject,
    args: readonly OperationArgument[],
    kwargs: JsonObject = {},
  ): readonly Output[] => {
    const own = named(className, undefined);
    const entry = inModule({ class_name: className, config: { name: own, ...config } }, opModule(className));
    const shapes = operationShapes(className, config, args);
    add({ ...entry, registered_name: className }, own, args.map(written), shapes[0] ?? [], kwargs);
    return shapes.map((shape, index) => ({ layer: own, shape, index }));
  };
  return {
    input,
    layer: (className, config, given, name, keys = {}) => {
      const own = named(className, name);
      const inputs = "layer" in given ? [given] : given;
      const isOne = "layer" in given;
      const args = isOne ? [tensor(given)] : attends(className) ? given.map(tensor) : [given.map(tensor)];
      const entry = { ...layerEntry(className, config, own, dtype), ...keys };
      return add(entry, own, args, outputShape(className, config, inputs));
    },
    operation: (className, config, args, kwargs) => {
      const [output] = operate(className, config, args, kwargs);
      if (!output) throw new Error(`${className}: expected an output`);
      return output;
    },
    operations: operate,
    nested: (model, given, result) => add(model, modelName(model), [tensor(given)], result),
    sequential: (name, given, build) => {
      const start: Output = { layer: named("InputLayer", undefined), shape: given.shape };
      const layers: JsonObject[] = [inputEntry(start)];
      let last = start;
      build((className, config, own) => {
        layers.push(layerEntry(className, config, own, dtype));
        last = { layer: own, shape: outputShape(className, config, [last]) };
      });
      const config: JsonObject = { name, trainable: true, layers, build_input_shape: given.shape };
      return add(inModule({ class_name: "Sequential", config }, "keras"), name, [tensor(given)], last.shape);
    },
    model: (name, output) => inKerasOrder(name, entries, input, output),
  };
}

/** Returns whether the inputs of a layer are several arguments, not a list. */
function attends(className: string): boolean {
  return className === "MultiHeadAttention";
}

/** Returns `conv2d`, then `conv2d_1`, … (`auto_name` of `keras/src/utils/naming.py`). */
function numbered(base: string, counts: Map<string, number>): string {
  const count = counts.get(base) ?? 0;
  counts.set(base, count + 1);
  return count === 0 ? base : `${base}_${count}`;
}

function inputEntry({ layer, shape }: Output): JsonObject {
  const config = { batch_shape: shape, dtype: "float32", sparse: false, name: layer };
  return inModule({ class_name: "InputLayer", config }, "keras.layers");
}

const float32Policy = inModule({ class_name: "DTypePolicy", config: { name: "float32" } }, "keras");

function modelName({ config }: JsonObject): string {
  const name = isObject(config ?? null) ? (config as JsonObject)["name"] : undefined;
  return typeof name === "string" ? name : "model";
}

function layerEntry(className: string, config: JsonObject, name: string, dtype: Json): JsonObject {
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
function operationShapes(
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

function describedArgument(arg: OperationArgument): Argument {
  if (isOutput(arg)) return { kind: "tensor", ref: { node: 0, output: 0 } };
  if (isOutputs(arg)) return { kind: "list", items: arg.map(describedArgument) };
  return { kind: "value", value: isArray(arg) ? arrayIn(arg) : arg };
}

/** Returns the JSON of an argument of a call. */
function written(arg: OperationArgument): Json {
  if (isOutput(arg)) return tensor(arg);
  return isOutputs(arg) ? arg.map(tensor) : arg;
}

function isOutput(arg: OperationArgument): arg is Output {
  return isObject(arg as Json) && "layer" in (arg as JsonObject);
}

function isOutputs(arg: OperationArgument): arg is readonly Output[] {
  return Array.isArray(arg) && arg.length > 0 && arg.every((item: OperationArgument) => isOutput(item));
}

function isArray(arg: Json): arg is JsonObject {
  return isObject(arg) && arg["class_name"] === "__numpy__";
}

function arrayIn({ config }: JsonObject): Json {
  return (config as JsonObject)["value"] ?? null;
}

/** Returns a constant of whole numbers as an argument of a call. */
export function integerArray(value: Json): JsonObject {
  return { class_name: "__numpy__", config: { value, dtype: "int32" } };
}

/** Returns a constant of real numbers as an argument of a call. */
export function floatArray(value: Json): JsonObject {
  return { class_name: "__numpy__", config: { value, dtype: "float32" } };
}

/** Returns the index of a GetItem (`x[:, 0:2]`): `[start, stop]` or `[start, stop, step]` for a range, null for all, a number for one. */
export function indexOf(...keys: readonly (number | null | readonly (number | null)[])[]): Json {
  return keys.map((key) => {
    if (typeof key === "number") return key;
    const [start = null, stop = null, step = null] = key ?? [];
    return { class_name: "__slice__", config: { start, stop, step } };
  });
}

function outputShape(className: string, config: JsonObject, given: readonly Output[]): Shape {
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

function tensor({ layer, shape, index = 0 }: Output): JsonObject {
  const config = { shape, dtype: "float32", keras_history: [layer, 0, index] };
  return { class_name: "__keras_tensor__", config };
}

/** Returns the config of the model with its layers in Keras's `model.layers` order. */
function inKerasOrder(
  name: string,
  entries: readonly JsonObject[],
  input: Output,
  output: Output,
): JsonObject {
  const model = (layers: readonly JsonObject[]): JsonObject => ({
    ...inModule(
      {
        class_name: "Functional",
        config: {
          name,
          trainable: true,
          layers,
          input_layers: [input.layer, 0, 0],
          output_layers: [output.layer, 0, 0],
        },
      },
      "keras.src.models.functional",
    ),
    registered_name: "Functional",
  });
  const byName = new Map(entries.map((entry) => [entry["name"], entry]));
  const order = modelOrder(readModel({ modelConfig: model(entries), kerasVersion: version }));
  return model(order.map((layer) => byName.get(layer)).filter((entry) => entry !== undefined));
}
