/** @file The TensorFlow operations that a computation calls, as nodes of a graph. */
import type { NativeBackend, NativeBinding, NativeTensor, OpAttribute } from "../native-engine.ts";
import { nativeBackend } from "../native-engine.ts";
import type { tf } from "../tf.ts";
import type { Graph } from "./embedded-graph.ts";
import { embeddedGraph } from "./embedded-graph.ts";
import type { AttributeMessage, GraphNode } from "./graph-messages.ts";

/** The operations that a computation has called so far. */
export interface Recorder {
  /** The operations in running order, each of which reads names that were given, `constants`, or operations before it. */
  readonly nodes: readonly GraphNode[];
  /** The values that the computation made itself, such as the number of an axis. */
  readonly constants: readonly GraphNode[];
  /** Lets a tensor stand for a name from now on. */
  give(tensor: tf.Tensor, name: string): void;
  /** Returns the name of a tensor's value. @throws {Error} if the computation neither made it nor was given it. */
  nameOf(tensor: tf.Tensor): string;
  /** Returns TensorFlow's number of the data type of a value. */
  typeOf(name: string): number;
  shapeOf(name: string): readonly number[];
}

/** A recorder that takes up several computations, one after the other. */
export interface OpenRecorder extends Recorder {
  /**
   * Runs a computation on the native engine and records the operations that it calls. It may read the tensors that it gives to the
   * recorder and those that it or an earlier one made, and must not look at values.
   */
  within<T>(compute: () => T): T;
  /** Runs something in the midst of such a computation that is no part of it: its operations are not recorded. */
  apart<T>(compute: () => T): T;
  /** Takes up a graph that ran in the midst of such a computation on tensors of these ids: its nodes become part of the recording. */
  embed(graph: Graph, inputIds: readonly number[], results: readonly NativeTensor[]): void;
}

/** Operations of TensorFlow whose results differ from run to run. */
const draws = /Random|Multinomial|TruncatedNormal|Fractional/;
/** Operations of a computation: TensorFlow takes minutes to prepare a graph of more. */
const mostOperations = 10_000;

const running = new WeakMap<NativeBackend, OpenRecorder>();

/** Returns the recorder whose computation is running. */
export function runningRecorder(backend: NativeBackend): OpenRecorder | undefined {
  return running.get(backend);
}

/** Returns true within a computation that is recorded as a graph, which must not look at values. */
export function isPartOfGraph(): boolean {
  const backend = nativeBackend();
  return backend !== undefined && running.has(backend);
}

/** Runs one computation and records it as `OpenRecorder.within` does. */
export function recordOperations<T>(backend: NativeBackend, compute: (recorder: Recorder) => T): T {
  const recorder = operationRecorder(backend);
  return recorder.within(() => compute(recorder));
}

