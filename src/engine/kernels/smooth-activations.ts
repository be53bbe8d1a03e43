/**
 * @file Swish and GELU on the native engine. Swish computes its slope from the input again, which takes the least memory where its inputs
 * are large. GELU, whose slope takes many passes, computes it with the value where a gradient will be asked for, and keeps it alone: the
 * backward pass is one product. Elsewhere keeping what lies between is faster.
 */
import type { Tuple } from "../../tensor.ts";
import { rule } from "../gradients/rule.ts";
import type { NativeBackend } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { oneDnnHas, unlabelled } from "./one-dnn.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute, run } from "./own-kernel.ts";

type Inputs = Tensors<"x">;

export const smoothActivationKernels: readonly OwnKernel[] = [
  {
    name: "Swish",
    native: nativeSwish,
    portable: composedSwish,
    gradient: rule("Swish", {
      x: {
        reads: ["x"],
        of: ({ dy, the }) => {
          const x = the("x");
          const sigmoid = tf.sigmoid(x);
          return tf.mul(dy, tf.add(sigmoid, run<tf.Tensor>("SigmoidGrad", { y: sigmoid, dy: x })));
        },
      },
    }),
  },
  sloped("SlopedGelu", ({ x }) => {
    const argument = tf.mul(x, Math.SQRT1_2);
    const probability = tf.mul(tf.add(tf.erf(argument), 1), 0.5);
    const density = tf.exp(tf.sub(-Math.log(Math.sqrt(2 * Math.PI)), tf.square(argument)));
    return [tf.mul(x, probability), tf.add(probability, tf.mul(x, density))];
  }),
];

/** Creates a kernel that returns the value and the slope of a function. The slope has no gradient. */
function sloped(name: string, compute: (inputs: Inputs) => Tuple<tf.Tensor, 2>): OwnKernel {
  return {
    name,
    native: (_backend, inputs: Inputs) => compute(inputs),
    portable: compute,
    gradient: rule(name, { x: { reads: ["y1"], of: ({ dy, the }) => tf.mul(dy, the("y1")) } }),
  };
}

/** Computes swish, whose gradient keeps the sigmoid. */
export function composedSwish({ x }: Inputs): tf.Tensor {
  return tf.mul(x, tf.sigmoid(x));
}

/** Computes GELU, whose gradient keeps what lies between. */
export function composedGelu({ x }: Inputs): tf.Tensor {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

function nativeSwish(backend: NativeBackend, { x }: Inputs): tf.Tensor {
  const ofOneDnn = (value: tf.Tensor): tf.Tensor =>
    backend.executeSingleOutput("_MklSwish", [attribute.float(backend, "T"), unlabelled(backend)], [value]);
  return oneDnnHas(backend, "_MklSwish", ofOneDnn) ? ofOneDnn(x) : composedSwish({ x });
}
