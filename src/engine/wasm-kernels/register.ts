import { tf } from "../tf.ts";
import type { ConvAttributes } from "./conv-geometry.ts";
import { samePadding } from "./conv-geometry.ts";
import {
  conv2dFilterGradient,
  conv2dInputGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
} from "./convolution.ts";
import { conv3d, conv3dFilterGradient, conv3dInputGradient } from "./convolution-3d.ts";
import { averagePool, averagePoolGradient, maxPool, maxPoolGradient, poolingOf } from "./pooling.ts";
import type { ResizeAttributes } from "./resizing.ts";
import { bilinearGradient, nearestGradient } from "./resizing.ts";

interface WasmBackend extends tf.KernelBackend {
  makeOutput(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
  /** A view that lasts until the next tensor is made. */
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

type Inputs = Readonly<Record<string, tf.TensorInfo>>;
type Shape = readonly number[];

let registered = false;

/**
 * Registers with the WebAssembly backend the kernels that it lacks, gets wrong or is slow at: gradients of convolutions and pooling,
 * pooling and convolutions in three dimensions, strided slices.
 */
export function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  for (const kernel of ["Conv2D", "FusedConv2D"]) padExplicitly(kernel, false);
  for (const kernel of ["DepthwiseConv2dNative", "FusedDepthwiseConv2D"]) padExplicitly(kernel, true);
  registerConvolutions();
  registerPooling();
  registerResizing();
  registerStridedSlice();
  onHeap(
    "UnsortedSegmentSum",
    ({ x }, { numSegments }: { numSegments: number }) => [numSegments, ...x!.shape.slice(1)],
    {
      reads: ["x", "segmentIds"],
      compute: ([values, ids], sums) => segmentSum(values!, ids!, sums),
    },
  );
}

function registerConvolutions(): void {
  type Attributes = ConvAttributes & { readonly inputShape: Shape; readonly filterShape: Shape };
  const register = <R extends tf.Tensor4D | tf.Tensor5D>(
    kernel: string,
    names: readonly [string, string],
    compute: (first: R, second: R, attributes: Attributes) => tf.Tensor,
  ): void =>
    composed(kernel, (inputs, attributes) =>
      compute(inputs[names[0]] as R, inputs[names[1]] as R, attributes as Attributes),
    );
  register<tf.Tensor4D>("Conv2DBackpropInput", ["dy", "filter"], (dy, filter, attributes) =>
    conv2dInputGradient(dy, filter, attributes.inputShape, attributes),
  );
  register<tf.Tensor4D>("Conv2DBackpropFilter", ["x", "dy"], (x, dy, attributes) =>
    conv2dFilterGradient(x, dy, attributes.filterShape, attributes),
  );
  register<tf.Tensor4D>("DepthwiseConv2dNativeBackpropInput", ["dy", "filter"], (dy, filter, attributes) =>
    depthwiseInputGradient(dy, filter, attributes.inputShape, attributes),
  );
  register<tf.Tensor4D>("DepthwiseConv2dNativeBackpropFilter", ["x", "dy"], (x, dy, attributes) =>
    depthwiseFilterGradient(x, dy, attributes.filterShape, attributes),
  );
  register<tf.Tensor5D>("Conv3D", ["x", "filter"], (x, filter, attributes) =>
    conv3d(x, filter, attributes as never),
  );
  register<tf.Tensor5D>("Conv3DBackpropInputV2", ["dy", "filter"], (dy, filter, attributes) =>
    conv3dInputGradient(dy, filter, attributes.inputShape, attributes as never),
  );
  register<tf.Tensor5D>("Conv3DBackpropFilterV2", ["x", "dy"], (x, dy, attributes) =>
    conv3dFilterGradient(x, dy, attributes.filterShape, attributes as never),
  );
}

function registerPooling(): void {
  type Attributes = Parameters<typeof poolingOf>[1];
  const inputShape = ({ input }: Inputs): Shape => input!.shape;
  for (const [kernel, pool] of Object.entries({ MaxPool3D: maxPool, AvgPool3D: averagePool })) {
    onHeap(kernel, ({ x }, attributes: Attributes) => pooledShape(x!.shape, attributes), {
      reads: ["x"],
      compute: ([x], y, attributes, inputs) => pool(poolingOf(inputs["x"]!.shape, attributes), x!, y),
    });
  }
  for (const kernel of ["MaxPoolGrad", "MaxPool3DGrad"]) {
    onHeap<Attributes>(kernel, inputShape, {
      reads: ["input", "output", "dy"],
      compute: ([x, y, dy], dx, attributes, inputs) =>
        maxPoolGradient(poolingOf(inputs["input"]!.shape, attributes), x!, y!, dy!, dx),
    });
  }
  for (const kernel of ["AvgPoolGrad", "AvgPool3DGrad"]) {
    onHeap<Attributes>(kernel, inputShape, {
      reads: ["dy"],
      compute: ([dy], dx, attributes, inputs) =>
        averagePoolGradient(poolingOf(inputs["input"]!.shape, attributes), dy!, dx),
    });
  }
}

function registerResizing(): void {
  const kernels = { ResizeBilinearGrad: bilinearGradient, ResizeNearestNeighborGrad: nearestGradient };
  for (const [kernel, compute] of Object.entries(kernels)) {
    onHeap<ResizeAttributes>(kernel, ({ images }) => images!.shape, {
      reads: ["dy"],
      compute: ([dy], dx, attributes, { dy: gradient, images }) =>
        compute(dy!, dx, gradient!.shape, images!.shape, attributes),
    });
  }
}

function pooledShape(shape: Shape, attributes: Parameters<typeof poolingOf>[1]): Shape {
  const { batch, output, channels } = poolingOf(shape, attributes);
  return [batch, ...output, channels];
}

/** The backend goes wrong where `same` pads one dimension and a stride skips the end of the other; with numbers it does not. */
function padExplicitly(kernelName: string, depthwise: boolean): void {
  wrap(kernelName, (call, original) => {
    const attributes = call.attrs as unknown as ConvAttributes;
    if (attributes.pad !== "same") return original(call);
    const { x, filter } = call.inputs;
    const pad = samePadding(x!.shape, filter!.shape, attributes, depthwise);
    return original({ ...call, attrs: { ...call.attrs, pad: pad as unknown as number[] } });
  });
}

/** The backend goes wrong where a slice both skips and drops an axis; so it only skips, and the axis is dropped afterwards. */
function registerStridedSlice(): void {
  interface Attributes {
    readonly begin: number[];
    readonly end: number[];
    readonly strides: number[];
    readonly beginMask: number;
    readonly endMask: number;
    readonly ellipsisMask: number;
    readonly newAxisMask: number;
    readonly shrinkAxisMask: number;
  }
  wrap("StridedSlice", (call, original) => {
    const { begin, end, strides, ...masks } = call.attrs as unknown as Attributes;
    if (masks.shrinkAxisMask === 0 && masks.newAxisMask === 0) return original(call);
    const { beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = masks;
    const x = call.inputs["x"] as tf.Tensor;
    const dense = tf.slice_util.sliceInfo(
      x.shape,
      begin,
      end,
      strides,
      beginMask,
      endMask,
      ellipsisMask,
      newAxisMask,
      shrinkAxisMask,
    );
    const toStart = dense.end.reduce((mask, stop, axis) => (stop < 0 ? mask | (1 << axis) : mask), 0);
    return tf.tidy(() =>
      tf.reshape(tf.stridedSlice(x, dense.begin, dense.end, dense.strides, 0, toStart), dense.finalShape),
    );
  });
}

type KernelCall = Parameters<tf.KernelFunc>[0];

function wrap(
  kernelName: string,
  compute: (call: KernelCall, original: tf.KernelFunc) => ReturnType<tf.KernelFunc>,
): void {
  const kernel = tf.getKernel(kernelName, "wasm");
  replace({ ...kernel, kernelFunc: (call) => compute(call, kernel.kernelFunc) });
}

/** Registers a kernel made of tfjs operations. */
function composed(kernelName: string, compute: (inputs: Inputs, attributes: object) => tf.Tensor): void {
  replace({
    kernelName,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs }) => tf.tidy(() => compute(inputs as unknown as Inputs, attrs as object)),
  });
}

interface HeapKernel<A> {
  /** The inputs whose values it reads; of the others only the shape is looked at. */
  readonly reads: readonly string[];
  readonly compute: (
    values: readonly Float32Array[],
    output: Float32Array,
    attributes: A,
    inputs: Inputs,
  ) => void;
}

/** Registers a kernel that reads and writes the backend's memory in place. */
function onHeap<A>(
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

/** Rows of `values` added up by their segment; a negative segment is nobody's. */
function segmentSum(values: Float32Array, ids: ArrayLike<number>, sums: Float32Array): void {
  const width = values.length / ids.length;
  sums.fill(0);
  for (let row = 0; row < ids.length; row++) {
    if (ids[row]! < 0) continue;
    const start = ids[row]! * width;
    for (let column = 0; column < width; column++) sums[start + column]! += values[row * width + column]!;
  }
}