/** Returns a recorder that has recorded nothing yet. */
export function operationRecorder(backend: NativeBackend): OpenRecorder {
  const { binding } = backend;
  const names = new Map<number, string>();
  const types = new Map<string, number>();
  const shapes = new Map<string, readonly number[]>();
  const nodes: GraphNode[] = [];
  const constants: GraphNode[] = [];
  const named = (id: number): string => {
    const name = names.get(id);
    if (name === undefined) throw notGiven();
    return name;
  };
  const idOf = (tensor: tf.Tensor): number => backend.getInputTensorIds([tensor])[0] ?? -1;
  /** Lets values that have been computed stand for names. */
  const keep = (results: readonly NativeTensor[], nameAt: (index: number) => string): void => {
    results.forEach(({ id, dtype, shape }, index) => {
      const value = nameAt(index);
      names.set(id, value);
      types.set(value, dtype);
      shapes.set(value, shape);
    });
  };
  const requireRoom = (): void => {
    if (nodes.length >= mostOperations) throw new Error(`graph: more than ${mostOperations} operations`);
  };
  const executeOp: NativeBinding["executeOp"] = (op, attributes, inputs, outputs) => {
    if (draws.test(op)) throw new Error(`graph: ${op} draws numbers`);
    requireRoom();
    const name = `operation${nodes.length}`;
    const attr = Object.fromEntries(attributes.map((each) => [each.name, attributeMessage(binding, each)]));
    nodes.push({ name, op, input: inputs.map(named), attr });
    const results = binding.executeOp(op, attributes, inputs, outputs);
    keep(results, (index) => (index === 0 ? name : `${name}:${index}`));
    return results;
  };
  const createTensor: NativeBinding["createTensor"] = (shape, dtype, values) => {
    const name = `constant${constants.length}`;
    constants.push(constantNode(name, dtype, shape, values));
    const id = binding.createTensor(shape, dtype, values);
    names.set(id, name);
    types.set(name, dtype);
    return id;
  };
  const tensorDataSync = (): never => {
    throw new Error("graph: a computation looks at values");
  };
  const holder: Changeable = backend;
  const { write, getInputTensorIds } = backend;
  const made = new WeakSet<object>();
  const recording: Changeable = {
    write: (...tensor) => {
      const dataId = write.apply(backend, tensor);
      made.add(dataId);
      return dataId;
    },
    // Values that are not yet with the binding would become constants of the graph, whoever made them.
    getInputTensorIds: (tensors) => {
      for (const { dataId } of tensors) {
        if (backend.tensorMap.get(dataId).values !== null && !made.has(dataId)) throw notGiven();
      }
      return getInputTensorIds.call(backend, tensors);
    },
    binding: Object.create(binding, {
      executeOp: { value: executeOp },
      createTensor: { value: createTensor },
      tensorDataSync: { value: tensorDataSync },
    }) as NativeBinding,
  };
  const plain: Changeable = { binding, write, getInputTensorIds };
  /** Computes while this recorder runs, or apart from it. */
  const as = <T>(isRecorded: boolean, compute: () => T): T => {
    const change = (toRecorded: boolean): void => {
      Object.assign(holder, toRecorded ? recording : plain);
      if (toRecorded) running.set(backend, recorder);
      else running.delete(backend);
    };
    change(isRecorded);
    try {
      return compute();
    } finally {
      change(!isRecorded);
    }
  };
  const recorder: OpenRecorder = {
    nodes,
    constants,
    give: (tensor, name) => {
      names.set(idOf(tensor), name);
      types.set(name, typeNumber(binding, tensor.dtype));
      shapes.set(name, tensor.shape);
    },
    nameOf: (tensor) => named(idOf(tensor)),
    typeOf: (name) => types.get(name) ?? binding.TF_FLOAT,
    shapeOf: (name) => shapes.get(name) ?? [],
    within: (compute) => as(true, compute),
    apart: (compute) => as(false, compute),
    embed: (graph, inputIds, results) => {
      requireRoom();
      const embedded = embeddedGraph(graph, `graph${nodes.length}`, inputIds.map(named));
      nodes.push(...embedded.nodes);
      keep(results, (index) => embedded.results[index] ?? "");
    },
  };
  return recorder;
}

/** The parts of a backend that are replaced while operations are recorded. */
type Changeable = { -readonly [Name in "binding" | "write" | "getInputTensorIds"]: NativeBackend[Name] };

function typeNumber(binding: NativeBinding, dtype: string): number {
  switch (dtype) {
    case "bool":
      return binding.TF_BOOL;
    case "int32":
      return binding.TF_INT32;
    case "float32":
      return binding.TF_FLOAT;
  }
  throw new Error(`graph: a tensor of ${dtype}`);
}

function notGiven(): Error {
  return new Error("graph: a computation reads a tensor that it is not given");
}

/** Returns a node whose value is fixed. */
export function constantNode(
  name: string,
  dtype: number,
  shape: readonly number[],
  values: ArrayBufferView,
): GraphNode {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const tensorShape = { dim: shape.map((size) => ({ size })) };
  const tensor = { dtype, tensorShape, tensorContent: bytes.slice() };
  return { name, op: "Const", input: [], attr: { dtype: { type: dtype }, value: { tensor } } };
}

function attributeMessage(binding: NativeBinding, { name, type, value }: OpAttribute): AttributeMessage {
  const isList = Array.isArray(value);
  if (isList && type !== binding.TF_ATTR_INT && type !== binding.TF_ATTR_SHAPE)
    throw new Error(`graph: an attribute ${name} of several values`);
  switch (type) {
    case binding.TF_ATTR_TYPE:
      return { type: value as number };
    case binding.TF_ATTR_BOOL:
      return { b: value as boolean };
    case binding.TF_ATTR_FLOAT:
      return { f: value as number };
    case binding.TF_ATTR_INT:
      return isList ? { list: { i: value as readonly number[] } } : { i: value as number };
    case binding.TF_ATTR_STRING:
      if (typeof value === "string") return { s: new TextEncoder().encode(value) };
      break;
    case binding.TF_ATTR_SHAPE:
      return { shape: { dim: (value as readonly number[]).map((size) => ({ size })) } };
  }
  throw new Error(`graph: an attribute ${name} of a kind that is not known`);
}
