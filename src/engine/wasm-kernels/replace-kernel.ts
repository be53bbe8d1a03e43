/** @file Ways to replace a kernel of the WebAssembly backend by our own. */
import { tf } from "../tf.ts";

export type Inputs = Readonly<Record<string, tf.TensorInfo>>;
export type Shape = readonly number[];

interface WasmBackend extends tf.KernelBackend {
  makeOutput(shape: Shape, dtype: tf.DataType): tf.TensorInfo;
  /** Returns a view of a tensor's memory that is valid until the next tensor is made. */
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

export type KernelCall = Parameters<tf.KernelFunc>[0];

/** Replaces a kernel by `compute`, which may call the backend's own one. */
export function wrap(
  kernelName: string,
  compute: (call: KernelCall, original: tf.KernelFunc) => ReturnType<tf.KernelFunc>,
): void {
  const kernel = tf.getKernel(kernelName, "wasm");
  replace({ ...kernel, kernelFunc: (call) => compute(call, kernel.kernelFunc) });
}

/** Registers a kernel composed of tfjs operations. */
export function composed(
  kernelName: string,
  compute: (inputs: Inputs, attributes: object) => tf.Tensor,
): void {
  replace({
    kernelName,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs }) => tf.tidy(() => compute(inputs as unknown as Inputs, attrs as object)),
  });
}

/** A stretch of the backend's memory, in floats. */
export interface Stretch {
  readonly start: number;
  readonly length: number;
}

/**
 * Registers a kernel that moves four-byte values.
 * @param compute Receives the whole memory and the stretches of the inputs (in their order) and of the output, which is
 * filled with zeros.
 */
export function moving<A>(
  kernelName: string,
  shapeOf: (inputs: readonly tf.TensorInfo[], attributes: A) => Shape,
  compute: (
    memory: Float32Array,
    output: Stretch,
    from: readonly Stretch[],
    attributes: A,
    inputs: readonly tf.TensorInfo[],
  ) => void,
): void {
  const original = tf.getKernel(kernelName, "wasm")?.kernelFunc;
  replace({
    kernelName,
    backendName: "wasm",
    kernelFunc: (call) => {
      const backend = call.backend as WasmBackend;
      const inputs = Object.values(call.inputs) as tf.TensorInfo[];
      const dtype = inputs[0]?.dtype ?? "float32";
      if (original && dtype !== "float32" && dtype !== "int32") return original(call);
      const output = backend.makeOutput(shapeOf(inputs, call.attrs as A), dtype);
      const target = backend.typedArrayFromHeap(output).fill(0);
      const stretches = inputs.map((input) => stretchOf(backend.typedArrayFromHeap(input)));
      compute(new Float32Array(target.buffer), stretchOf(target), stretches, call.attrs as A, inputs);
      return output;
    },
  });
}

function stretchOf(values: Float32Array): Stretch {
  return { start: values.byteOffset / Float32Array.BYTES_PER_ELEMENT, length: values.length };
}

interface HeapKernel<A> {
  /** The inputs whose values it reads. Of the others only the shape is used. */
  readonly reads: readonly string[];
  readonly compute: (
    values: readonly Float32Array[],
    output: Float32Array,
    attributes: A,
    inputs: Inputs,
  ) => void;
}

/** Registers a kernel that reads and writes the backend's memory in place. */
export function onHeap<A>(
  kernelName: string,
  shapeOf: (inputs: Inputs, attributes: A) => Shape,
  { reads, compute }: HeapKernel<A>,
): void {
  replace({
    kernelName,
    backendName: "wasm",
    kernelFunc: (call) => {
      const backend = call.backend as WasmBackend;
      const inputs = call.inputs as unknown as Inputs;
      const attributes = call.attrs as A;
      const output = backend.makeOutput(shapeOf(inputs, attributes), "float32");
      const values = reads.map((name) => backend.typedArrayFromHeap(inputs[name]!));
      compute(values, backend.typedArrayFromHeap(output), attributes, inputs);
      return output;
    },
  });
}

function replace(kernel: tf.KernelConfig): void {
  if (tf.getKernel(kernel.kernelName, kernel.backendName))
    tf.unregisterKernel(kernel.kernelName, kernel.backendName);
  tf.registerKernel(kernel);
}
