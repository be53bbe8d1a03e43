/** @file Activations and their gradients in few passes, the addition of a bias, and the repetition along axes of size 1. */
import { sizeAt } from "../../tensor.ts";
import { rule } from "../gradients/rule.ts";
import type { NativeBackend } from "../native-engine.ts";
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute, run } from "./own-kernel.ts";

interface BroadcastAttributes {
  readonly shape: readonly number[];
}

const seluScale = 1.0507009873554805;
const seluScaleAlpha = 1.7580993408473768;

export const activationKernels: readonly OwnKernel[] = [
  gradientKernel("ReluGrad", ["dy", "y"], ({ dy, y }) => tf.mul(dy, tf.step(y))),
  gradientKernel("Relu6Grad", ["dy", "y"], ({ dy, y }) =>
    tf.mul(dy, tf.mul(tf.step(y), tf.step(tf.sub(6, y)))),
  ),
  gradientKernel("SigmoidGrad", ["y", "dy"], ({ dy, y }) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  gradientKernel("TanhGrad", ["y", "dy"], ({ dy, y }) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  gradientKernel("SeluGrad", ["dy", "y"], ({ dy, y }) =>
    tf.where(tf.greater(y, 0), tf.mul(dy, seluScale), tf.mul(dy, tf.add(y, seluScaleAlpha))),
  ),
  {
    name: "BiasAdd",
    native: (backend, { x, bias }: Tensors<"x" | "bias">) =>
      backend.executeSingleOutput("BiasAdd", [attribute.float(backend, "T")], [x, bias]),
    portable: ({ x, bias }: Tensors<"x" | "bias">) => tf.add(x, bias),
    gradient: rule("BiasAdd", {
      x: { reads: [], of: ({ dy }) => tf.clone(dy) },
      bias: { reads: [], of: ({ dy }) => run("BiasAddGrad", { dy }) },
    }),
  },
  {
    name: "BiasAddGrad",
    native: (backend, { dy }: Tensors<"dy">) =>
      backend.executeSingleOutput("BiasAddGrad", [attribute.float(backend, "T")], [dy]),
    portable: ({ dy }: Tensors<"dy">) => tf.sum(tf.reshape(dy, [-1, sizeAt(dy.shape, -1)]), 0),
  },
  {
    name: "Broadcast",
    native: (backend, { x }: Tensors<"x">, { shape }: BroadcastAttributes) =>
      backend.executeSingleOutput(
        "BroadcastTo",
        [attribute.float(backend, "T"), attribute.int32(backend, "Tidx")],
        [x, tf.tensor1d([...shape], "int32")],
      ),
    portable: ({ x }: Tensors<"x">, { shape }: BroadcastAttributes) => tf.mul(x, tf.ones([...shape])),
  },
];

/** Creates a kernel from a TensorFlow operation that takes two tensors of one shape, in this order. */
function gradientKernel(
  name: string,
  order: readonly ["dy", "y"] | readonly ["y", "dy"],
  portable: (inputs: Tensors<"dy" | "y">) => tf.Tensor,
): OwnKernel {
  const native = (backend: NativeBackend, inputs: Tensors<"dy" | "y">): tf.Tensor =>
    backend.executeSingleOutput(
      name,
      [attribute.float(backend, "T")],
      order.map((input) => inputs[input]),
    );
  return { name, native, portable };
}
