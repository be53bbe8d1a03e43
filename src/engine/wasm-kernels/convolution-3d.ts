/**
 * @file Convolutions in three dimensions on the WebAssembly backend: one convolution in two dimensions for each tap
 * along the depth.
 */
import { tf } from "../tf.ts";
import { conv2dFilterGradient, conv2dInputGradient } from "./convolution.ts";
import { imageWindow, placedPhases } from "./moving.ts";
import { composed } from "./replace-kernel.ts";

interface Conv3dAttributes {
  readonly strides: number | [number, number, number];
  readonly pad: "valid" | "same";
  readonly dilations?: number | [number, number, number];
}

interface GradientAttributes extends Conv3dAttributes {
  readonly inputShape: readonly number[];
  readonly filterShape: readonly number[];
}

type Shape5D = [number, number, number, number, number];

interface Geometry {
  readonly taps: number;
  readonly input: number;
  readonly output: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  /** The other dimensions, as attributes of a convolution in two dimensions. */
  readonly planar: {
    readonly strides: [number, number];
    readonly pad: "valid" | "same";
    readonly dilations: [number, number];
  };
}

export function registerConvolutions3d(): void {
  const register = (
    kernel: string,
    names: readonly [string, string],
    compute: (first: tf.Tensor5D, second: tf.Tensor5D, attributes: GradientAttributes) => tf.Tensor,
  ): void =>
    composed(kernel, (inputs, attributes) =>
      compute(
        inputs[names[0]] as tf.Tensor5D,
        inputs[names[1]] as tf.Tensor5D,
        attributes as GradientAttributes,
      ),
    );
  register("Conv3D", ["x", "filter"], conv3d);
  register("Conv3DBackpropInputV2", ["dy", "filter"], conv3dInputGradient);
  register("Conv3DBackpropFilterV2", ["x", "dy"], conv3dFilterGradient);
}

function conv3d(x: tf.Tensor5D, filter: tf.Tensor5D, attributes: Conv3dAttributes): tf.Tensor {
  const geometry = geometryOf(x.shape, filter.shape, attributes);
  const { strides, pad, dilations } = geometry.planar;
  return sumOver(geometry.taps, (tap) => {
    const frames = framesRead(x, geometry, tap);
    const result = tf.conv2d(frames, plane(filter, tap), strides, pad, "NHWC", dilations);
    return tf.reshape(result, [x.shape[0], geometry.output, ...result.shape.slice(1)]);
  });
}

function conv3dInputGradient(
  dy: tf.Tensor5D,
  filter: tf.Tensor5D,
  attributes: GradientAttributes,
): tf.Tensor {
  const { inputShape } = attributes;
  const geometry = geometryOf(inputShape, filter.shape, attributes);
  const [batch, , height, width, channels] = inputShape as Shape5D;
  const frames = asImages(dy);
  const frameShape = [batch * geometry.output, height, width, channels];
  return sumOver(geometry.taps, (tap) => {
    const gradient = conv2dInputGradient(frames, plane(filter, tap), frameShape, geometry.planar);
    return putBack(
      tf.reshape(gradient, [batch, geometry.output, 1, height * width * channels]),
      geometry,
      tap,
      inputShape,
    );
  });
}

function conv3dFilterGradient(x: tf.Tensor5D, dy: tf.Tensor5D, attributes: GradientAttributes): tf.Tensor {
  const { filterShape } = attributes;
  const geometry = geometryOf(x.shape, filterShape, attributes);
  const frames = asImages(dy);
  const planes = Array.from({ length: geometry.taps }, (_, tap) =>
    tf.tidy(() =>
      conv2dFilterGradient(framesRead(x, geometry, tap), frames, filterShape.slice(1), geometry.planar),
    ),
  );
  return tf.stack(planes, 0);
}

function geometryOf(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attributes: Conv3dAttributes,
): Geometry {
  const info = tf.backend_util.computeConv3DInfo(
    inputShape as Shape5D,
    filterShape as Shape5D,
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
  );
  return {
    taps: info.filterDepth,
    input: info.inDepth,
    output: info.outDepth,
    stride: info.strideDepth,
    dilation: info.dilationDepth,
    before: Math.max(info.padInfo.front, 0),
    planar: {
      strides: [info.strideHeight, info.strideWidth],
      pad: attributes.pad,
      dilations: [info.dilationHeight, info.dilationWidth],
    },
  };
}

/** Reshapes the planes of all depths to images `[N * D, H, W, C]`. */
function asImages(x: tf.Tensor5D): tf.Tensor4D {
  const [batch, depth, height, width, channels] = x.shape;
  return tf.reshape(x, [batch * depth, height, width, channels]);
}

/** Returns the filter `[h, w, C, F]` of one tap. */
function plane(filter: tf.Tensor5D, tap: number): tf.Tensor4D {
  const [, height, width, channels, filters] = filter.shape;
  const cut = tf.slice(filter, [tap, 0, 0, 0, 0], [1, height, width, channels, filters]);
  return tf.reshape(cut, [height, width, channels, filters]);
}

/** Returns the planes that one tap reads as images `[N * D', H, W, C]`. */
function framesRead(
  x: tf.Tensor5D,
  { output, stride, dilation, before }: Geometry,
  tap: number,
): tf.Tensor4D {
  const [batch, depth, height, width, channels] = x.shape;
  const planes = tf.reshape(x, [batch, depth, 1, height * width * channels]) as tf.Tensor4D;
  const read = imageWindow(planes, [tap * dilation - before, 0], [output, 1], [stride, 1]);
  return tf.reshape(read, [batch * output, height, width, channels]);
}

/** Puts the gradient of the planes that one tap reads, `[N, D', 1, H * W * C]`, in their places in `shape`. */
function putBack(
  gradient: tf.Tensor4D,
  geometry: Geometry,
  tap: number,
  shape: readonly number[],
): tf.Tensor {
  const { input, stride, dilation, before } = geometry;
  const [batch, , , size] = gradient.shape;
  const part = { phase: [0, 0] as const, values: gradient };
  const placed = placedPhases([part], [batch, input, 1, size], [stride, 1], [before - tap * dilation, 0]);
  return tf.reshape(placed, [...shape]);
}

function sumOver(taps: number, compute: (tap: number) => tf.Tensor): tf.Tensor {
  let sum = tf.tidy(() => compute(0));
  for (let tap = 1; tap < taps; tap++) {
    const before = sum;
    sum = tf.tidy(() => tf.add(before, compute(tap)));
    before.dispose();
  }
  return sum;
}
