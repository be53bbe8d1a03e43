/** @file The network of a class of KerasHub while it is built, and its arguments with checks. */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { isObject } from "../../topology/config-values.ts";
import { attributeKey, variableKey } from "../../topology/hub-keys.ts";
import type { AddLayer, Network } from "../network.ts";
import { network } from "../network.ts";
import type { Output } from "../network-output.ts";
import { indexOf, integerArray } from "../operation-arguments.ts";

export interface HubNetwork extends Network {
  /** The arguments of the class. */
  readonly config: JsonObject;
  relu(given: Output, name?: string): Output;
  /** Adds a layer of KerasHub that is made of layers of Keras, as a model of these, with one input or several in order. */
  composite(
    className: string,
    name: string,
    given: Output | readonly Output[],
    build: BuildComposite,
  ): Output;
}

/** Adds the layers of a composite behind its input `given`, the first of `inputs`, and returns the output. */
export type BuildComposite = (
  add: HubLayer,
  given: Output,
  name: string,
  inputs: readonly Output[],
) => Output;

/** Adds a layer to a composite: the attribute that holds it there (null for one made at each call), then as {@link Network.layer}. */
export interface HubLayer {
  (
    attribute: string | null,
    className: string,
    config: JsonObject,
    given: Output | readonly Output[],
    name?: string,
    kwargs?: Readonly<Record<string, Output>>,
  ): Output;
  /** Adds a composite inside this one. */
  composite(attribute: string, className: string, name: string, given: Output, build: BuildComposite): Output;
  /** Adds a Sequential, as {@link Network.sequential}. */
  sequential(attribute: string, name: string, given: Output, build: (add: AddLayer) => void): Output;
  /** Calls an operation of keras.ops, as {@link Network.operation}. */
  readonly operation: Network["operation"];
  readonly operations: Network["operations"];
  /** Returns the positions of the tokens `[batch, tokens, width]` for an Embedding: `[batch, tokens]`. */
  positions(tokens: Output): Output;
  /** Adds a variable that the composite owns and returns its rows for each sample of `like`: `[batch, rows, width]`. */
  variable(variable: HubVariable, like: Output): Output;
}

/** A variable that a composite owns itself. */
export interface HubVariable {
  readonly name: string;
  /** Its number among the composite's own variables, trainable ones first. */
  readonly index: number;
  readonly shape: readonly number[];
  /** Numbers of variables that hold the same values. */
  readonly copies?: readonly number[];
  /** Names of variables that follow from this one. */
  readonly also?: readonly string[];
  readonly isTrainable?: boolean;
}

/** Returns a network with what KerasHub's networks are made of. */
export function hubNetwork(net: Network, config: JsonObject): HubNetwork {
  const dtype = config["dtype"] ?? undefined;
  return {
    ...net,
    config,
    relu: (given, name) => net.layer("Activation", { activation: "relu" }, given, name),
    composite: (className, name, given, build) => {
      const { model, output } = compositeModel(className, name, given, build, dtype);
      return net.nested(model, given, output.shape);
    },
  };
}

function compositeModel(
  className: string,
  name: string,
  given: Output | readonly Output[],
  build: BuildComposite,
  dtype: Json | undefined,
): { readonly model: JsonObject; readonly output: Output } {
  const taken = "layer" in given ? [given] : given;
  const inner = network(
    taken.map(({ shape, dtype: own }) => ({ shape, ...(own && { dtype: own }) })),
    dtype,
  );
  const add = (
    attribute: string | null,
    layerClass: string,
    config: JsonObject,
    input: Output | readonly Output[],
    own?: string,
    kwargs?: Readonly<Record<string, Output>>,
  ): Output => {
    const keys = attribute === null ? {} : { [attributeKey]: attribute };
    return inner.layer(layerClass, config, input, own, keys, kwargs);
  };
  const layer: HubLayer = Object.assign(add, {
    composite: (attribute: string, innerClass: string, own: string, from: Output, steps: BuildComposite) => {
      const { model, output } = compositeModel(innerClass, own, from, steps, dtype);
      return inner.nested({ ...model, [attributeKey]: attribute }, from, output.shape);
    },
    sequential: (attribute: string, own: string, from: Output, steps: (add: AddLayer) => void) =>
      inner.sequential(own, from, steps, { [attributeKey]: attribute }),
    positions: (tokens: Output) => indicesOf(inner, tokens, tokens.shape[1] ?? 1),
    operation: inner.operation,
    operations: inner.operations,
    variable: (variable: HubVariable, like: Output) => addVariable(inner, variable, like),
  });
  const output = build(layer, inner.input, name, inner.inputs);
  const model = {
    ...inner.model(name, output),
    class_name: className,
    registered_name: `keras_hub>${className}`,
  };
  return { model, output };
}

/** An image encoder inside a backbone, built by `build`, which returns its outputs by name. */
export interface ImageEncoder {
  /** The argument that holds the encoder's class and arguments. */
  readonly config: JsonObject;
  readonly shape: Shape;
  readonly build: (net: HubNetwork, config: JsonObject) => Readonly<Record<string, Output>>;
}

