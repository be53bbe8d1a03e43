/** @file Convolutions, pools and resizing in ONNX, which has the channels first: each is turned, computed and turned back. */
import type { GraphBuilder, Name } from "./graph-builder.ts";
import { isFixed } from "./graph-builder.ts";
import type { LoweredNode, Lowering } from "./lowering.ts";
import { flagOf, noForm, numbersOf } from "./lowering.ts";
import type { ProgramNode, Size, ValueId } from "./tensor-program.ts";

export const windowLowerings: Readonly<Record<string, Lowering>> = {
  AvgPool: pooled("AveragePool", { count_include_pad: 0 }),
  AvgPool3D: pooled("AveragePool", { count_include_pad: 0 }),
  Conv2D: (call, graph) => convolved(call, graph),
  Conv2DBackpropInput: transposedConvolution,
  Conv2DBias: (call, graph) => convolved(call, graph, call.id("bias")),
  Conv3D: (call, graph) => convolved(call, graph),
  DepthwiseConv2dNative: depthwise,
  FusedConv2D: (call, graph) => {
    if (call.node.attributes["activation"] !== "linear") throw noForm(call.node, "with an activation");
    return convolved(call, graph, call.id("bias"));
  },
  MaxPool: pooled("MaxPool", {}),
  MaxPool3D: pooled("MaxPool", {}),
  ResizeBilinear: resized("linear"),
  ResizeNearestNeighbor: resized("nearest"),
};

function convolved({ id, node, shape }: LoweredNode, graph: GraphBuilder, bias?: ValueId): Name {
  const [x, filter] = [id("x"), id("filter")];
  const sizes = fixedShape(node, graph, filter);
  const spatial = sizes.length - 2;
  const kernel = turned(graph, graph.name(filter), [spatial + 1, spatial, ...range(spatial)]);
  const inputs = [channelsFirst(graph, x), kernel, ...(bias === undefined ? [] : [graph.name(bias)])];
  const attributes = windowAttributes(node, graph.value(x).shape, shape, sizes.slice(0, spatial));
  return channelsLast(graph, graph.add("Conv", inputs, attributes), shape.length);
}

/** A filter `[h, w, C, M]` as one of `C` groups, `[C * M, 1, h, w]`. */
function depthwise({ id, node, shape }: LoweredNode, graph: GraphBuilder): Name {
  const [x, filter] = [id("x"), id("filter")];
  const [height = 1, width = 1, channels = 1, multiplier = 1] = fixedShape(node, graph, filter);
  const ordered = turned(graph, graph.name(filter), [2, 3, 0, 1]);
  const groups = graph.add("Reshape", [ordered, graph.integers([channels * multiplier, 1, height, width])]);
  const attributes = windowAttributes(node, graph.value(x).shape, shape, [height, width]);
  const output = graph.add("Conv", [channelsFirst(graph, x), groups], { ...attributes, group: channels });
  return channelsLast(graph, output, shape.length);
}

/** The gradient of a convolution with respect to its input, a layer here: ConvTranspose. */
function transposedConvolution({ id, node, shape }: LoweredNode, graph: GraphBuilder): Name {
  const [dy, filter] = [id("dy"), id("filter")];
  const kernelShape = fixedShape(node, graph, filter).slice(0, 2);
  const strides = numbersOf(node, "strides");
  const input: readonly Size[] = graph.value(dy).shape.slice(1, 3);
  const output: readonly Size[] = shape.slice(1, 3);
  if (!isFixed(input) || !isFixed(output)) throw noForm(node, "of a size that depends on the batch");
  const extents = input.map(
    (size, axis) => (size - 1) * (strides[axis] ?? 1) + (kernelShape[axis] ?? 1) - (output[axis] ?? 1),
  );
  const isSame = node.attributes["pad"] === "same";
  const pads = extents.map((extent) => (isSame ? Math.max(0, extent) : 0));
  const more = extents.map((extent, axis) => (pads[axis] ?? 0) - extent);
  const turnedFilter = turned(graph, graph.name(filter), [3, 2, 0, 1]);
  const result = graph.add("ConvTranspose", [channelsFirst(graph, dy), turnedFilter], {
    kernel_shape: kernelShape,
    strides,
    pads: [...pads.map((pad) => Math.floor(pad / 2)), ...pads.map((pad) => Math.ceil(pad / 2))],
    output_padding: more.map((size) => Math.max(0, size)),
  });
  return channelsLast(graph, result, shape.length);
}

