import { attribute } from "./kernels/own-kernel.ts";
import type { NativeBackend } from "./native-engine.ts";
import { samePadding } from "./operations.ts";
import { tf } from "./tf.ts";

/** Attributes of the gradient of a depthwise convolution with respect to its filter `[h, w, C, M]`, without dilation. */
export interface FilterGradientAttributes {
  readonly strides: readonly [number, number];
  readonly pad: "same" | "valid";
  readonly filterShape: readonly [number, number, number, number];
}

/** The number of columns up to which oneDNN has a fast kernel (`jit_uni_dw_conv_kernel`); above it takes five to forty times as long. */
export const fastColumns = 3;

/**
 * Computes the gradient of a depthwise convolution's filter in groups of columns, each of which the fast kernel takes. Column `j` of the
 * filter reads the padded input from column `j` on. The sums are those of the one kernel.
 */
export function filterGradientByColumns(
  backend: NativeBackend,
  x: tf.Tensor,
  dy: tf.Tensor,
  { strides, pad, filterShape: [rows, columns, channels, multiplier] }: FilterGradientAttributes,
): tf.Tensor {
  const [batch, height, width] = x.shape as [number, number, number];
  const [across, down] =
    pad === "same" ? samePadding([width, height], [columns, rows], [strides[1], strides[0]]) : [];
  const padded = across && down ? tf.pad(x, [[0, 0], down, across, [0, 0]]) : x;
  const [, paddedHeight, , depth] = padded.shape as [number, number, number, number];
  const reach = ((dy.shape[2] ?? 0) - 1) * strides[1];
  const attributes = [
    attribute.float(backend, "T"),
    { name: "strides", type: backend.binding.TF_ATTR_INT, value: [1, ...strides, 1] },
    attribute.text(backend, "padding", "VALID"),
  ];
  const parts: tf.Tensor[] = [];
  for (let first = 0; first < columns; first += fastColumns) {
    const count = Math.min(fastColumns, columns - first);
    const read = tf.slice(padded, [0, 0, first, 0], [batch, paddedHeight, reach + count, depth]);
    const shape = tf.tensor1d([rows, count, channels, multiplier], "int32");
    parts.push(
      backend.executeSingleOutput("DepthwiseConv2dNativeBackpropFilter", attributes, [read, shape, dy]),
    );
  }
  return tf.concat(parts, 1);
}
