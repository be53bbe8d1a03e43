/** @file A model as plain operations, found by running it: every layer and operation that can be computed can be traced. */

import type { Checkpoint, Weights } from "../checkpoint.ts";
import { ensureEngine } from "../engine/backend.ts";
import { tf } from "../engine/tf.ts";
import type { Trace, TracedId, TracedTensor } from "../engine/trace.ts";
import { traceKernels } from "../engine/trace.ts";
import { whereReadAtOnce } from "../engine/webgpu/elsewhere.ts";
import { TopologyError } from "../errors.ts";
import type {
  ProgramConstant,
  ProgramValue,
  Size,
  TensorProgram,
  ValueType,
} from "../formats/onnx/tensor-program.ts";
import { optionSetTo } from "../options.ts";
import type { DType } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { GraphEndpoint, LayerGraph } from "../topology/layer-graph.ts";
import { requireSupported } from "../topology/support.ts";
import { inferenceProgram } from "./inference-program.ts";
import type { Program } from "./program.ts";
import type { ContextOf } from "./run-program.ts";
import { runProgram } from "./run-program.ts";
import { disposeWeights, uploadWeights } from "./uploads.ts";

export interface TraceProgramOptions {
  /** Kernels that the reader of the program knows. Any other is decomposed. */
  readonly kernels: ReadonlySet<string>;
  /** `[height, width]` in pixels for inputs whose image size is free. */
  readonly imageSize?: readonly [number, number] | undefined;
}

/** The batch sizes of the two runs: what differs between them grows with the batch. */
const batchSizes = [2, 3] as const;

/**
 * Returns the model in inference form as operations on tensors. It runs twice, on two and on three samples; what differs is the
 * batch.
 * @throws {TopologyError} for a free size besides the batch, and, naming the layer, where operations depend on values.
 */
export async function traceProgram(
  checkpoint: Checkpoint,
  options: TraceProgramOptions,
): Promise<TensorProgram> {
  await ensureEngine();
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  const { program, weights, contextOf } = inferenceProgram(graph, checkpoint.weights);
  const inputs = graph.inputs.map(({ name, ref }) => {
    const declared = graph.nodes[ref.node]?.outputs[ref.output]?.dtype;
    return {
      name,
      declared: declared === "string" || declared === undefined ? ("float32" as const) : declared,
    };
  });
  const traced = { name: graph.name, inputs, outputs: graph.outputs.map(({ name }) => name) };
  return tracedTwice({ ...traced, program, weights, contextOf }, options.kernels, (samples) =>
    graph.inputs.map((input) => tf.zeros<tf.Rank>(inputShape(graph, input, samples, options.imageSize))),
  );
}

/** A program that is traced, with the weights that it runs on. */
export interface TracedPart {
  readonly name: string;
  /** The program's inputs in order, with the data type that the model declares. */
  readonly inputs: readonly { readonly name: string; readonly declared: DType }[];
  /** Names of the program's outputs in order. */
  readonly outputs: readonly string[];
  readonly program: Program;
  readonly weights: Weights;
  readonly contextOf: ContextOf;
}

/**
 * Returns a part of a model as operations on tensors, the batch free. It runs twice, on what `feedsOf` gives for two and for three samples.
 * @throws {TopologyError} naming the layer where operations depend on values.
 */
export function tracedTwice(
  part: TracedPart,
  kernels: ReadonlySet<string>,
  feedsOf: (samples: number) => readonly tf.Tensor[],
): TensorProgram {
  const [first, second] = batchSizes.map((samples) =>
    whereReadAtOnce(() => tracedRun(part, feedsOf(samples), kernels)),
  );
  return merged(part, first!, second!);
}

interface TracedRun {
  readonly trace: Trace;
  readonly inputs: readonly TracedTensor[];
  /** Names of the weights among the constants. */
  readonly weights: ReadonlyMap<TracedId, string>;
}

/** Runs the part on feeds, which it disposes. */
function tracedRun(
  { program, weights: values, contextOf }: TracedPart,
  feeds: readonly tf.Tensor[],
  kernels: ReadonlySet<string>,
): TracedRun {
  const weights = uploadWeights(
    values,
    program.nodes.map((node) => node.layer),
  );
  const names = [...weights].flatMap(([path, layer]) =>
    Object.entries(layer).map(([name, { id }]) => [id, `${path}/${name}`] as const),
  );
  // The kernel call that it interrupts puts the layer before the message.
  const refuse = (expected: string, got: string): never => {
    throw new TopologyError(
      `ONNX: expected operations that ${expected}, got ${got}. Remove the layer, or keep the Keras file for it.`,
      "not-traceable",
    );
  };
  let results: readonly tf.Tensor[] = [];
  try {
    const trace = traceKernels(
      (section) => {
        results = runProgram(program, feeds, weights, (node, layer) => {
          section(layer.path);
          return { ...contextOf(node, layer), isTraced: true };
        });
        return results;
      },
      {
        sources: feeds,
        known: kernels,
        onRead: () => refuse("do not depend on values", "one that looks at them while it runs"),
        onUnknown: (kernel) => refuse("have an ONNX form", kernel),
      },
    );
    return {
      trace,
      inputs: feeds.map(({ id, shape, dtype }) => ({ id, shape, dtype })),
      weights: new Map(names),
    };
  } finally {
    tf.dispose([...feeds, ...results]);
    disposeWeights(weights);
  }
}

