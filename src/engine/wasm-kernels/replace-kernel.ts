/** @file Ways to replace a kernel of the WebAssembly backend by our own. */
import type { Tuple } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { MemoryHolder, SimdKernels } from "./simd.ts";
import { simdOn } from "./simd.ts";

export type Inputs = Readonly<Record<string, tf.TensorInfo>>;
export type Shape = readonly number[];

export interface WasmBackend extends tf.KernelBackend, MemoryHolder {
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

/** An input: its stretch and its shape. */
export interface Source extends Stretch {
  readonly shape: Shape;
}

/**
 * Registers a kernel that moves four-byte values.
 * @param compute Receives the whole memory, the inputs in their order, and the stretch of the output, which is filled
 * with zeros.
 */
export function moving<A, Count extends number = 1>(
  kernelName: string,
  shapeOf: (inputs: Tuple<tf.TensorInfo, Count>, attributes: A) => Shape,
  compute: (memory: Float32Array, output: Stretch, from: Tuple<Source, Count>, attributes: A) => void,
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
      const output = backend.makeOutput(shapeOf(inputs as never, call.attrs as A), dtype);
      const target = backend.typedArrayFromHeap(output).fill(0);
      const sources = inputs.map((input) => ({
        ...stretchOf(backend.typedArrayFromHeap(input)),
        shape: input.shape,
      }));
      const memory = new Float32Array(target.buffer);
      compute(memory, stretchOf(target), sources as never, call.attrs as A);
      return output;
    },
  });
}

function stretchOf(values: Float32Array): Stretch {
  return { start: values.byteOffset / Float32Array.BYTES_PER_ELEMENT, length: values.length };
}

interface HeapKernel<Reads extends readonly string[], Shapes extends readonly string[], A> {
  /** The inputs whose values it reads. */
  readonly reads: Reads;
  /** The inputs whose shapes it uses. */
  readonly shapes: Shapes;
  readonly shapeOf: (shapes: Each<Shapes, Shape>, attributes: A) => Shape;
  readonly compute: (
    values: Each<Reads, Float32Array>,
    output: Float32Array,
    attributes: A,
    shapes: Each<Shapes, Shape>,
    simd: SimdKernels,
  ) => void;
}

type Each<Names extends readonly string[], Item> = { readonly [Index in keyof Names]: Item };

/** Registers a kernel that reads and writes the backend's memory in place. */
export function onHeap<const Reads extends readonly string[], const Shapes extends readonly string[], A>(
  kernelName: string,
  { reads, shapes, shapeOf, compute }: HeapKernel<Reads, Shapes, A>,
): void {
  replace({
    kernelName,
    backendName: "wasm",
    kernelFunc: (call) => {
      const backend = call.backend as WasmBackend;
      const inputOf = (name: string): tf.TensorInfo => call.inputs[name] as tf.TensorInfo;
      const attributes = call.attrs as A;
      const given = shapes.map((name) => inputOf(name).shape) as unknown as Each<Shapes, Shape>;
      const output = backend.makeOutput(shapeOf(given, attributes), "float32");
      const values = reads.map((name) => backend.typedArrayFromHeap(inputOf(name)));
      compute(values as never, backend.typedArrayFromHeap(output), attributes, given, simdOn(backend));
      return output;
    },
  });
}

function replace(kernel: tf.KernelConfig): void {
  if (tf.getKernel(kernel.kernelName, kernel.backendName))
    tf.unregisterKernel(kernel.kernelName, kernel.backendName);
  tf.registerKernel(kernel);
}
