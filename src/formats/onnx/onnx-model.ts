/** @file A program as an ONNX model file. */
import { KerasFileError } from "../../errors.ts";
import type { DType } from "../../tensor.ts";
import { elementwiseLowerings } from "./elementwise.ts";
import { elementTypeOf, GraphBuilder, isFixed, type Name } from "./graph-builder.ts";
import type { Lowering } from "./lowering.ts";
import { loweredNode, noForm } from "./lowering.ts";
import type { Dimension, ValueInfo } from "./messages.ts";
import { dataType, encodeModel } from "./messages.ts";
import { normalizationLowerings } from "./normalization.ts";
import { reductionLowerings } from "./reductions.ts";
import { shapeLowerings } from "./shapes.ts";
import type { ProgramNode, ProgramValue, TensorProgram } from "./tensor-program.ts";
import { windowLowerings } from "./windows.ts";

/** The operator set that is written: every runtime since 2022 has it. */
export const opset = 17;

/** A protobuf message cannot be larger. */
const largest = 2 ** 31 - 1;

const lowerings: ReadonlyMap<string, Lowering> = new Map(
  [elementwiseLowerings, normalizationLowerings, reductionLowerings, shapeLowerings, windowLowerings].flatMap(
    (family) => Object.entries(family),
  ),
);

/** The kernels that ONNX has a form for. */
export const onnxKernels: ReadonlySet<string> = new Set(lowerings.keys());

export interface OnnxOptions {
  /** Order of the axes of image inputs: NHWC as Keras has them (the default), or NCHW. */
  readonly layout?: "nhwc" | "nchw";
  /** Texts that travel with the model: labels, preprocessing. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Returns the bytes of an ONNX model that computes the program. The first axis of inputs and outputs that grows with the batch is
 * named `batch`.
 * @throws {TopologyError} naming the layer that has no ONNX form. @throws {KerasFileError} for a model of 2 GiB and more.
 */
export async function onnxModel(
  program: TensorProgram,
  { layout = "nhwc", metadata = {} }: OnnxOptions = {},
): Promise<Uint8Array> {
  const graph = new GraphBuilder(program);
  const inputs = program.inputs.map((input) => declaredInput(graph, input, layout));
  for (const node of usedNodes(program)) lower(node, graph);
  const outputs = program.outputs.map((output): ValueInfo => {
    const name = graph.unique(graph.isFree(output.name) ? output.name : `${output.name}_output`);
    graph.rename(graph.name(output.id), name);
    return { name, elementType: elementTypeOf(output.dtype), shape: dimensions(output.shape) };
  });
  const bytes = await encodeModel({
    producerName: "keras-finetune",
    producerVersion: "",
    opset,
    graph: { name: program.name, node: graph.nodes, initializer: graph.initializers, inputs, outputs },
    metadata,
  });
  if (bytes.length <= largest) return bytes;
  throw new KerasFileError(
    `${program.name}: ONNX: expected a model of less than 2 GiB, got ${bytes.length.toLocaleString("en-US")} bytes. Write another format.`,
    "size",
  );
}

function lower(node: ProgramNode, graph: GraphBuilder): void {
  const lowering = lowerings.get(node.kernel);
  if (!lowering) throw noForm(node, "");
  graph.startLayer(node.layer);
  const result = lowering(loweredNode(node), graph);
  const names: readonly Name[] = typeof result === "string" ? [result] : result;
  node.outputs.forEach((output, index) => {
    graph.bind(output.id, names[index] ?? "");
  });
}

/** The nodes that an output depends on. */
function usedNodes({ nodes, outputs }: TensorProgram): readonly ProgramNode[] {
  const wanted = new Set(outputs.map(({ id }) => id));
  const used = new Set<ProgramNode>();
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some(({ id }) => wanted.has(id))) continue;
    used.add(node);
    for (const id of Object.values(node.inputs)) wanted.add(id);
  }
  return nodes.filter((node) => used.has(node));
}

/** Types of inputs that are whole numbers in the model; every other input is float32, as the program computes. */
const inputTypes: Readonly<Partial<Record<DType, number>>> = {
  uint8: dataType.uint8,
  int8: dataType.int8,
  int16: dataType.int16,
  int32: dataType.int32,
  int64: dataType.int64,
  bool: dataType.bool,
};

/** Declares an input in the model's dtype and the layout asked for, and turns it into what the program computes on. */
function declaredInput(
  graph: GraphBuilder,
  { id, name, shape, dtype, declared }: TensorProgram["inputs"][number],
  layout: "nhwc" | "nchw",
): ValueInfo {
  graph.startLayer(name);
  const input = graph.name(id);
  const elementType = inputTypes[declared] ?? elementTypeOf(dtype);
  const isCast = elementType !== elementTypeOf(dtype);
  if (isCast) graph.bind(id, graph.add("Cast", [input], { to: elementTypeOf(dtype) }));
  const info = { name: input, elementType, shape: dimensions(shape) };
  const [batch, height, width, channels] = info.shape;
  if (layout === "nhwc" || shape.length !== 4) return info;
  graph.bind(id, graph.add("Transpose", [graph.name(id)], { perm: [0, 2, 3, 1] }));
  return { ...info, shape: [batch, channels, height, width] as Dimension[] };
}

function dimensions(shape: ProgramValue["shape"]): Dimension[] {
  if (isFixed(shape)) return [...shape];
  return shape.map((size, axis) => {
    if (typeof size === "number") return size;
    return size.perSample === 1 && size.fixed === 0 ? "batch" : `batch_${axis}`;
  });
}
