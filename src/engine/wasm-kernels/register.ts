import { tf } from "../tf.ts";
import type { ConvAttributes } from "./conv-geometry.ts";
import { samePadding } from "./conv-geometry.ts";
import {
  conv2dFilterGradient,
  conv2dInputGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
} from "./convolution.ts";

interface GradientAttributes extends ConvAttributes {
  readonly inputShape: readonly number[];
  readonly filterShape: readonly number[];
}

type Inputs = Readonly<Record<string, tf.Tensor4D>>;

/** The part of the backend that kernels of our own read and write through. */
interface WasmBackend extends tf.KernelBackend {
  readSync(dataId: object): Float32Array | Int32Array | Uint8Array;
  makeOutput(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

let registered = false;

/** Registers with the WebAssembly backend the gradient kernels that it lacks, and those that ours do faster. */
export function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  for (const kernel of ["Conv2D", "FusedConv2D"]) padExplicitly(kernel, false);
  for (const kernel of ["DepthwiseConv2dNative", "FusedDepthwiseConv2D"]) padExplicitly(kernel, true);
  register("Conv2DBackpropInput", ({ dy, filter }, attributes) =>
    conv2dInputGradient(dy!, filter!, attributes.inputShape, attributes),
  );
  register("Conv2DBackpropFilter", ({ x, dy }, attributes) =>
    conv2dFilterGradient(x!, dy!, attributes.filterShape, attributes),
  );
  register("DepthwiseConv2dNativeBackpropInput", ({ dy, filter }, attributes) =>
    depthwiseInputGradient(dy!, filter!, attributes.inputShape, attributes),
  );
  register("DepthwiseConv2dNativeBackpropFilter", ({ x, dy }, attributes) =>
    depthwiseFilterGradient(x!, dy!, attributes.filterShape, attributes),
  );
  tf.registerKernel({
    kernelName: "UnsortedSegmentSum",
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs, backend }) =>
      segmentSum(
        inputs["x"]!,
        inputs["segmentIds"]!,
        (attrs as { numSegments: number }).numSegments,
        backend as WasmBackend,
      ),
  });
}

/** The backend goes wrong where `same` pads one dimension and a stride skips the end of the other; with numbers it does not. */
function padExplicitly(kernelName: string, depthwise: boolean): void {
  const kernel = tf.getKernel(kernelName, "wasm");
  tf.unregisterKernel(kernelName, "wasm");
  tf.registerKernel({
    ...kernel,
    kernelFunc: (call) => {
      const attributes = call.attrs as unknown as ConvAttributes;
      if (attributes.pad !== "same") return kernel.kernelFunc(call);
      const { x, filter } = call.inputs;
      const pad = samePadding(x!.shape, filter!.shape, attributes, depthwise);
      return kernel.kernelFunc({ ...call, attrs: { ...call.attrs, pad: pad as unknown as number[] } });
    },
  });
}

function register(
  kernelName: string,
  compute: (inputs: Inputs, attributes: GradientAttributes) => tf.Tensor,
): void {
  if (tf.getKernel(kernelName, "wasm")) tf.unregisterKernel(kernelName, "wasm");
  tf.registerKernel({
    kernelName,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs }) =>
      tf.tidy(() => compute(inputs as unknown as Inputs, attrs as unknown as GradientAttributes)),
  });
}

/** Rows of `x` added up by their segment; a negative segment is nobody's. */
function segmentSum(
  x: tf.TensorInfo,
  segmentIds: tf.TensorInfo,
  segments: number,
  backend: WasmBackend,
): tf.TensorInfo {
  const sums = backend.makeOutput([segments, ...x.shape.slice(1)], "float32");
  const target = backend.typedArrayFromHeap(sums).fill(0);
  const values = backend.typedArrayFromHeap(x);
  const ids = backend.readSync(segmentIds.dataId);
  const width = values.length / ids.length;
  ids.forEach((segment, row) => {
    if (segment < 0) return;
    for (let column = 0; column < width; column++) {
      target[segment * width + column]! += values[row * width + column]!;
    }
  });
  return sums;
}
