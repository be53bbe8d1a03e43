/**
 * @file Kernels that tfjs's WebGPU backend lacks. They run on WebAssembly: their inputs are read, and their
 * results uploaded again.
 */
import { tf } from "../tf.ts";
import { wasmBackendName } from "../wasm-name.ts";
import { onWasm } from "./elsewhere.ts";
import type { WebgpuBackend } from "./gpu-types.ts";
import { webgpuBackendName } from "./name.ts";
import type { HeldValues } from "./repeatable.ts";

/** Kernels that only our own WebAssembly kernels call. */
const ownParts = new Set(["AdamStep", "DepthwiseTapSums", "ImageWindow", "PlacePhases", "RmspropStep"]);

const fallbacks: string[] = [];

/** Returns the names of the kernels that run on WebAssembly while the GPU is the engine. Both backends are started. */
export function fallbackKernels(): readonly string[] {
  return fallbacks.toSorted();
}

/** Registers the kernels of WebAssembly where the GPU has none. Both backends are started. */
export function registerFallbackKernels(): void {
  const own = new Set(tf.getKernelsForBackend(webgpuBackendName).map(({ kernelName }) => kernelName));
  for (const { kernelName } of tf.getKernelsForBackend(wasmBackendName)) {
    if (own.has(kernelName) || ownParts.has(kernelName)) continue;
    fallbacks.push(kernelName);
    tf.registerKernel({ kernelName, backendName: webgpuBackendName, kernelFunc: wasmKernel(kernelName) });
  }
}

interface Result {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  readonly values: HeldValues;
}

function wasmKernel(kernelName: string): tf.KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const gpu = backend as WebgpuBackend;
    const given = Object.entries(inputs).flatMap(([name, info]) =>
      info ? [[name, info as tf.TensorInfo, gpu.readSync((info as tf.TensorInfo).dataId)] as const] : [],
    );
    const results = onWasm(() => {
      const copies = given.map(([name, { shape, dtype }, values]) => [
        name,
        tf.engine().makeTensor(values as Float32Array, shape, dtype),
      ]) as [string, tf.Tensor][];
      const made = tf
        .engine()
        .runKernel(
          kernelName,
          (Array.isArray(inputs) ? copies.map(([, copy]) => copy) : Object.fromEntries(copies)) as never,
          attrs,
        );
      const outputs = [made].flat() as tf.Tensor[];
      const read = outputs.map(
        (output): Result => ({
          shape: output.shape,
          dtype: output.dtype,
          values: tf.engine().readSync(output.dataId) as HeldValues,
        }),
      );
      tf.dispose([...outputs, ...copies.map(([, copy]) => copy)]);
      return { read, isList: Array.isArray(made) };
    });
    const tensors = results.read.map(({ shape, dtype, values }) => gpu.makeTensorInfo(shape, dtype, values));
    return results.isList ? tensors : (tensors[0] as tf.TensorInfo);
  };
}
