import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { variable, zeros } from "./variables.ts";
import { knownSize } from "./windows.ts";

const sameShape = ({ inputs }: CallShapes): readonly Shape[] => [inputs[0]];

/** Creates the spec of an activation layer (`keras/src/layers/activations/`). */
function activationLayer(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  return { className, defaults, outputShapes: sameShape, elementwise: true, masking: true, ...more };
}

/**
 * Activation, which is not always elementwise: softmax, log_softmax, sparsemax and glu run along the last axis, which
 * glu halves.
 */
const activation: LayerSpec = {
  className: "Activation",
  defaults: {},
  outputShapes: ({ config, inputs }) => [
    config["activation"] === "glu" ? halvedShape(inputs[0], -1) : inputs[0],
  ],
  masking: true,
};

/** Returns the shape with one axis halved. @throws {TopologyError} if its size is odd. */
export function halvedShape(input: Shape, axis: number): Shape {
  const at = positiveAxis(axis, input.length);
  return input.map((size, position) => {
    if (position !== at || size === null) return size;
    if (size % 2 === 0) return size / 2;
    throw new TopologyError(
      `input: expected an even size on axis ${axis}, got ${formatShape(input)}.`,
      "shape",
    );
  });
}

/** LeakyReLU, whose slope Keras 2 named `alpha`. */
const leakyReLU = activationLayer(
  "LeakyReLU",
  { negative_slope: 0.3 },
  {
    modernize: ({ alpha, ...config }) =>
      alpha === undefined ? config : { negative_slope: alpha, ...config },
  },
);

const prelu = activationLayer(
  "PReLU",
  { alpha_initializer: zeros, alpha_regularizer: null, alpha_constraint: null, shared_axes: null },
  {
    // A stride can be moved across slopes that differ by channel but not across slopes that differ by position.
    elementwise: false,
    weights: ({ config, inputs }): WeightSpec[] => {
      const input = inputs[0];
      const shared = new Set(
        config["shared_axes"] === null
          ? []
          : integersAt(config, "shared_axes").map((axis) => positiveAxis(axis, input.length)),
      );
      const shape = input
        .slice(1)
        .map((_, index) => (shared.has(index + 1) ? 1 : knownSize(input, index + 1, "positions")));
      return [variable(config, "alpha", shape)];
    },
  },
);

const softmax: LayerSpec = {
  className: "Softmax",
  defaults: { axis: -1 },
  outputShapes: ({ config, inputs }) => {
    for (const axis of integersAt(config, "axis")) positiveAxis(axis, inputs[0].length);
    return [inputs[0]];
  },
  masking: true,
};

export const activationSpecs: readonly LayerSpec[] = [
  activation,
  activationLayer("ReLU", { max_value: null, negative_slope: 0, threshold: 0 }),
  leakyReLU,
  prelu,
  activationLayer("ELU", { alpha: 1 }),
  // Exists in Keras 1 and 2 only.
  activationLayer("ThresholdedReLU", { theta: 1 }),
  softmax,
];

/** Names of the activations as Keras 3 writes them (`keras/src/activations/__init__.py`). */
export const activationNames: ReadonlySet<string> = new Set([
  "linear",
  "relu",
  "relu6",
  "elu",
  "selu",
  "celu",
  "gelu",
  "glu",
  "silu",
  "mish",
  "sigmoid",
  "hard_sigmoid",
  "hard_silu",
  "hard_tanh",
  "hard_shrink",
  "soft_shrink",
  "tanh_shrink",
  "tanh",
  "softplus",
  "softsign",
  "softmax",
  "log_softmax",
  "log_sigmoid",
  "leaky_relu",
  "exponential",
  "squareplus",
  "sparse_plus",
  "sparse_sigmoid",
  "sparsemax",
]);

/**
 * Returns the name of the activation in a config, `"linear"` if there is none. Returns null for an activation with
 * arguments and for a custom one, which no rewrite may change. Keras 3 writes a function as
 * `{ class_name: "function", config: "relu" }` (`keras/src/saving/serialization_lib.py`).
 */
export function activationName(config: JsonObject): string | null {
  return nameOf(config["activation"] ?? null);
}

/** Returns whether the activation in a config is linear. */
export function isLinear(config: JsonObject): boolean {
  return activationName(config) === "linear";
}

function nameOf(activation: Json): string | null {
  if (activation === null) return "linear";
  if (typeof activation === "string") return activation;
  if (typeof activation !== "object" || !("class_name" in activation)) return null;
  const { class_name: className, config } = activation;
  return className === "function" && typeof config === "string" ? config : null;
}

const alongLastAxis = new Set(["glu", "log_softmax", "softmax", "sparsemax"]);

/** Returns whether an activation runs along the last axis instead of being elementwise. */
export function runsAlongLastAxis(name: string): boolean {
  return alongLastAxis.has(name);
}