/** Calls an image encoder as a functional model of several outputs and returns these by name. */
export function addEncoder(net: HubNetwork, encoder: ImageEncoder): Readonly<Record<string, Output>> {
  const { config, shape, build } = encoder;
  const dtype = config["dtype"] ?? undefined;
  const inner = hubNetwork(network([{ shape }], dtype ?? undefined), config);
  const outputs = build(inner, config);
  const [first] = Object.values(outputs);
  const called = net.nested(inner.model("functional", outputs), net.input, first?.shape ?? []);
  const names = Object.keys(outputs).sort();
  return Object.fromEntries(
    names.map((name, index) => [name, { ...called, index, shape: outputs[name]?.shape ?? [] }]),
  );
}

/** Returns the arguments of the encoder of a backbone. @throws {TopologyError} naming another class than the expected one. */
export function encoderConfig(config: JsonObject, className: string): JsonObject {
  const entry = config["image_encoder"] ?? null;
  const given = isObject(entry) ? entry : {};
  if (given["class_name"] === className && isObject(given["config"])) return given["config"];
  throw new TopologyError(
    `${String(config["name"])}: image_encoder: expected a ${className}, got ${JSON.stringify(given["class_name"] ?? null)}. In Python save the network itself, keras.Model(m.inputs, m.outputs).save("model.keras"), and take that file.`,
    "unsupported",
  );
}

/** Adds a variable as an Embedding of which every row is read: a functional model has no other place for one. */
function addVariable(net: Network, variable: HubVariable, like: Output): Output {
  const { name, index, shape, copies, also, isTrainable = true } = variable;
  const width = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const own = { input_dim: rows, output_dim: width, ...(!isTrainable && { trainable: false }) };
  const place = { index, shape: [...shape], ...(copies && { copies: [...copies] }), ...(also && { also }) };
  return net.layer("Embedding", own, indicesOf(net, like, rows), name, { [variableKey]: place });
}

/**
 * Returns the whole numbers below `count` for each sample. They are made of a tensor of the graph, since a layer needs one as its
 * input.
 */
function indicesOf(net: Network, like: Output, count: number): Output {
  const corner = like.shape.slice(1).map((_, axis) => (axis === 0 ? ([0, 1] as const) : 0));
  const one = net.operation("GetItem", {}, [like, indexOf(null, ...corner)]);
  const zero = net.operation("Multiply", {}, [net.operation("Cast", { dtype: "int32" }, [one]), 0]);
  if (count === 1) return zero;
  return net.operation("Add", {}, [zero, integerArray(Array.from({ length: count }, (_, row) => row))]);
}

/** Returns an argument that is a list. @throws {TopologyError} naming it, for anything else. */
export function listOf(config: JsonObject, name: string): readonly Json[] {
  const value = config[name];
  if (Array.isArray(value)) return value;
  throw malformed(config, name, "a list");
}

/** Returns an argument that is a list of numbers. @throws {TopologyError} naming it, for anything else. */
export function numbersOf(config: JsonObject, name: string): readonly number[] {
  return numbersIn(config, name, config[name] ?? null);
}

/** Returns an argument that is two sizes, or one for both. */
export function sizesOf(config: JsonObject, name: string): readonly [number, number] {
  const value = config[name] ?? null;
  const [rows = 1, columns = rows] = typeof value === "number" ? [value] : numbersIn(config, name, value);
  return [rows, columns];
}

/** Returns a list of numbers inside an argument. */
export function numbersIn(config: JsonObject, name: string, value: Json): readonly number[] {
  const list: readonly Json[] = Array.isArray(value) ? value : [null];
  if (list.every((item): item is number => typeof item === "number")) return list;
  throw malformed(config, name, "a list of numbers");
}

/** Returns an argument that is a number. */
export function numberOf(config: JsonObject, name: string, otherwise?: number): number {
  const value = config[name] ?? otherwise;
  if (typeof value === "number") return value;
  throw malformed(config, name, "a number");
}

/** Returns an argument that is a text. */
export function textOf(config: JsonObject, name: string): string {
  const value = config[name];
  if (typeof value === "string") return value;
  throw malformed(config, name, "a text");
}

/** Returns the name of an activation argument: none is linear, and a function is serialized by its name. */
export function activationOf(config: JsonObject, name = "activation"): string {
  const value = config[name] ?? "linear";
  if (typeof value === "string") return value;
  const inner = isObject(value) ? value["config"] : undefined;
  if (typeof inner === "string") return inner;
  throw malformed(config, name, "an activation of Keras by its name");
}

function malformed(config: JsonObject, name: string, expected: string): TopologyError {
  return new TopologyError(
    `${String(config["name"])}: ${name}: expected ${expected}, got ${JSON.stringify(config[name] ?? null)}.`,
    "malformed",
  );
}
