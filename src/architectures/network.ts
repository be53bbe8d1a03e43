import type { Json, JsonObject } from "../checkpoint.ts";
import type { Shape } from "../tensor.ts";
import { isObject } from "../topology/config-values.ts";
import { readModel } from "../topology/dialects/read-model.ts";
import { snakeCase } from "../topology/naming.ts";
import { inModule, opModule } from "../topology/translate/keras-modules.ts";
import { modelOrder } from "../topology/translate/model-order.ts";
import {
  attends,
  float32Policy,
  inputEntry,
  layerEntry,
  operationShapes,
  outputShape,
} from "./layer-entry.ts";
import type { NetworkInput, Output, Outputs } from "./network-output.ts";
import { endpoint, structure, tensor } from "./network-output.ts";
import type { OperationArgument } from "./operation-arguments.ts";
import { isOutput, written } from "./operation-arguments.ts";

/** A functional model that is built layer by layer. Configs hold the arguments that differ from Keras's defaults. */
export interface Network {
  /** The first input, which is the only one of most networks. */
  readonly input: Output;
  readonly inputs: readonly Output[];
  /** All inputs in the structure that the model takes: the only one, several by name, or in order where they have none. */
  readonly whole: Outputs;
  /**
   * Calls a new layer on an output or a list of outputs, which are separate arguments of attention. Without a name the layer is named as Keras names it:
   * `conv2d_1`. `keys` stand in its entry beside the config; `kwargs` are further outputs that the call takes by name.
   */
  layer(
    className: string,
    config: JsonObject,
    given: Output | readonly Output[],
    name?: string,
    keys?: JsonObject,
    kwargs?: Readonly<Record<string, Output>>,
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
  /** Calls a model that {@link Network.model} has returned; `shape` is that of its first output. */
  nested(model: JsonObject, given: Outputs, shape: Shape): Output;
  /** Calls the layer of an output again, with its weights, on a structure of outputs. */
  again(output: Output, given: Outputs): Output;
  /** Calls a Sequential made of the layers that `build` adds in order. `keys` stand in its entry beside the config. */
  sequential(name: string, given: Output, build: (add: AddLayer) => void, keys?: JsonObject): Output;
  /** Returns the finished model's config in Keras 3's `.keras` dialect, layers in Keras's order. */
  model(name: string, output: Outputs): JsonObject;
}

/** Appends a layer to a Sequential. */
export type AddLayer = (className: string, config: JsonObject, name: string) => void;

const version = "3.15.1";

/**
 * Creates a network with one input: RGB images of a size, null for any size, or tensors of a shape with the batch; or with several inputs.
 * `dtype` is the policy of every layer.
 */
export function network(
  given: number | null | Shape | readonly NetworkInput[],
  dtype: Json = float32Policy,
): Network {
  const counts = new Map<string, number>();
  const named = (className: string, name: string | undefined): string =>
    name ?? numbered(snakeCase(className), counts);
  const inputs = inputsOf(given).map(
    ({ name, ...tensor }): Output => ({ layer: named("InputLayer", name), ...tensor }),
  );
  const [input] = inputs as [Output, ...Output[]];
  const areNamed = inputsOf(given).every(({ name }) => name !== undefined);
  const severalInputs = areNamed ? Object.fromEntries(inputs.map((each) => [each.layer, each])) : inputs;
  const whole: Outputs = inputs.length === 1 ? input : severalInputs;
  const entries: JsonObject[] = inputs.map((each) => ({
    ...inputEntry(each),
    name: each.layer,
    inbound_nodes: [],
  }));
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
    const [first] = args.filter(isOutput);
    const dtype = first?.dtype;
    return shapes.map((shape, index) => ({ layer: own, shape, index, ...(dtype && { dtype }) }));
  };
  return {
    input,
    inputs,
    whole,
    layer: (className, config, given, name, keys = {}, kwargs = {}) => {
      const own = named(className, name);
      const inputs = "layer" in given ? [given] : given;
      const isOne = "layer" in given;
      const args = isOne ? [tensor(given)] : attends(className) ? given.map(tensor) : [given.map(tensor)];
      const entry = { ...layerEntry(className, config, own, dtype), ...keys };
      const others = Object.entries(kwargs).map(([key, output]) => [key, tensor(output)] as const);
      const result = outputShape(className, config, inputs);
      return add(entry, own, args, result, Object.fromEntries(others));
    },
    operation: (className, config, args, kwargs) => {
      const [output] = operate(className, config, args, kwargs);
      if (!output) throw new Error(`${className}: expected an output`);
      return output;
    },
    operations: operate,
    nested: (model, given, result) => add(model, modelName(model), [structure(given, tensor)], result),
    again: ({ layer, shape }, given) => {
      const at = entries.findIndex(({ name }) => name === layer);
      const entry = entries[at];
      if (!entry) throw new Error(`${layer}: expected a layer of this network`);
      const calls = entry["inbound_nodes"] as readonly Json[];
      const next = { args: [structure(given, tensor)], kwargs: {} };
      entries[at] = { ...entry, inbound_nodes: [...calls, next] };
      return { layer, call: calls.length, shape };
    },
    sequential: (name, given, build, keys = {}) => {
      const start: Output = { layer: named("InputLayer", undefined), shape: given.shape };
      const layers: JsonObject[] = [inputEntry(start)];
      let last = start;
      build((className, config, own) => {
        layers.push(layerEntry(className, config, own, dtype));
        last = { layer: own, shape: outputShape(className, config, [last]) };
      });
      const config: JsonObject = { name, trainable: true, layers, build_input_shape: given.shape };
      const entry = { ...inModule({ class_name: "Sequential", config }, "keras"), ...keys };
      return add(entry, name, [tensor(given)], last.shape);
    },
    model: (name, output) => inKerasOrder(name, entries, whole, output),
  };
}

/** Returns `conv2d`, then `conv2d_1`, … (`auto_name` of `keras/src/utils/naming.py`). */
function numbered(base: string, counts: Map<string, number>): string {
  const count = counts.get(base) ?? 0;
  counts.set(base, count + 1);
  return count === 0 ? base : `${base}_${count}`;
}

function inputsOf(given: number | null | Shape | readonly NetworkInput[]): readonly NetworkInput[] {
  if (typeof given === "number" || given === null) return [{ shape: [null, given, given, 3] }];
  const items: readonly (number | null | NetworkInput)[] = given;
  const inputs = items.filter((item) => typeof item === "object" && item !== null);
  return inputs.length > 0 ? inputs : [{ shape: given as Shape }];
}

function modelName({ config }: JsonObject): string {
  const name = isObject(config ?? null) ? (config as JsonObject)["name"] : undefined;
  return typeof name === "string" ? name : "model";
}

/** Returns the config of the model with its layers in Keras's `model.layers` order. */
function inKerasOrder(
  name: string,
  entries: readonly JsonObject[],
  inputs: Outputs,
  output: Outputs,
): JsonObject {
  const model = (layers: readonly JsonObject[]): JsonObject => ({
    ...inModule(
      {
        class_name: "Functional",
        config: {
          name,
          trainable: true,
          layers,
          input_layers: structure(inputs, endpoint),
          output_layers: structure(output, endpoint),
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
