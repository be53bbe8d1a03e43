/**
 * @file NaN through the kernels of the WebAssembly backend that hide it: they give a number, zero or an infinity where
 * an input is NaN, so that a broken weight or an overflow would end in a figure that looks right. Each first looks for
 * NaN in its inputs, which costs a fraction of what it computes.
 */
import { tf } from "../tf.ts";
import type { KernelCall, WasmBackend } from "./replace-kernel.ts";
import { wrap } from "./replace-kernel.ts";
import { simdOn } from "./simd.ts";

/** Kernels whose results are NaN where one of their inputs is. */
const elementwise = ["Maximum", "Minimum", "Sign"];

/** Kernels whose results are NaN where they read one. */
const pooling = ["AvgPool", "MaxPool"];

const fused = ["FusedConv2D", "FusedDepthwiseConv2D", "_FusedMatMul"];

/** Activations that hide NaN where they are fused into the kernel before. */
const hidingActivations: Readonly<Record<string, (x: tf.Tensor) => tf.Tensor>> = {
  relu: (x) => tf.relu(x),
  relu6: (x) => tf.relu6(x),
};

/** Makes NaN come out of every kernel that reads one, as Keras's do. Max pooling gives it too, where TensorFlow's skips it. */
export function registerNotANumber(): void {
  for (const name of elementwise) {
    wrap(name, (call, original) => {
      const inputs = Object.values(call.inputs) as tf.Tensor[];
      if (!inputs.some((input) => holdsNaN(call, input))) return original(call);
      return tf.tidy(() => marked(owned(original(call)), inputs.map(tf.isNaN).reduce(tf.logicalOr)));
    });
  }
  for (const name of pooling) {
    wrap(name, (call, original) => {
      const x = call.inputs["x"] as tf.Tensor;
      if (!holdsNaN(call, x)) return original(call);
      return tf.tidy(() => {
        const marks = tf.isNaN(x);
        const pooled = (values: tf.Tensor): tf.Tensor => owned(original({ ...call, inputs: { x: values } }));
        const numbers = tf.where(marks, tf.zerosLike(x), x);
        return marked(pooled(numbers), tf.greater(pooled(tf.cast(marks, "float32")), 0));
      });
    });
  }
  for (const name of fused) {
    wrap(name, (call, original) => {
      const activate = hidingActivations[String(call.attrs?.["activation"])];
      if (!activate) return original(call);
      const attrs = { ...call.attrs, activation: "linear" };
      return tf.tidy(() => activate(owned(original({ ...call, attrs }))));
    });
  }
}

/** Returns `values` with NaN at the positions that are marked. */
function marked(values: tf.Tensor, marks: tf.Tensor): tf.Tensor {
  return tf.where(marks, tf.fill(values.shape, Number.NaN), values);
}

/** Makes a tensor of a kernel's result, which a tidy then releases. */
function owned(result: ReturnType<tf.KernelFunc>): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(result as tf.TensorInfo);
}

function holdsNaN({ backend }: KernelCall, input: tf.TensorInfo): boolean {
  if (input.dtype !== "float32") return false;
  const { byteOffset, length } = (backend as WasmBackend).typedArrayFromHeap(input);
  return simdOn(backend as WasmBackend).holdsNaN(byteOffset, length) !== 0;
}
