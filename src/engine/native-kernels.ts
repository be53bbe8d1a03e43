/** @file Kernels that tfjs-node lacks or implements incorrectly, called with all attributes that TensorFlow knows. */

import { sizeAt } from "../tensor.ts";
import { attribute } from "./kernels/own-kernel.ts";
import type { NativeBackend, OpAttribute } from "./native-engine.ts";
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

interface ProductAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** The number of multiply-adds from which TensorFlow's batched kernel is faster for a transposed matrix. */
const largeProduct = 2 ** 21;

/** Registers the kernels with the native backend, which must be the current one. */
export function registerNativeKernels(): void {
  replace<ProductAttributes>("BatchMatMul", (backend, { a, b }, attributes) =>
    matrixProduct(backend, a!, b!, attributes),
  );
  replace<ResizeAttributes>("ResizeBilinearGrad", (backend, { images, dy }, attributes) =>
    tf.tidy(() =>
      backend.executeSingleOutput("ResizeBilinearGrad", resizing(backend, attributes), [
        dy!,
        tf.zeros(images!.shape),
      ]),
    ),
  );
  replace<ResizeAttributes>("ResizeNearestNeighborGrad", (backend, { images, dy }, attributes) =>
    tf.tidy(() =>
      backend.executeSingleOutput("ResizeNearestNeighborGrad", resizing(backend, attributes), [
        dy!,
        tf.tensor1d(images!.shape.slice(1, 3), "int32"),
      ]),
    ),
  );
  replace<TransformAttributes>("Transform", (backend, { image, transforms }, attributes) =>
    tf.tidy(() => {
      return backend.executeSingleOutput(
        "ImageProjectiveTransformV3",
        [
          attribute.float(backend, "dtype"),
          attribute.text(backend, "interpolation", attributes.interpolation.toUpperCase()),
          attribute.text(backend, "fill_mode", attributes.fillMode.toUpperCase()),
        ],
        [
          image!,
          transforms!,
          tf.tensor1d([...(attributes.outputShape ?? image!.shape.slice(1, 3))], "int32"),
          tf.scalar(attributes.fillValue),
        ],
      );
    }),
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
  const lone = a.shape.length === 2 && b.shape.length === 2 && !(isLarge && (transposeA || transposeB));
  const names = lone ? ["transpose_a", "transpose_b"] : ["adj_x", "adj_y"];
  const { binding } = backend;
  const type = a.dtype === "int32" ? binding.TF_INT32 : binding.TF_FLOAT;
  const attributes = [
    { name: "T", type: binding.TF_ATTR_TYPE, value: type },
    attribute.flag(backend, names[0]!, transposeA),
    attribute.flag(backend, names[1]!, transposeB),
  ];
  return backend.executeSingleOutput(lone ? "MatMul" : "BatchMatMulV2", attributes, [a, b]);
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

function replace<A>(
  kernelName: string,
  compute: (
    backend: NativeBackend,
    inputs: Readonly<Record<string, tf.TensorInfo>>,
    attributes: A,
  ) => tf.Tensor,
): void {
  if (tf.getKernel(kernelName, nativeBackendName)) tf.unregisterKernel(kernelName, nativeBackendName);
  tf.registerKernel({
    kernelName,
    backendName: nativeBackendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      compute(backend as NativeBackend, inputs as Readonly<Record<string, tf.TensorInfo>>, attrs as A),
  });
}
