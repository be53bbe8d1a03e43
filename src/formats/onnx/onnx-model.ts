/** @file A program as an ONNX model file. */
import { KerasFileError } from "../../errors.ts";
import type { FormatWriteOptions } from "../write-options.ts";
import { declaredInput, dimensions } from "./declared-input.ts";
import { elementwiseLowerings } from "./elementwise.ts";
import { elementTypeOf, GraphBuilder, type Name } from "./graph-builder.ts";
import type { Lowering } from "./lowering.ts";
import { loweredNode, noForm } from "./lowering.ts";
import type { ValueInfo } from "./messages.ts";
import { encodeModel } from "./messages.ts";
import { normalizationLowerings } from "./normalization.ts";
import { reductionLowerings } from "./reductions.ts";
import { shapeLowerings } from "./shapes.ts";
import type { ProgramNode, TensorProgram } from "./tensor-program.ts";
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

export interface OnnxOptions extends Pick<FormatWriteOptions, "float16" | "layout" | "pixels"> {
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
  { metadata = {}, float16 = false, ...options }: OnnxOptions = {},
): Promise<Uint8Array> {
  const graph = new GraphBuilder(program, { float16 });
  const inputs = program.inputs.map((input) => declaredInput(graph, input, options));
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
