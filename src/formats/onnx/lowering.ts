/** @file The inputs and results of every translation of a kernel to ONNX. */
import { TopologyError } from "../../errors.ts";
import type { GraphBuilder, Name } from "./graph-builder.ts";
import type { ProgramNode, Size, ValueId } from "./tensor-program.ts";

/** Writes one operation into the graph and returns the names of its outputs. */
export type Lowering = (node: LoweredNode, graph: GraphBuilder) => Name | readonly Name[];

/** A node whose inputs and attributes are read with checks. */
export interface LoweredNode {
  readonly node: ProgramNode;
  /** Number of an input by its name. */
  id(name: string): ValueId;
  /** Numbers of all inputs, in order, of a kernel that takes a list. */
  readonly ids: readonly ValueId[];
  /** The shape of the first output. */
  readonly shape: readonly Size[];
}

export function loweredNode(node: ProgramNode): LoweredNode {
  return {
    node,
    id: (name) => {
      const id = node.inputs[name];
      if (id === undefined) throw new Error(`ONNX: ${node.kernel} without its input ${name}`);
      return id;
    },
    ids: Object.values(node.inputs),
    shape: node.outputs[0]?.shape ?? [],
  };
}

/** The error for an operation of a layer that ONNX, or this writer, has no form for. */
export function noForm({ layer, kernel }: ProgramNode, what: string): TopologyError {
  return new TopologyError(
    `${layer}: ONNX: expected operations that ONNX has, got ${kernel} ${what}. Keep the Keras file for this model.`,
    "no-onnx-form",
  );
}

/** A number among the attributes. */
export function numberOf({ attributes, kernel }: ProgramNode, name: string): number {
  const value = attributes[name];
  if (typeof value === "number") return value;
  throw new Error(`ONNX: ${kernel} without its number ${name}`);
}

/** A list of fixed numbers among the attributes; a lone number is a list of one. */
export function numbersOf(node: ProgramNode, name: string): readonly number[] {
  const value = node.attributes[name];
  const list = Array.isArray(value) ? value : [value];
  if (list.every((item): item is number => typeof item === "number")) return list;
  throw noForm(node, `whose ${name} depends on the batch size`);
}

/** Axes among the attributes, counted from the front; all of them where none are given. */
export function axesOf(node: ProgramNode, name: string, rank: number): readonly number[] {
  const value = node.attributes[name];
  if (value === undefined || value === null) return Array.from({ length: rank }, (_, axis) => axis);
  return numbersOf(node, name).map((axis) => (axis < 0 ? axis + rank : axis));
}

export function flagOf({ attributes }: ProgramNode, name: string): boolean {
  return attributes[name] === true;
}
