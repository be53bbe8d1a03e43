import type { StridedSlice } from "../gradients/shapes.ts";
import { tf } from "../tf.ts";
import { wrap } from "./replace-kernel.ts";

/** Registers a strided slice that first skips and then drops axes: the backend is wrong for a slice that does both. */
export function registerStridedSlice(): void {
  wrap("StridedSlice", (call, original) => {
    const { begin, end, strides, ...masks } = call.attrs as unknown as StridedSlice;
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