function inputShape(
  graph: LayerGraph,
  { name, ref }: GraphEndpoint,
  samples: number,
  imageSize: readonly [number, number] | undefined,
): number[] {
  const { shape, dtype } = graph.nodes[ref.node]?.outputs[ref.output] ?? { shape: null, dtype: "float32" };
  const [batch, ...rest] = shape ?? [];
  const isImage = rest.length === 3 && rest[0] === null && rest[1] === null && imageSize !== undefined;
  const sizes = isImage ? [...imageSize, rest[2] ?? null] : rest;
  if (shape === null || dtype === "string" || sizes.some((size) => size === null)) {
    throw new TopologyError(
      `${name}: ONNX: expected an input of numbers with every size but the batch fixed, got ${dtype} [${(shape ?? ["?"]).map((size) => size ?? "None").join(",")}]. ` +
        (rest.length === 3
          ? `Give its image size, ${optionSetTo("imageSize", 224)}.`
          : "Save the model with a fixed input shape."),
      "free-size",
    );
  }
  return [batch ?? samples, ...(sizes as number[])];
}

/** Puts two runs together. @throws {TopologyError} where they differ in more than the batch. */
function merged(part: TracedPart, first: TracedRun, second: TracedRun): TensorProgram {
  const [a, b] = [first.trace, second.trace];
  const pair = (one: TracedTensor, two: TracedTensor): ProgramValue => ({
    id: one.id,
    shape: one.shape.map((size, axis) => sizeOf(size, two.shape[axis] ?? size)),
    dtype: valueType(one.dtype),
  });
  const inputs = first.inputs.map((input, index) => ({
    ...pair(input, second.inputs[index]!),
    ...part.inputs[index]!,
  }));
  const constants = new Map<TracedId, ProgramConstant>();
  const addConstant = (id: TracedId, twin: TracedId | undefined, layer: string): void => {
    const [one, two] = [a.constants.get(id), twin === undefined ? undefined : b.constants.get(twin)];
    if (!one || constants.has(id)) return;
    if (!two || one.shape.length !== two.shape.length) throw unlike(layer);
    const weight = first.weights.get(id);
    const value = { ...pair(one, two), values: one.values, ...(weight !== undefined && { weight }) };
    const grows = value.shape.some((size) => typeof size !== "number");
    if (!grows && !one.values.every((entry, index) => Object.is(entry, two.values[index])))
      throw unlike(layer);
    constants.set(id, value);
  };
  if (a.calls.length !== b.calls.length) throw unlike(firstDifference(a, b));
  const nodes = a.calls.map((call, index) => {
    const twin = b.calls[index]!;
    if (call.kernel !== twin.kernel || call.section !== twin.section) throw unlike(call.section);
    for (const [name, id] of Object.entries(call.inputs)) addConstant(id, twin.inputs[name], call.section);
    return {
      kernel: call.kernel,
      inputs: call.inputs,
      attributes: mergedValue(call.attributes, twin.attributes) as Record<string, unknown>,
      outputs: call.outputs.map((output, position) => pair(output, twin.outputs[position]!)),
      layer: call.section,
    };
  });
  const outputs = a.outputs.map((output, index) => {
    const name = part.outputs[index]!;
    addConstant(output.id, b.outputs[index]!.id, name);
    return { ...pair(output, b.outputs[index]!), name };
  });
  return { name: part.name, inputs, outputs, nodes, constants };
}

function firstDifference(a: Trace, b: Trace): string {
  const index = a.calls.findIndex((call, position) => call.kernel !== b.calls[position]?.kernel);
  return (a.calls[index] ?? b.calls.at(-1))?.section ?? "model";
}

function unlike(layer: string): TopologyError {
  return new TopologyError(
    `${layer}: ONNX: expected the same operations for every batch size, got others. It computes sample by sample; keep the Keras file for it.`,
    "not-traceable",
  );
}

function valueType(dtype: string): ValueType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new TopologyError(`model: ONNX: expected numbers, got ${dtype}.`, "not-traceable");
}

/** The size as a function of the batch, from what it is for each of the two batches. */
function sizeOf(one: number, two: number): Size {
  if (one === two) return one;
  const [samples, more] = batchSizes;
  const perSample = (two - one) / (more - samples);
  return { perSample, fixed: one - samples * perSample };
}

function mergedValue(one: unknown, two: unknown): unknown {
  if (typeof one === "number" && typeof two === "number") return sizeOf(one, two);
  if (Array.isArray(one) && Array.isArray(two)) {
    return one.map((item, index) => mergedValue(item, two[index]));
  }
  if (typeof one === "object" && one !== null && typeof two === "object" && two !== null) {
    const others = new Map(Object.entries(two));
    return Object.fromEntries(
      Object.entries(one).map(([key, value]) => [key, mergedValue(value, others.get(key))]),
    );
  }
  return one;
}
