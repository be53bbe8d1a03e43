import type { GradientRule } from "../gradients/rule.ts";
import type { NativeBackend, OpAttribute } from "../native-engine.ts";
import { nativeBackendName } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { wasmBackendName } from "../wasm-engine.ts";

export type Tensors = Readonly<Record<string, tf.Tensor>>;

/** A kernel that tfjs lacks: one TensorFlow operation, and the same composed of tfjs operations. */
export interface OwnKernel {
  readonly name: string;
  readonly native: (backend: NativeBackend, inputs: Tensors, attributes: never) => tf.Tensor | tf.Tensor[];
  readonly portable: (inputs: Tensors, attributes: never) => tf.Tensor | tf.Tensor[];
  /** The gradient, absent if none flows. */
  readonly gradient?: GradientRule;
}

/** Registers a kernel with both backends. */
export function registerOwnKernel({ name, native, portable }: OwnKernel): void {
  register(name, nativeBackendName, ({ inputs, attrs, backend }) =>
    native(backend as NativeBackend, inputs as Tensors, attrs as never),
  );
  register(name, wasmBackendName, ({ inputs, attrs }) => portable(inputs as Tensors, attrs as never));
}

function register(kernelName: string, backendName: string, compute: tf.KernelFunc): void {
  if (tf.getKernel(kernelName, backendName)) return;
  const kernelFunc: tf.KernelFunc = (call) =>
    tf.tidy(() => compute(call) as unknown as tf.TensorContainer) as unknown as tf.TensorInfo[];
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}

/** Runs a kernel by name. */
export function run<R extends tf.Tensor | tf.Tensor[]>(
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
