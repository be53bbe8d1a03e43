import { tf } from "../tf.ts";

export interface ConvAttributes {
  readonly strides: number | [number, number];
  readonly pad: "valid" | "same" | number;
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly dataFormat?: "NHWC" | "NCHW";
}

/** One spatial dimension of a convolution: `input` positions, `taps` of the filter, `output` positions. */
export interface Axis {
  readonly input: number;
  readonly taps: number;
  readonly output: number;
  readonly stride: number;
  readonly dilation: number;
  /** Positions of padding before the first. */
  readonly before: number;
}

/** Rows and columns of a channels-last convolution. */
export function convAxes(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attributes: ConvAttributes,
  depthwise: boolean,
): readonly [Axis, Axis] {
  const info = convInfo(inputShape, filterShape, attributes, depthwise);
  const rows = {
    input: info.inHeight,
    taps: info.filterHeight,
    output: info.outHeight,
    stride: info.strideHeight,
    dilation: info.dilationHeight,
    before: info.padInfo.top,
  };
  const columns = {
    input: info.inWidth,
    taps: info.filterWidth,
    output: info.outWidth,
    stride: info.strideWidth,
    dilation: info.dilationWidth,
    before: info.padInfo.left,
  };
  return [rows, columns];
}

/** `same` padding in numbers, as the `pad` attribute takes them. */
export function samePadding(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attributes: ConvAttributes,
  depthwise: boolean,
): [number, number][] {
  const { top, bottom, left, right } = convInfo(inputShape, filterShape, attributes, depthwise).padInfo;
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

function convInfo(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attributes: ConvAttributes,
  depthwise: boolean,
): tf.backend_util.Conv2DInfo {
  if (attributes.dataFormat === "NCHW") throw new Error("wasm: expected channels last, got channels first");
  return tf.backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
    attributes.dimRoundingMode,
    depthwise,
  );
}

/** `[N, H, W, C]` from row and column `starts` (negative: zeros before) on, `sizes` rows and columns, zeros after the last. */
export function frame(
  x: tf.Tensor4D,
  starts: readonly [number, number],
  sizes: readonly [number, number],
): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const extents = [height, width];
  const begin = starts.map((start) => Math.max(start, 0));
  const end = starts.map((start, axis) => Math.min(start + sizes[axis]!, extents[axis]!));
  if (end.some((stop, axis) => stop <= begin[axis]!)) return tf.zeros([batch, ...sizes, channels]);
  const isWhole = begin.every((start, axis) => start === 0 && end[axis] === extents[axis]);
  const cut = isWhole
    ? x
    : tf.slice(x, [0, begin[0]!, begin[1]!, 0], [batch, end[0]! - begin[0]!, end[1]! - begin[1]!, channels]);
  const paddings = starts.map((start, axis): [number, number] => [
    begin[axis]! - start,
    start + sizes[axis]! - end[axis]!,
  ]);
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return cut;
  return tf.pad(cut, [[0, 0], paddings[0]!, paddings[1]!, [0, 0]]);
}
