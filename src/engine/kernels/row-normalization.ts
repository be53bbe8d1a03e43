/**
 * @file The normalization of each row along the last axis, whose gradients read the input alone: what lies between is computed again.
 * It is for the native engine; elsewhere keeping it is faster.
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

export const rowNormalizationKernels: readonly OwnKernel[] = [
  {
    name: "LayerNorm",
    native: (backend, inputs: Inputs, { epsilon }: Attributes) => normalized(backend, inputs, epsilon),
    portable: composed,
    gradient: rule<Attributes>("LayerNorm", {
      x: {
        reads: ["x", "gamma"],
        of: (call) => {
          const { dy, the } = call;
          const [centered, inverse, products] = normalization(call);
          const share = tf.div(tf.reshape(the("gamma"), [-1, 1]), dy.shape.at(-1) ?? 1);
          const along = tf.mul(rowProducts(products, share), tf.mul(tf.square(inverse), inverse));
          const scaled = tf.mul(tf.sub(tf.mul(dy, the("gamma")), rowProducts(dy, share)), inverse);
          return tf.sub(scaled, tf.mul(centered, along));
        },
      },
      gamma: {
        reads: ["x"],
        of: (call) => {
          const [, inverse, products] = normalization(call);
          const columns = tf.matMul(asMatrix(inverse), asMatrix(products), true);
          return tf.reshape(columns, call.the("gamma").shape);
        },
      },
      beta: { reads: [], of: ({ dy }) => run("BiasAddGrad", { dy }) },
    }),
  },
];

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

/** Computes each row less its mean, one over its standard deviation, `[..., 1]`, and the product of the former with `dy`. */
function normalization(call: GradientCall<Attributes>): readonly [tf.Tensor, tf.Tensor, tf.Tensor] {
  return computedOnce<readonly [tf.Tensor, tf.Tensor, tf.Tensor]>(call, "normalization", () => {
    const { centered, inverse } = deviations(call.the("x"), call.attributes.epsilon);
    return [centered, inverse, tf.mul(call.dy, centered)];
  });
}

/** Multiplies each row by one column `[C, 1]`, which gives `[..., 1]`. */
function rowProducts(rows: tf.Tensor, column: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.matMul(asMatrix(rows), asMatrix(column)), [...rows.shape.slice(0, -1), 1]);
}

function asMatrix(rows: tf.Tensor): tf.Tensor2D {
  return tf.reshape(rows, [-1, sizeAt(rows.shape, -1)]);
}
