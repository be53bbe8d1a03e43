/** @file The inputs of an ONNX model: what is declared, and what it becomes before the first operation. */
import type { DType } from "../../tensor.ts";
import type { FormatWriteOptions, PixelSteps } from "../write-options.ts";
import type { GraphBuilder, Name } from "./graph-builder.ts";
import { elementTypeOf, isFixed } from "./graph-builder.ts";
import type { Dimension, ValueInfo } from "./messages.ts";
import { dataType } from "./messages.ts";
import type { ProgramValue, TensorProgram } from "./tensor-program.ts";

/** Types of inputs that are whole numbers in the model; every other input is float32, as the program computes. */
const inputTypes: Readonly<Partial<Record<DType, number>>> = {
  uint8: dataType.uint8,
  int8: dataType.int8,
  int16: dataType.int16,
  int32: dataType.int32,
  int64: dataType.int64,
  bool: dataType.bool,
};

/** Declares an input in the model's dtype and the layout asked for, and turns it into what the program computes on: pixels too, if told how. */
export function declaredInput(
  graph: GraphBuilder,
  { id, name, shape, dtype, declared }: TensorProgram["inputs"][number],
  { layout = "nhwc", pixels }: Pick<FormatWriteOptions, "layout" | "pixels">,
): ValueInfo {
  graph.startLayer(name);
  const input = graph.name(id);
  const elementType = inputTypes[declared] ?? elementTypeOf(dtype);
  const isCast = elementType !== elementTypeOf(dtype);
  if (isCast) graph.bind(id, graph.add("Cast", [input], { to: elementTypeOf(dtype) }));
  const info = { name: input, elementType, shape: dimensions(shape) };
  const [batch, height, width, channels] = info.shape;
  const isTurned = layout === "nchw" && shape.length === 4;
  if (isTurned) graph.bind(id, graph.add("Transpose", [graph.name(id)], { perm: [0, 2, 3, 1] }));
  if (pixels) graph.bind(id, preparedPixels(graph, graph.name(id), pixels));
  return isTurned ? { ...info, shape: [batch, channels, height, width] as Dimension[] } : info;
}

/** Writes the steps from pixels of 0 to 255, channels last, to what the model was trained on. */
function preparedPixels(
  graph: GraphBuilder,
  pixels: Name,
  { isReversed, divisor, mean, std }: PixelSteps,
): Name {
  const isChanged = (values: readonly number[], neutral: number): boolean =>
    values.some((value) => value !== neutral);
  let x = pixels;
  if (isReversed) x = graph.add("Gather", [x, graph.integers([2, 1, 0])], { axis: -1 });
  if (divisor !== 1) x = graph.add("Div", [x, graph.floats([divisor])]);
  if (isChanged(mean, 0)) x = graph.add("Sub", [x, graph.floats(mean)]);
  return isChanged(std, 1) ? graph.add("Div", [x, graph.floats(std)]) : x;
}

/** Returns a shape as ONNX declares it, with a name for each size that grows with the batch. */
export function dimensions(shape: ProgramValue["shape"]): Dimension[] {
  if (isFixed(shape)) return [...shape];
  return shape.map((size, axis) => {
    if (typeof size === "number") return size;
    return size.perSample === 1 && size.fixed === 0 ? "batch" : `batch_${axis}`;
  });
}
