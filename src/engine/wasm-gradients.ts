/**
 * Gradient kernels that the WebAssembly backend lacks, as compositions of kernels it has. Layout NHWC, filters
 * `[height, width, in, out]`.
 */
import { tf } from "./tf.ts";

type Pad = Parameters<typeof tf.backend_util.computeConv2DInfo>[4];

interface WindowAttributes {
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly filterShape: [number, number, number, number];
  readonly inputShape: [number, number, number, number];
}

/** Registers the kernels, once. */
export function registerWasmGradients(backendName: string): void {
  const kernels = {
    Conv2DBackpropFilter: convolutionFilterGradient,
    DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
    DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  };
  for (const [kernelName, compute] of Object.entries(kernels)) {
    if (tf.getKernel(kernelName, backendName)) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) =>
        tf.tidy(() =>
          compute(inputs as unknown as Record<string, tf.Tensor4D>, attrs as unknown as WindowAttributes),
        ),
    });
  }
}

/** A convolution of the transposed operands: channels are the batch, the gradient is the filter, strides are its dilation. */
function convolutionFilterGradient(
  { x, dy }: Record<string, tf.Tensor4D>,
  attributes: WindowAttributes,
): tf.Tensor4D {
  const window = windowOf(x!.shape, attributes.filterShape, attributes, false);
  const images = tf.transpose(paddedInput(x!, dy!, window), [3, 1, 2, 0]);
  const filter = tf.transpose(dy!, [1, 2, 0, 3]);
  const { strideHeight, strideWidth, dilationHeight, dilationWidth } = window;
  const dilated = tf.conv2d(images as tf.Tensor4D, filter as tf.Tensor4D, 1, "valid", "NHWC", [
    strideHeight,
    strideWidth,
  ]);
  const taken = tf.stridedSlice(dilated, [0, 0, 0, 0], dilated.shape, [1, dilationHeight, dilationWidth, 1]);
  return tf.transpose(taken, [1, 2, 0, 3]) as tf.Tensor4D;
}

function depthwiseFilterGradient(
  { x, dy }: Record<string, tf.Tensor4D>,
  attributes: WindowAttributes,
): tf.Tensor4D {
  const [height, width, channels, multiplier] = attributes.filterShape;
  const window = windowOf(x!.shape, attributes.filterShape, attributes, true);
  const images = paddedInput(x!, dy!, window);
  const [batch, outHeight, outWidth] = dy!.shape;
  const gradient = tf.reshape(dy!, [batch * outHeight * outWidth, channels, multiplier]);
  const { strideHeight, strideWidth, dilationHeight, dilationWidth } = window;
  const taps: tf.Tensor[] = [];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [top, left] = [row * dilationHeight, column * dilationWidth];
      const read = tf.stridedSlice(
        images,
        [0, top, left, 0],
        [batch, top + (outHeight - 1) * strideHeight + 1, left + (outWidth - 1) * strideWidth + 1, channels],
        [1, strideHeight, strideWidth, 1],
      );
      const values = tf.reshape(read, [batch * outHeight * outWidth, channels, 1]);
      taps.push(tf.sum(tf.mul(values, gradient), 0));
    }
  }
  return tf.reshape(tf.stack(taps), attributes.filterShape);
}

/** The gradient spread over the input's grid, convolved with the filter turned by half a circle. */
function depthwiseInputGradient(
  { dy, filter }: Record<string, tf.Tensor4D>,
  attributes: WindowAttributes,
): tf.Tensor4D {
  const [height, width, channels, multiplier] = filter!.shape;
  const [batch, inHeight, inWidth] = attributes.inputShape;
  const window = windowOf(attributes.inputShape, filter!.shape, attributes, true);
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = window;
  const spread = spreadOut(dy!, strideHeight, strideWidth);
  const reachHeight = (height - 1) * dilationHeight;
  const reachWidth = (width - 1) * dilationWidth;
  const top = reachHeight - padInfo.top;
  const left = reachWidth - padInfo.left;
  const placed = placedIn(spread, top, left, inHeight + reachHeight, inWidth + reachWidth);
  const turned = tf.reshape(tf.reverse(filter!, [0, 1]), [height, width, channels * multiplier, 1]);
  const each = tf.depthwiseConv2d(placed, turned as tf.Tensor4D, 1, "valid", "NHWC", [
    dilationHeight,
    dilationWidth,
  ]);
  if (multiplier === 1) return each;
  return tf.sum(tf.reshape(each, [batch, inHeight, inWidth, channels, multiplier]), 4);
}

function windowOf(
  inputShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations = 1, dimRoundingMode }: WindowAttributes,
  depthwise: boolean,
): ReturnType<typeof tf.backend_util.computeConv2DInfo> {
  return tf.backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
  );
}

/** The input with its padding, cut to the positions that the window reads. */
function paddedInput(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  window: ReturnType<typeof tf.backend_util.computeConv2DInfo>,
): tf.Tensor4D {
  const height =
    (dy.shape[1] - 1) * window.strideHeight + (window.filterHeight - 1) * window.dilationHeight + 1;
  const width = (dy.shape[2] - 1) * window.strideWidth + (window.filterWidth - 1) * window.dilationWidth + 1;
  return placedIn(x, window.padInfo.top, window.padInfo.left, height, width);
}

/** `x` at (top, left) of a zero canvas `[N, height, width, C]`; what lies outside is cut off. */
function placedIn(x: tf.Tensor4D, top: number, left: number, height: number, width: number): tf.Tensor4D {
  const fromRow = Math.max(0, -top);
  const fromColumn = Math.max(0, -left);
  const rows = Math.min(x.shape[1] - fromRow, height - Math.max(0, top));
  const columns = Math.min(x.shape[2] - fromColumn, width - Math.max(0, left));
  const whole = rows === x.shape[1] && columns === x.shape[2];
  const cut = whole ? x : tf.slice(x, [0, fromRow, fromColumn, 0], [x.shape[0], rows, columns, x.shape[3]]);
  const above = Math.max(0, top);
  const before = Math.max(0, left);
  return tf.pad(cut, [
    [0, 0],
    [above, height - above - rows],
    [before, width - before - columns],
    [0, 0],
  ]);
}

/** `dy` with `stride - 1` zeros between neighbours. */
function spreadOut(dy: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  if (strideHeight === 1 && strideWidth === 1) return dy;
  const [batch, height, width, channels] = dy.shape;
  const wide = followedByZeros(tf.reshape(dy, [batch * height * width, 1, channels]), strideWidth);
  const tall = followedByZeros(
    tf.reshape(wide, [batch * height, 1, width * strideWidth * channels]),
    strideHeight,
  );
  const spread = tf.reshape(tall, [
    batch,
    height * strideHeight,
    width * strideWidth,
    channels,
  ]) as tf.Tensor4D;
  return tf.slice(
    spread,
    [0, 0, 0, 0],
    [batch, (height - 1) * strideHeight + 1, (width - 1) * strideWidth + 1, channels],
  );
}

function followedByZeros(rows: tf.Tensor, stride: number): tf.Tensor {
  if (stride === 1) return rows;
  const [count, , length] = rows.shape as [number, number, number];
  return tf.concat([rows, tf.zeros([count, stride - 1, length])], 1);
}
