/** Kernels that tfjs-node lacks or gets wrong, called with all the attributes that TensorFlow knows. */
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

/** Registers them with the native backend, once it is the one in use. */
export function registerNativeKernels(): void {
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
      const { binding } = backend;
      const names = { interpolation: attributes.interpolation, fill_mode: attributes.fillMode };
      const written = Object.entries(names).map(([name, value]) => ({
        name,
        type: binding.TF_ATTR_STRING,
        value: value.toUpperCase(),
      }));
      return backend.executeSingleOutput(
        "ImageProjectiveTransformV3",
        [{ name: "dtype", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT }, ...written],
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

function resizing(
  { binding }: NativeBackend,
  { alignCorners, halfPixelCenters }: ResizeAttributes,
): OpAttribute[] {
  return [
    { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: "align_corners", type: binding.TF_ATTR_BOOL, value: alignCorners },
    { name: "half_pixel_centers", type: binding.TF_ATTR_BOOL, value: halfPixelCenters },
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
