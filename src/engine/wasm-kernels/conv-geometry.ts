import { tf } from "../tf.ts";

export interface ConvAttributes {
  readonly strides: number | [number, number];
  readonly pad: "valid" | "same" | number;
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly dataFormat?: "NHWC" | "NCHW";
}

/** One spatial dimension of a convolution, with `input` positions, `taps` of the filter and `output` positions. */
export interface Axis {
  readonly input: number;
  readonly taps: number;
  readonly output: number;
  readonly stride: number;
  readonly dilation: number;
  /** The number of padding positions before the first. */
  readonly before: number;
}

/** Returns the rows and columns of a channels-last convolution. */
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

/** Returns `same` padding as numbers, in the form of the `pad` attribute. */
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
