import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { variable, zeros } from "./variables.ts";
import { knownSize } from "./windows.ts";

const sameShape = ({ inputs }: CallShapes): readonly Shape[] => [inputs[0]!];

/** `keras/src/layers/activations/`. */
function activationLayer(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  return { className, defaults, outputShapes: sameShape, elementwise: true, masking: true, ...more };
}

/** Not always elementwise: softmax, log_softmax, sparsemax and glu run along the last axis, which glu halves. */
const activation: LayerSpec = {
  className: "Activation",
  defaults: {},
  outputShapes: ({ config, inputs }) => [
    config["activation"] === "glu" ? halvedShape(inputs[0]!, -1) : inputs[0]!,
  ],
  masking: true,
};

/** @throws {TopologyError} where the axis has no two equal halves. */
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

/** Keras 2 called the slope alpha. */
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
    // One slope a channel moves with a stride; one a position does not.
    elementwise: false,
    weights: ({ config, inputs }): WeightSpec[] => {
      const input = inputs[0]!;
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
    for (const axis of integersAt(config, "axis")) positiveAxis(axis, inputs[0]!.length);
    return [inputs[0]!];
  },
  masking: true,
};

export const activationSpecs: readonly LayerSpec[] = [
  activation,
  activationLayer("ReLU", { max_value: null, negative_slope: 0, threshold: 0 }),
  leakyReLU,
  prelu,
  activationLayer("ELU", { alpha: 1 }),
  // Keras 1 and 2 only.
  activationLayer("ThresholdedReLU", { theta: 1 }),
  softmax,
];

/** The activations of Keras 3, by the names it writes (`keras/src/activations/__init__.py`). */
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
 * The activation that a config names, `"linear"` where it names none; null for one with arguments or of the user's own, which
 * no rewrite may touch. Keras 3 writes a function as `{ class_name: "function", config: "relu" }`
 * (`keras/src/saving/serialization_lib.py`).
 */
export function activationName(config: JsonObject): string | null {
  return nameOf(config["activation"] ?? null);
}

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

/** Whether the named activation reads more than its own element: it runs along the last axis. */
export function runsAlongLastAxis(name: string): boolean {
  return alongLastAxis.has(name);
}
