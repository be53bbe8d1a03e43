import type { GradientRule } from "../gradients/rule.ts";
import type { NativeBackend, OpAttribute } from "../native-engine.ts";
import { nativeBackendName } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { wasmBackendName } from "../wasm-name.ts";
import { webgpuBackendName } from "../webgpu/name.ts";

/** Tensors by name. */
export type Tensors<Name extends string = string> = Readonly<Record<Name, tf.Tensor>>;

/**
 * A kernel that tfjs lacks: one TensorFlow operation, and the same composed of tfjs operations. Each names the inputs
 * and attributes that it takes.
 */
export interface OwnKernel {
  readonly name: string;
  readonly native: (
    backend: NativeBackend,
    inputs: never,
    attributes: never,
  ) => tf.Tensor | readonly tf.Tensor[];
  readonly portable: (inputs: never, attributes: never) => tf.Tensor | readonly tf.Tensor[];
  /** The gradient, absent if none flows. */
  readonly gradient?: GradientRule;
}

/** Registers a kernel with every backend. */
export function registerOwnKernel({ name, native, portable }: OwnKernel): void {
  register(name, nativeBackendName, ({ inputs, attrs, backend }) =>
    native(backend as NativeBackend, inputs as never, attrs as never),
  );
  for (const backendName of [wasmBackendName, webgpuBackendName]) {
    register(name, backendName, ({ inputs, attrs }) => portable(inputs as never, attrs as never));
  }
}

function register(
  kernelName: string,
  backendName: string,
  compute: (call: Parameters<tf.KernelFunc>[0]) => ReturnType<OwnKernel["portable"]>,
): void {
  if (tf.getKernel(kernelName, backendName)) return;
  const kernelFunc: tf.KernelFunc = (call) =>
    tf.tidy(() => compute(call) as tf.TensorContainer) as unknown as tf.TensorInfo[];
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}

/** Runs a kernel by name. */
export function run<R extends tf.Tensor | readonly tf.Tensor[]>(
  name: string,
  inputs: Tensors,
  attributes: object = {},
): R {
  return tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as R;
}

/** Makes attributes of TensorFlow operations. */
export const attribute = {
  float: (backend: NativeBackend, name: string): OpAttribute => ({
    name,
    type: backend.binding.TF_ATTR_TYPE,
    value: backend.binding.TF_FLOAT,
  }),
  int32: (backend: NativeBackend, name: string): OpAttribute => ({
    name,
    type: backend.binding.TF_ATTR_TYPE,
    value: backend.binding.TF_INT32,
  }),
  number: (backend: NativeBackend, name: string, value: number): OpAttribute => ({
    name,
    type: backend.binding.TF_ATTR_FLOAT,
    value,
  }),
  flag: (backend: NativeBackend, name: string, value: boolean): OpAttribute => ({
    name,
    type: backend.binding.TF_ATTR_BOOL,
    value,
  }),
  text: (backend: NativeBackend, name: string, value: string): OpAttribute => ({
    name,
    type: backend.binding.TF_ATTR_STRING,
    value,
  }),
} as const;
