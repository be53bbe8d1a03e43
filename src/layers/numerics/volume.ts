/**
 * @file Three-dimensional convolutions as sums of two-dimensional ones, one for each tap along the depth, and
 * three-dimensional pooling in two stages, so that every backend has the same results and gradients. On WebAssembly,
 * tfjs's own kernels of this rank are wrong for many inputs.
 */

import type { maxPool2d, Padding, Spatial } from "../../engine/operations.ts";
import { conv2d, conv2dTranspose, samePadding } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { everyNth, padAxis } from "../axes.ts";

/** Convolves `[N, D, H, W, C]` with a filter `[d, h, w, C, F]`. */
export function conv3d(
  x: tf.Tensor,
  filter: tf.Tensor,
  strides: Spatial,
  padding: Padding,
  dilation: Spatial,
): tf.Tensor {
  const [stride, ...planeStrides] = strides as [number, number, number];
  const [rate, ...planeDilation] = dilation as [number, number, number];
  const taps = sizeAt(filter.shape, 0);
  const reach = (taps - 1) * rate + 1;
  const [before, after] =
    padding === "same" ? samePadding([sizeAt(x.shape, 1)], [reach], [stride])[0]! : ([0, 0] as const);
  const padded = padAxis(x, 1, before, after);
  const depth = Math.floor((sizeAt(padded.shape, 1) - reach) / stride) + 1;
  const partial = depthTaps(filter).map((plane, tap) => {
    const slices = everyNth(padded, 1, tap * rate, depth, stride);
    return conv2d(asPlanes(slices), plane, planeStrides, padding, planeDilation);
  });
  return asVolume(sum(partial), depth);
}

/**
 * Computes the gradient of `conv3d` with respect to its input, used as a layer: it has `outputShape`, with a filter
 * `[d, h, w, F, C]`.
 */
export function conv3dTranspose(
  x: tf.Tensor,
  filter: tf.Tensor,
  outputShape: readonly number[],
  strides: Spatial,
  padding: Padding,
  dilation: Spatial,
): tf.Tensor {
  const [stride, ...planeStrides] = strides as [number, number, number];
  const [rate, ...planeDilation] = dilation as [number, number, number];
  const [batch, depth, ...plane] = outputShape as [number, number, number, number, number];
  const inputs = sizeAt(x.shape, 1);
  const reach = (sizeAt(filter.shape, 0) - 1) * rate + 1;
  const before = padding === "same" ? samePadding([depth], [reach], [stride])[0]![0] : 0;
  const planes = asPlanes(x);
  const partial = depthTaps(filter).map((tapFilter, tap) => {
    const shape = [batch * inputs, ...plane];
    const spread = conv2dTranspose(planes, tapFilter, shape, planeStrides, padding, planeDilation);
    const stretched = stretchDepth(asVolume(spread, inputs), stride);
    const start = tap * rate - before;
    return padAxis(stretched, 1, start, depth - start - sizeAt(stretched.shape, 1));
  });
  return sum(partial);
}

/** Inserts `stride - 1` empty planes between planes. */
function stretchDepth(x: tf.Tensor, stride: number): tf.Tensor {
  if (stride === 1) return x;
  const [batch, depth, ...plane] = x.shape as [number, number, number, number, number];
  const size = plane.reduce((total, extent) => total * extent, 1);
  const spaced = padAxis(tf.reshape(x, [batch, depth, 1, size]), 2, 0, stride - 1);
  return padAxis(tf.reshape(spaced, [batch, depth * stride, ...plane]), 1, 0, 1 - stride);
}

/** Pools windows of `[N, D, H, W, C]`: over each plane, then over depth. Maxima and means of equal parts compose. */
export function pool3d(
  x: tf.Tensor,
  pool: typeof maxPool2d,
  poolSize: Spatial,
  strides: Spatial,
  padding: Padding,
): tf.Tensor {
  const depth = sizeAt(x.shape, 1);
  const planes = asVolume(pool(asPlanes(x), poolSize.slice(1), strides.slice(1), padding), depth);
  const [batch, , height, width, channels] = planes.shape as [number, number, number, number, number];
  const columns = tf.reshape(planes, [batch, depth, height * width, channels]);
  const pooled = pool(columns, [poolSize[0]!, 1], [strides[0]!, 1], padding);
  return tf.reshape(pooled, [batch, sizeAt(pooled.shape, 1), height, width, channels]);
}

function depthTaps(filter: tf.Tensor): tf.Tensor[] {
  return tf.split(filter, sizeAt(filter.shape, 0), 0).map((tap) => tf.squeeze(tap, [0]));
}

function asPlanes(x: tf.Tensor): tf.Tensor {
  const [batch, depth, ...plane] = x.shape as [number, number, number, number, number];
  return tf.reshape(x, [batch * depth, ...plane]);
}

function asVolume(x: tf.Tensor, depth: number): tf.Tensor {
  const [planes, ...plane] = x.shape as [number, number, number, number];
  return tf.reshape(x, [planes / depth, depth, ...plane]);
}

function sum(tensors: readonly tf.Tensor[]): tf.Tensor {
  return tensors.reduce((a, b) => tf.add(a, b));
}
