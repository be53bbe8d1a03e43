/** @file Kernels that tfjs-node lacks or implements incorrectly, called with all attributes that TensorFlow knows. */

import { sizeAt } from "../tensor.ts";
import type { FilterGradientAttributes } from "./depthwise-filter-gradient.ts";
import { fastColumns, filterGradientByColumns } from "./depthwise-filter-gradient.ts";
import { labelled, oneDnnHas } from "./kernels/one-dnn.ts";
import type { Tensors } from "./kernels/own-kernel.ts";
import { attribute } from "./kernels/own-kernel.ts";
import type { NativeBackend, NativeTensor, OpAttribute } from "./native-engine.ts";
import { nativeBackendName } from "./native-engine.ts";
import { tf } from "./tf.ts";

interface TransformAttributes {
  readonly interpolation: "nearest" | "bilinear";
  readonly fillMode: "constant" | "reflect" | "wrap" | "nearest";
  readonly fillValue: number;
  readonly outputShape?: readonly [number, number];
}

interface ResizeAttributes {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

type ResizeInputs = Tensors<"images" | "dy">;

interface SoftmaxAttributes {
  readonly dim: number;
}

interface ProductAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

interface GatherAttributes {
  readonly axis: number;
  readonly batchDims: number;
}

interface ShapeAttributes {
  readonly shape: readonly number[];
}

/** The number of multiply-adds from which TensorFlow's batched kernel is faster for a second matrix that is transposed. */
const largeProduct = 2 ** 21;

/** Registers the kernels with the native backend, which must be the current one. */
export function registerNativeKernels(): void {
  replace("BatchMatMul", (backend, { a, b }: Tensors<"a" | "b">, attributes: ProductAttributes) =>
    matrixProduct(backend, a, b, attributes),
  );
  const plainSoftmax = tf.getKernel("Softmax", nativeBackendName).kernelFunc;
  replace("Softmax", (backend, inputs: Tensors<"logits">, attributes: SoftmaxAttributes) =>
    oneDnnHas(backend, "_MklSoftmax", (probe) => softmaxOfOneDnn(backend, probe))
      ? softmaxOfOneDnn(backend, inputs.logits)
      : (plainSoftmax({ inputs, attrs: { ...attributes }, backend }) as tf.Tensor),
  );
  replace("Reshape", (backend, { x }: Tensors<"x">, { shape }: ShapeAttributes) =>
    reshaped(backend, x, shape),
  );
  const plainGather = tf.getKernel("GatherV2", nativeBackendName).kernelFunc;
  replace("GatherV2", (backend, inputs: Tensors<"x" | "indices">, attributes: GatherAttributes) =>
    backend.isUsingGpuDevice
      ? (plainGather({ inputs, attrs: { ...attributes }, backend }) as tf.Tensor)
      : tf.tidy(() => gathered(backend, inputs, attributes)),
  );
  const filterGradient = "DepthwiseConv2dNativeBackpropFilter";
  const original = tf.getKernel(filterGradient, nativeBackendName).kernelFunc;
  replace(filterGradient, (backend, inputs: Tensors<"x" | "dy">, attributes: FilterGradientAttributes) =>
    attributes.filterShape[1] <= fastColumns
      ? (original({ inputs, attrs: { ...attributes }, backend }) as tf.Tensor)
      : tf.tidy(() => filterGradientByColumns(backend, inputs.x, inputs.dy, attributes)),
  );
  replace("ResizeBilinearGrad", (backend, { images, dy }: ResizeInputs, attributes: ResizeAttributes) =>
    tf.tidy(() =>
      backend.executeSingleOutput("ResizeBilinearGrad", resizing(backend, attributes), [
        dy,
        tf.zeros(images.shape),
      ]),
    ),
  );
  replace(
    "ResizeNearestNeighborGrad",
    (backend, { images, dy }: ResizeInputs, attributes: ResizeAttributes) =>
      tf.tidy(() =>
        backend.executeSingleOutput("ResizeNearestNeighborGrad", resizing(backend, attributes), [
          dy,
          tf.tensor1d(images.shape.slice(1, 3), "int32"),
        ]),
      ),
  );
  replace(
    "Transform",
    (backend, { image, transforms }: Tensors<"image" | "transforms">, attributes: TransformAttributes) =>
      tf.tidy(() => {
        return backend.executeSingleOutput(
          "ImageProjectiveTransformV3",
          [
            attribute.float(backend, "dtype"),
            attribute.text(backend, "interpolation", attributes.interpolation.toUpperCase()),
            attribute.text(backend, "fill_mode", attributes.fillMode.toUpperCase()),
          ],
          [
            image,
            transforms,
            tf.tensor1d([...(attributes.outputShape ?? image.shape.slice(1, 3))], "int32"),
            tf.scalar(attributes.fillValue),
          ],
        );
      }),
  );
}

/**
 * Gathers slices. TensorFlow refuses indices that are out of range on processors, where tfjs-node reads and compares all of them; on a
 * GPU it gives zeros.
 */
function gathered(
  backend: NativeBackend,
  { x, indices }: Tensors<"x" | "indices">,
  { axis, batchDims }: GatherAttributes,
): tf.Tensor {
  tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, axis, batchDims);
  const { binding } = backend;
  const typed = (name: string, tensor: tf.Tensor): OpAttribute => ({
    name,
    type: binding.TF_ATTR_TYPE,
    value: backend.tensorMap.get(tensor.dataId).dtype,
  });
  return backend.executeSingleOutput(
    "GatherV2",
    [
      { name: "batch_dims", type: binding.TF_ATTR_INT, value: batchDims },
      typed("Tparams", x),
      typed("Tindices", indices),
      attribute.int32(backend, "Taxis"),
    ],
    [x, indices, tf.scalar(axis, "int32")],
  );
}