function pooled(opType: string, attributes: Readonly<Record<string, number>>): Lowering {
  return ({ id, node, shape }, graph) => {
    const given = numbersOf(node, "filterSize");
    const spatial = shape.length - 2;
    const sizes = given.length === spatial ? given : new Array<number>(spatial).fill(given[0] ?? 1);
    const x = id("x");
    const { dilations: _none, ...window } = windowAttributes(node, graph.value(x).shape, shape, sizes);
    const output = graph.add(opType, [channelsFirst(graph, x)], { ...window, ...attributes });
    return channelsLast(graph, output, shape.length);
  };
}

function resized(mode: "linear" | "nearest"): Lowering {
  return ({ id, node, shape }, graph) => {
    const [batch = 0, height = 0, width = 0, channels = 0] = shape;
    const coordinates = flagOf(node, "alignCorners")
      ? "align_corners"
      : flagOf(node, "halfPixelCenters")
        ? "half_pixel"
        : "asymmetric";
    const rounding = coordinates === "asymmetric" ? "floor" : "round_prefer_ceil";
    const output = graph.add(
      "Resize",
      [channelsFirst(graph, id("images")), "", "", graph.sizes([batch, channels, height, width])],
      {
        mode,
        coordinate_transformation_mode: coordinates,
        ...(mode === "nearest" && { nearest_mode: rounding }),
      },
    );
    return channelsLast(graph, output, shape.length);
  };
}

/** Kernel, strides, dilations and padding of a window in ONNX's words. */
function windowAttributes(
  node: ProgramNode,
  input: readonly Size[],
  output: readonly Size[],
  kernelShape: readonly number[],
): Record<string, readonly number[]> {
  const rank = kernelShape.length;
  const spread = (name: string): readonly number[] => {
    const given = node.attributes[name] === undefined ? [1] : numbersOf(node, name);
    return given.length === rank ? given : new Array<number>(rank).fill(given[0] ?? 1);
  };
  const strides = spread("strides");
  const dilations = spread("dilations");
  const [before, behind] = paddingOf(node, input.slice(1, -1), output.slice(1, -1), {
    kernelShape,
    strides,
    dilations,
  });
  return { kernel_shape: kernelShape, strides, dilations, pads: [...before, ...behind] };
}

/** Returns the padding before and behind each spatial axis. TensorFlow puts the odd position behind. */
function paddingOf(
  node: ProgramNode,
  input: readonly Size[],
  output: readonly Size[],
  window: Readonly<Record<"kernelShape" | "strides" | "dilations", readonly number[]>>,
): [number[], number[]] {
  const { pad } = node.attributes;
  if (pad === "valid" || pad === 0) return [input.map(() => 0), input.map(() => 0)];
  if (pad !== "same") throw noForm(node, `with padding ${JSON.stringify(pad)}`);
  if (!isFixed(input) || !isFixed(output)) throw noForm(node, "of a size that depends on the batch");
  const totals = input.map((size, axis) => {
    const [kernel = 1, stride = 1, dilation = 1] = [
      window.kernelShape[axis],
      window.strides[axis],
      window.dilations[axis],
    ];
    return Math.max(0, ((output[axis] ?? 1) - 1) * stride + (kernel - 1) * dilation + 1 - size);
  });
  return [totals.map((total) => Math.floor(total / 2)), totals.map((total) => Math.ceil(total / 2))];
}

function fixedShape(node: ProgramNode, graph: GraphBuilder, id: ValueId): readonly number[] {
  const { shape } = graph.value(id);
  if (isFixed(shape)) return shape;
  throw noForm(node, "with a filter that depends on the batch");
}

function channelsFirst(graph: GraphBuilder, id: ValueId): Name {
  const rank = graph.value(id).shape.length;
  return turned(graph, graph.name(id), [0, rank - 1, ...range(rank - 2).map((axis) => axis + 1)]);
}

function channelsLast(graph: GraphBuilder, name: Name, rank: number): Name {
  return turned(graph, name, [0, ...range(rank - 2).map((axis) => axis + 2), 1]);
}

function turned(graph: GraphBuilder, name: Name, perm: readonly number[]): Name {
  return graph.add("Transpose", [name], { perm });
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
