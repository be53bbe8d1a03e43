/** @file Operations in ONNX that move values about and change shapes. */
import type { GraphBuilder, Name } from "./graph-builder.ts";
import type { LoweredNode, Lowering } from "./lowering.ts";
import { axesOf, noForm, numberOf, numbersOf } from "./lowering.ts";
import type { Size } from "./tensor-program.ts";

/** Larger than every size: a slice to the end of an axis. */
const toTheEnd = 2 ** 31 - 1;

/** A reshape to the output's shape. */
const reshaped: Lowering = ({ id, node, shape }, graph) =>
  graph.add("Reshape", [
    graph.name(id(node.inputs["x"] === undefined ? "input" : "x")),
    graph.targetShape(shape),
  ]);

/** A tensor of one value, in the output's shape and dtype. */
const filledWith =
  (value: number): Lowering =>
  ({ node, shape }, graph) =>
    graph.filled(value, shape, node.outputs[0]?.dtype ?? "float32");

export const shapeLowerings: Readonly<Record<string, Lowering>> = {
  BroadcastTo: ({ id, shape }, graph) => graph.add("Expand", [graph.name(id("x")), graph.sizes(shape)]),
  Concat: ({ ids, node, shape }, graph) => {
    const [axis = 0] = axesOf(node, "axis", shape.length);
    return graph.add(
      "Concat",
      ids.map((id) => graph.name(id)),
      { axis },
    );
  },
  ExpandDims: reshaped,
  GatherNd: ({ id }, graph) => {
    const indices = graph.add("Cast", [graph.name(id("indices"))], { to: 7 });
    return graph.add("GatherND", [graph.name(id("params")), indices]);
  },
  GatherV2: ({ id, node }, graph) => {
    if (numberOf(node, "batchDims") !== 0) throw noForm(node, "with batch dimensions");
    const x = id("x");
    const [axis = 0] = axesOf(node, "axis", graph.value(x).shape.length);
    return graph.add("Gather", [graph.name(x), graph.name(id("indices"))], { axis });
  },
  MirrorPad: ({ id, node }, graph) => {
    if (node.attributes["mode"] !== "reflect") throw noForm(node, "that mirrors the border too");
    const pads = graph.integers(padsOf(node.attributes["paddings"]));
    return graph.add("Pad", [graph.name(id("x")), pads], { mode: "reflect" });
  },
  OneHot: ({ id, node }, graph) => {
    const values = ["offValue", "onValue"].map((name) => numberOf(node, name));
    const depth = graph.integers([numberOf(node, "depth")]);
    const dtype = node.outputs[0]?.dtype;
    const hot = graph.add("OneHot", [graph.name(id("indices")), depth, graph.floats(values)], { axis: -1 });
    return dtype === "int32" ? graph.add("Cast", [hot], { to: 6 }) : hot;
  },
  OnesLike: filledWith(1),
  Pack: ({ ids, node, shape }, graph) => {
    const [axis = 0] = axesOf(node, "axis", shape.length);
    const axes = graph.integers([axis]);
    const parts = ids.map((id) => graph.add("Unsqueeze", [graph.name(id), axes]));
    return graph.add("Concat", parts, { axis });
  },
  PadV2: ({ id, node }, graph) => {
    const pads = graph.integers(padsOf(node.attributes["paddings"]));
    const { dtype } = graph.value(id("x"));
    const value = graph.scalar(numberOf(node, "constantValue"), dtype);
    return graph.add("Pad", [graph.name(id("x")), pads, value]);
  },
  Reshape: reshaped,
  Reverse: ({ id, node, shape }, graph) => {
    const axes = axesOf(node, "dims", shape.length);
    const all = (value: number): Name => graph.integers(axes.map(() => value));
    return graph.add("Slice", [graph.name(id("x")), all(-1), all(-toTheEnd), graph.integers(axes), all(-1)]);
  },
  Slice: sliced,
  SplitV: ({ id, node }, graph) => {
    const x = id("x");
    const [axis = 0] = axesOf(node, "axis", graph.value(x).shape.length);
    const parts = node.outputs.map(({ shape }) => shape[axis] ?? 0);
    return graph.addMany("Split", [graph.name(x), graph.sizes(parts)], { axis }, parts.length);
  },
  StridedSlice: stridedSliced,
  Tile: ({ id, node }, graph) =>
    graph.add("Tile", [graph.name(id("x")), graph.sizes(node.attributes["reps"] as readonly Size[])]),
  Transpose: ({ id, node }, graph) =>
    graph.add("Transpose", [graph.name(id("x"))], { perm: numbersOf(node, "perm") }),
  Unpack: ({ id, node }, graph) => {
    const value = id("value");
    const [axis = 0] = axesOf(node, "axis", graph.value(value).shape.length);
    const ones = graph.integers(node.outputs.map(() => 1));
    const parts = graph.addMany("Split", [graph.name(value), ones], { axis }, node.outputs.length);
    return parts.map((part) => graph.add("Squeeze", [part, graph.integers([axis])]));
  },
  ZerosLike: filledWith(0),
};

function sliced({ id, node, shape }: LoweredNode, graph: GraphBuilder): Name {
  const begins = node.attributes["begin"] as readonly Size[] | Size;
  const starts = Array.isArray(begins) ? (begins as readonly Size[]) : [begins as Size];
  const ends = shape.map((size, axis): Size => sum(starts[axis] ?? 0, size));
  const axes = graph.integers(shape.map((_, axis) => axis));
  const full = shape.map((_, axis) => starts[axis] ?? 0);
  return graph.add("Slice", [graph.name(id("x")), graph.sizes(full), graph.sizes(ends), axes]);
}

function sum(a: Size, b: Size): Size {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const [one, two] = [a, b].map((size) => (typeof size === "number" ? { perSample: 0, fixed: size } : size));
  return {
    perSample: (one?.perSample ?? 0) + (two?.perSample ?? 0),
    fixed: (one?.fixed ?? 0) + (two?.fixed ?? 0),
  };
}

/** A slice by fixed bounds and steps that keeps every axis. */
function stridedSliced({ id, node }: LoweredNode, graph: GraphBuilder): Name {
  const masks = ["ellipsisMask", "newAxisMask", "shrinkAxisMask"].filter((name) => node.attributes[name]);
  if (masks.length > 0) throw noForm(node, `with ${masks[0]}`);
  const { shape } = graph.value(id("x"));
  const [begin, end, strides] = ["begin", "end", "strides"].map((name) => numbersOf(node, name));
  const [beginMask, endMask] = [numberOf(node, "beginMask"), numberOf(node, "endMask")];
  const starts = (begin ?? []).map((at, axis) =>
    beginMask & (1 << axis) ? ((strides?.[axis] ?? 1) > 0 ? 0 : -1) : at,
  );
  const ends = (end ?? []).map((at, axis) =>
    endMask & (1 << axis) ? ((strides?.[axis] ?? 1) > 0 ? toTheEnd : -toTheEnd) : at,
  );
  const axes = starts.map((_, axis) => axis);
  if (starts.length > shape.length) throw noForm(node, "with more bounds than axes");
  return graph.add("Slice", [
    graph.name(id("x")),
    graph.integers(starts),
    graph.integers(ends),
    graph.integers(axes),
    graph.integers(strides ?? []),
  ]);
}

/** ONNX's order: what is added before each axis, then what is added behind each. */
function padsOf(paddings: unknown): number[] {
  const pairs = paddings as readonly (readonly [number, number])[];
  return [...pairs.map(([before]) => before), ...pairs.map(([, behind]) => behind)];
}
