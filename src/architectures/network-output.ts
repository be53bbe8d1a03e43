import type { Json, JsonObject } from "../checkpoint.ts";
import type { Shape } from "../tensor.ts";

/** Output of a layer in a network that is being built. */
export interface Output {
  readonly layer: string;
  readonly shape: Shape;
  /** Position among the outputs of the layer; the first where absent. */
  readonly index?: number;
  /** Number of the call of the layer; the first where absent. */
  readonly call?: number;
  /** Data type; float32 where absent. */
  readonly dtype?: "float32" | "int32";
}

/** An input of a network. Its name is the layer's, and its key where the model takes several by name. */
export interface NetworkInput {
  readonly name?: string;
  /** Shape with the batch. */
  readonly shape: Shape;
  readonly dtype?: "float32" | "int32";
}

/** Outputs in a structure that a model takes or returns: one, several in order, or by name. */
export type Outputs = Output | readonly Output[] | Readonly<Record<string, Output>>;

/** Returns an output as an argument of a call: a `__keras_tensor__`. */
export function tensor({ layer, shape, call = 0, index = 0, dtype = "float32" }: Output): JsonObject {
  const config = { shape, dtype, keras_history: [layer, call, index] };
  return { class_name: "__keras_tensor__", config };
}

/** Returns an output as configs name the ends of a model. */
export function endpoint({ layer, call = 0, index = 0 }: Output): Json {
  return [layer, call, index];
}

/** Returns outputs in their structure, each as `leaf` writes it. */
export function structure(given: Outputs, leaf: (output: Output) => Json): Json {
  if (Array.isArray(given)) return (given as readonly Output[]).map(leaf);
  if (isOneOutput(given)) return leaf(given);
  return Object.fromEntries(Object.entries(given).map(([name, output]) => [name, leaf(output as Output)]));
}

/** Returns whether a structure is a single output. */
export function isOneOutput(given: Outputs): given is Output {
  return "layer" in given && typeof given.layer === "string";
}