/** Computes softmax over the last axis by the kernel that TensorFlow's graphs run, which is faster and rounds otherwise. */
function softmaxOfOneDnn(backend: NativeBackend, logits: tf.TensorInfo): tf.Tensor {
  return backend.executeSingleOutput(
    "_MklSoftmax",
    [attribute.float(backend, "T"), labelled(backend)],
    [logits],
  );
}

/** Multiplies matrices. The kernel for a single matrix has a fraction of the overhead of the batched one. */
function matrixProduct(
  backend: NativeBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  { transposeA, transposeB }: ProductAttributes,
): tf.Tensor {
  const [rows, columns] = a.shape as [number, number];
  const isLarge = rows * columns * sizeAt(b.shape, transposeB ? 0 : 1) >= largeProduct;
  const lone = a.shape.length === 2 && b.shape.length === 2 && !(isLarge && transposeB);
  const [transposedA, transposedB] = lone
    ? (["transpose_a", "transpose_b"] as const)
    : (["adj_x", "adj_y"] as const);
  const { binding } = backend;
  const type = a.dtype === "int32" ? binding.TF_INT32 : binding.TF_FLOAT;
  const attributes = [
    { name: "T", type: binding.TF_ATTR_TYPE, value: type },
    attribute.flag(backend, transposedA, transposeA),
    attribute.flag(backend, transposedB, transposeB),
  ];
  return backend.executeSingleOutput(lone ? "MatMul" : "BatchMatMulV2", attributes, [a, b]);
}

/** Gives values another shape. The shape goes to the binding itself, since a tensor of tfjs around it costs more than the operation. */
function reshaped(backend: NativeBackend, x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  if (tf.util.arraysEqual(x.shape, [...shape])) return tf.clone(x);
  const { binding } = backend;
  const { dtype } = backend.tensorMap.get(x.dataId);
  const attributes = [
    { name: "T", type: binding.TF_ATTR_TYPE, value: dtype },
    attribute.int32(backend, "Tshape"),
  ];
  const sizes = binding.createTensor([shape.length], binding.TF_INT32, Int32Array.from(shape));
  try {
    const inputs = [...backend.getInputTensorIds([x]), sizes];
    const [result] = binding.executeOp("Reshape", attributes, inputs, 1) as [NativeTensor];
    return backend.createOutputTensor(result);
  } finally {
    binding.deleteTensor(sizes);
  }
}

function resizing(
  backend: NativeBackend,
  { alignCorners, halfPixelCenters }: ResizeAttributes,
): OpAttribute[] {
  return [
    attribute.float(backend, "T"),
    attribute.flag(backend, "align_corners", alignCorners),
    attribute.flag(backend, "half_pixel_centers", halfPixelCenters),
  ];
}

function replace<Inputs, A>(
  kernelName: string,
  compute: (backend: NativeBackend, inputs: Inputs, attributes: A) => tf.Tensor,
): void {
  if (tf.getKernel(kernelName, nativeBackendName)) tf.unregisterKernel(kernelName, nativeBackendName);
  tf.registerKernel({
    kernelName,
    backendName: nativeBackendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      compute(backend as NativeBackend, inputs as Inputs, attrs as A),
  });
}
