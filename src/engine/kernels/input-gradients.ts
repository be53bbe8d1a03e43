/**
 * @file The normalization of each row along the last axis, and GELU, whose gradients read the input alone: what lies between is computed
 * again. They are for the native engine; elsewhere keeping it is faster.
 */
import { sizeAt } from "../../tensor.ts";
import type { GradientCall } from "../gradients/rule.ts";
import { computedOnce, rule } from "../gradients/rule.ts";
import type { NativeBackend } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { oneDnnHas, unlabelled } from "./one-dnn.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute, run } from "./own-kernel.ts";

interface Attributes {
  readonly epsilon: number;
}

type Inputs = Tensors<"x" | "gamma" | "beta">;

/** The normalization in one pass, of oneDNN. */
const fusedName = "_MklLayerNorm";

export const inputGradientKernels: readonly OwnKernel[] = [
  {
    name: "LayerNorm",
    native: (backend, inputs: Inputs, { epsilon }: Attributes) => normalized(backend, inputs, epsilon),
    portable: composed,
    gradient: rule<Attributes>("LayerNorm", {
      x: {
        reads: ["x", "gamma"],
        of: (call) => {
          const { dy, the } = call;
          const [scaled, [unit, inverse]] = [tf.mul(dy, the("gamma")), unitRows(call)];
          const mean = tf.mean(scaled, -1, true);
          const along = tf.mul(unit, tf.mean(tf.mul(scaled, unit), -1, true));
          return tf.mul(tf.sub(tf.sub(scaled, mean), along), inverse);
        },
      },
      gamma: {
        reads: ["x"],
        of: (call) => run("BiasAddGrad", { dy: tf.mul(call.dy, unitRows(call)[0]) }),
      },
      beta: { reads: [], of: ({ dy }) => run("BiasAddGrad", { dy }) },
    }),
  },
  {
    name: "Gelu",
    native: (_backend, inputs: Tensors<"x">) => composedGelu(inputs),
    portable: composedGelu,
    gradient: rule("Gelu", {
      x: {
        reads: ["x"],
        of: ({ dy, the }) => {
          const x = the("x");
          const argument = tf.mul(x, Math.SQRT1_2);
          // Twice the density at x: sqrt(2 / pi) * exp(-x^2 / 2).
          const density = tf.exp(tf.sub(Math.log(Math.sqrt(2 / Math.PI)), tf.square(argument)));
          const doubled = tf.add(tf.add(tf.erf(argument), 1), tf.mul(x, density));
          return tf.mul(tf.mul(dy, 0.5), doubled);
        },
      },
    }),
  },
];

/** Computes GELU, whose gradient keeps what lies between. */
export function composedGelu({ x }: Tensors<"x">): tf.Tensor {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

function normalized(backend: NativeBackend, inputs: Inputs, epsilon: number): tf.Tensor {
  const fused = ({ x, gamma, beta }: Inputs): tf.Tensor => {
    const attributes = [
      attribute.float(backend, "T"),
      attribute.number(backend, "epsilon", epsilon),
      unlabelled(backend),
    ];
    const rows = tf.reshape(x, [-1, sizeAt(x.shape, -1)]);
    return tf.reshape(backend.executeSingleOutput(fusedName, attributes, [rows, gamma, beta]), x.shape);
  };
  const isThere = oneDnnHas(backend, fusedName, (x) => fused({ x, gamma: tf.ones([1]), beta: tf.ones([1]) }));
  return isThere ? fused(inputs) : composed(inputs, { epsilon });
}

function composed({ x, gamma, beta }: Inputs, { epsilon }: Attributes): tf.Tensor {
  const { centered, inverse } = deviations(x, epsilon);
  return tf.add(tf.mul(tf.mul(centered, inverse), gamma), beta);
}

/** Computes each row less its mean, and one over its standard deviation, `[..., 1]`. */
function deviations(x: tf.Tensor, epsilon: number): { centered: tf.Tensor; inverse: tf.Tensor } {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centered), -1, true), epsilon));
  return { centered, inverse };
}

/** Computes the rows before scale and shift, and one over their standard deviations. */
function unitRows(call: GradientCall<Attributes>): readonly [tf.Tensor, tf.Tensor] {
  return computedOnce<readonly [tf.Tensor, tf.Tensor]>(call, "rows", () => {
    const { centered, inverse } = deviations(call.the("x"), call.attributes.epsilon);
    return [tf.mul(centered, inverse), inverse];
  });
}
