/** @file Convolutions, matrix products and sums that add their bias and apply their activation in the shader that computes them. */
import { isRecording } from "../tape.ts";
import { tf } from "../tf.ts";
import { readsLater } from "./repeatable.ts";
import type { ShaderChange } from "./shaders.ts";
import { withShaders } from "./shaders.ts";

/**
 * Statements that return the activation of `a`, which has the given type, `f32` or four of it. NaN gives NaN. GELU's error function is
 * formula 7.1.26 of Abramowitz and Stegun's handbook, to 1.5e-7, as in tfjs's own.
 */
const activations: Readonly<Record<string, (type: string) => string>> = {
  linear: () => "return a;",
  relu: (type) => `return select(a, ${type}(0.0), a < ${type}(0.0));`,
  relu6: (type) =>
    `let low = select(a, ${type}(0.0), a < ${type}(0.0)); return select(low, ${type}(6.0), low > ${type}(6.0));`,
  sigmoid: (type) => `return select(1.0 / (1.0 + exp(-a)), a, ${nanIn(type)});`,
  silu: (type) => `return a * select(1.0 / (1.0 + exp(-a)), a, ${nanIn(type)});`,
  hard_silu: (type) =>
    `return a * select(clamp(a + 3.0, ${type}(0.0), ${type}(6.0)) / 6.0, a, ${nanIn(type)});`,
  gelu: (type) => `
    let distance = abs(a) * 0.7071067811865476;
    let t = 1.0 / (1.0 + 0.3275911 * distance);
    let beyond = 0.5 * ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592)
      * t * exp(-distance * distance);
    return a * select(select(beyond, 1.0 - beyond, a > ${type}(0.0)), a, ${nanIn(type)});`,
};

const otherNames: Readonly<Record<string, string>> = { swish: "silu", hard_swish: "hard_silu" };

function nanIn(type: string): string {
  return type === "f32" ? "isnan(a)" : "isnanVec4(a)";
}

/** Returns true if an activation runs fused here: on a GPU, and outside of recordings, whose gradients read what is before it. */
export function fusesActivation(name: string | undefined): name is string {
  if (name === undefined || !readsLater()) return false;
  return !isRecording() && (otherNames[name] ?? name) in activations;
}

/** Runs one of tfjs's fused kernels with an activation of `fusesActivation`. */
export function runFused(
  kernel: "FusedConv2D" | "FusedDepthwiseConv2D" | "_FusedMatMul",
  inputs: Readonly<Record<string, tf.Tensor>>,
  attributes: object,
  activation: string,
): tf.Tensor {
  return withShaders(changeFor(activation), () =>
    tf.engine().runKernel(kernel, inputs, { ...attributes, activation: "linear" } as tf.NamedAttrMap),
  ) as tf.Tensor;
}

/**
 * Adds two float32 tensors and applies an activation of `fusesActivation`, `activate` where the backend adds a few values on the CPU and
 * runs no shader.
 */
export function runFusedSum(
  a: tf.Tensor,
  b: tf.Tensor,
  activation: string,
  activate: (sum: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  let runsShader = false;
  const { name, statements } = named(activation);
  const change: ShaderChange = {
    name: `sum_${name}`,
    concerns: ({ shaderKey }) => {
      const isSum = shaderKey.startsWith("binary_");
      runsShader ||= isSum;
      return isSum;
    },
    applied: (source) => {
      const sum = /(fn binaryOperation\(a : ([^,]+),[^{]*\{\s*let resultTemp = )a \+ b;/;
      const [, head, type] = sum.exec(source) ?? [];
      if (head === undefined || type === undefined || !statements) return undefined;
      return `fn activated(a : ${type}) -> ${type} { ${statements(type)} }\n${source.replace(sum, `${head}activated(a + b);`)}`;
    },
  };
  const sum = withShaders(change, () => tf.add(a, b));
  return runsShader ? sum : activate(sum);
}

function named(activation: string): {
  readonly name: string;
  readonly statements: ((type: string) => string) | undefined;
} {
  const name = otherNames[activation] ?? activation;
  return { name, statements: activations[name] };
}

/** Replaces the activation in a fused shader, which is the identity. */
function changeFor(activation: string): ShaderChange {
  const { name, statements } = named(activation);
  return {
    name,
    concerns: ({ activation: own }) => own === "linear",
    applied: (source) => {
      const identity = /(fn activation\(a : ([^,]+),[^{]*\{)\s*return a;\s*\}/;
      const [, head, type] = identity.exec(source) ?? [];
      if (head === undefined || type === undefined || !statements) return undefined;
      return source.replace(identity, `${head} ${statements(type)} }`);
    },
  };
}
