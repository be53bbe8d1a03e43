/**
 * @file Kernels that tfjs's WebGPU backend lacks, or computes incorrectly. They run on WebAssembly: their inputs are read, and their
 * results uploaded again.
 */
import { tf } from "../tf.ts";
import { wasmBackendName } from "../wasm-engine.ts";
import { onWasm } from "./elsewhere.ts";
import type { WebgpuBackend } from "./gpu-types.ts";
import { webgpuBackendName } from "./name.ts";
import type { HeldValues } from "./repeatable.ts";

/** A kernel that does not run on the GPU, with the reason. */
export interface FallbackKernel {
  readonly kernel: string;
  readonly reason: string;
}

/** Kernels of the backend that are passed over, with what is wrong with them. */
const incorrect: Readonly<Record<string, string>> = {};

/** Kernels that only our own WebAssembly kernels call. */
const ownParts = new Set(["AdamStep", "ImageWindow", "PlacePhases"]);

/** Lists the kernels of WebAssembly that the GPU does not run. Both backends are started. */
export function fallbackKernels(): readonly FallbackKernel[] {
  const names = tf.getKernelsForBackend(wasmBackendName).map(({ kernelName }) => kernelName);
  return names
    .filter((kernel) => !ownParts.has(kernel))
    .flatMap((kernel) => {
      const reason =
        incorrect[kernel] ??
        (gpuKernels.has(kernel) ? undefined : "tfjs's WebGPU backend has no such kernel");
      return reason === undefined ? [] : [{ kernel, reason }];
    })
    .sort((a, b) => (a.kernel < b.kernel ? -1 : 1));
}

/** Names of the kernels that run on the GPU. */
let gpuKernels: ReadonlySet<string> = new Set();

/** Registers the kernels of WebAssembly where the GPU has none, or an incorrect one. Both backends are started. */
export function registerFallbackKernels(): void {
  gpuKernels = new Set(tf.getKernelsForBackend(webgpuBackendName).map(({ kernelName }) => kernelName));
  for (const { kernel: kernelName } of fallbackKernels()) {
    if (tf.getKernel(kernelName, webgpuBackendName)) tf.unregisterKernel(kernelName, webgpuBackendName);
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
