/** Convolutions in three dimensions on the WebAssembly backend: one in two dimensions for each tap of the depth. */
import { tf } from "../tf.ts";
import { conv2dFilterGradient, conv2dInputGradient } from "./convolution.ts";

export interface Conv3dAttributes {
  readonly strides: number | [number, number, number];
  readonly pad: "valid" | "same";
  readonly dilations?: number | [number, number, number];
}

type Shape5D = [number, number, number, number, number];

interface Geometry {
  readonly taps: number;
  readonly input: number;
  readonly output: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  /** The rest, as attributes of a convolution in two dimensions. */
  readonly planar: {
    readonly strides: [number, number];
    readonly pad: "valid" | "same";
    readonly dilations: [number, number];
  };
}

export function conv3d(x: tf.Tensor5D, filter: tf.Tensor5D, attributes: Conv3dAttributes): tf.Tensor {
  const geometry = geometryOf(x.shape, filter.shape, attributes);
  const { strides, pad, dilations } = geometry.planar;
  return sumOver(geometry.taps, (tap) => {
    const frames = framesRead(x, geometry, tap);
    const result = tf.conv2d(frames, plane(filter, tap), strides, pad, "NHWC", dilations);
    return tf.reshape(result, [x.shape[0], geometry.output, ...result.shape.slice(1)]);
  });
}

export function conv3dInputGradient(
  dy: tf.Tensor5D,
  filter: tf.Tensor5D,
  inputShape: readonly number[],
  attributes: Conv3dAttributes,
): tf.Tensor {
  const geometry = geometryOf(inputShape, filter.shape, attributes);
  const [batch, , height, width, channels] = inputShape as Shape5D;
  const frames = asImages(dy);
  const frameShape = [batch * geometry.output, height, width, channels];
  return sumOver(geometry.taps, (tap) => {
    const gradient = conv2dInputGradient(frames, plane(filter, tap), frameShape, geometry.planar);
    return putBack(
      tf.reshape(gradient, [batch, geometry.output, height * width * channels]),
      geometry,
      tap,
      inputShape,
    );
  });
}

export function conv3dFilterGradient(
  x: tf.Tensor5D,
  dy: tf.Tensor5D,
  filterShape: readonly number[],
  attributes: Conv3dAttributes,
): tf.Tensor {
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

/** Planes of all depths as images: `[N * D, H, W, C]`. */
function asImages(x: tf.Tensor5D): tf.Tensor4D {
  const [batch, depth, height, width, channels] = x.shape;
  return tf.reshape(x, [batch * depth, height, width, channels]);
}

/** `[h, w, C, F]` of one tap. */
function plane(filter: tf.Tensor5D, tap: number): tf.Tensor4D {
  const [, height, width, channels, filters] = filter.shape;
  const cut = tf.slice(filter, [tap, 0, 0, 0, 0], [1, height, width, channels, filters]);
  return tf.reshape(cut, [height, width, channels, filters]);
}

/** The planes that one tap reads, as images: `[N * D', H, W, C]`. */
function framesRead(x: tf.Tensor5D, geometry: Geometry, tap: number): tf.Tensor4D {
  const [batch, depth, height, width, channels] = x.shape;
  const { output, stride, dilation, before } = geometry;
  const start = tap * dilation - before;
  const end = start + (output - 1) * stride + 1;
  const planes = tf.reshape(x, [batch, depth, height * width * channels]) as tf.Tensor3D;
  const padded = tf.pad(planes, [
    [0, 0],
    [Math.max(-start, 0), Math.max(end - depth, 0)],
    [0, 0],
  ]);
  const first = Math.max(start, 0);
  const read = tf.stridedSlice(
    padded,
    [0, first, 0],
    [batch, first + end - start, padded.shape[2]!],
    [1, stride, 1],
  );
  return tf.reshape(read, [batch * output, height, width, channels]);
}

/** The gradient of the planes that one tap reads, `[N, D', H * W * C]`, in its places in `shape`. */
function putBack(gradient: tf.Tensor, geometry: Geometry, tap: number, shape: readonly number[]): tf.Tensor {
  const { input, output, stride, dilation, before } = geometry;
  const [batch, , size] = gradient.shape as [number, number, number];
  const start = tap * dilation - before;
  const span = (output - 1) * stride + 1;
  const gaps = tf.pad(tf.reshape(gradient, [batch, output, 1, size]), [
    [0, 0],
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  const line = tf.slice(tf.reshape(gaps, [batch, output * stride, size]), [0, 0, 0], [batch, span, size]);
  const cut = [Math.max(-start, 0), Math.max(start + span - input, 0)] as const;
  const inside = tf.slice(line, [0, cut[0], 0], [batch, Math.max(span - cut[0] - cut[1], 0), size]);
  const first = Math.max(start, 0);
  const placed = tf.pad(inside, [
    [0, 0],
    [first, input - first - inside.shape[1]!],
    [0, 0],
  ]);
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
