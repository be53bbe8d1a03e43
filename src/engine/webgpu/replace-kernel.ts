/** @file A way to replace a kernel of tfjs's WebGPU backend by one that calls it. */
import { tf } from "../tf.ts";
import { webgpuBackendName } from "./name.ts";

type Inputs = Readonly<Record<string, tf.Tensor>>;

/** Runs the backend's own kernel. */
export type OriginalKernel = (inputs: Inputs, attributes?: object) => tf.Tensor;

/**
 * Replaces a kernel with one output.
 * @param compute Returns a new tensor. It runs in a tidy, gets the backend's own kernel, and may use any operation.
 */
export function replaceKernel<I extends Inputs, A>(
  kernelName: string,
  compute: (inputs: I, attributes: A, original: OriginalKernel) => tf.Tensor,
): void {
  const own = tf.getKernel(kernelName, webgpuBackendName);
  const kernelFunc: tf.KernelFunc = (call) =>
    tf.tidy(() => {
      const original: OriginalKernel = (inputs, attributes = call.attrs as object) => {
        const info = own.kernelFunc({ ...call, inputs, attrs: attributes as tf.NamedAttrMap });
        return tf.engine().makeTensorFromTensorInfo(info as tf.TensorInfo);
      };
      return compute(call.inputs as unknown as I, call.attrs as A, original);
    });
  tf.unregisterKernel(kernelName, webgpuBackendName);
  tf.registerKernel({ ...own, kernelFunc });
}
