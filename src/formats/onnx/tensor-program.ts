/** @file A model as plain operations on tensors, with the batch left free: what an ONNX graph is written from. */
import type { DType, TensorData } from "../../tensor.ts";

/** A size that is fixed, or one that grows with the batch: `samples * perSample + fixed`. */
export type Size = number | { readonly perSample: number; readonly fixed: number };

/** A value in the program, by number. */
export type ValueId = number;

export type ValueType = "float32" | "int32" | "bool";

export interface ProgramValue {
  readonly id: ValueId;
  readonly shape: readonly Size[];
  readonly dtype: ValueType;
}

/** A value that does not depend on the inputs. One whose shape grows with the batch holds the values of `samples` samples. */
export interface ProgramConstant extends ProgramValue {
  readonly values: TensorData;
  /** The weight that it is, `conv1/kernel`; absent for what a layer computed. */
  readonly weight?: string;
}

/** One operation, in tfjs's vocabulary of kernels: `Conv2D`, `Add`, `Reshape`. */
export interface ProgramNode {
  readonly kernel: string;
  /** Inputs by tfjs's names (`x`, `filter`; `a`, `b`), or `"0"`, `"1"`, … of a kernel that takes a list. */
  readonly inputs: Readonly<Record<string, ValueId>>;
  /** The kernel's attributes; a number that grows with the batch is a `Size`. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly outputs: readonly ProgramValue[];
  /** Path of the layer that it computes. */
  readonly layer: string;
}

export interface TensorProgram {
  readonly name: string;
  /** Each input with its name and the dtype that the model declares; the program computes on it as `dtype`. */
  readonly inputs: readonly (ProgramValue & { readonly name: string; readonly declared: DType })[];
  readonly outputs: readonly (ProgramValue & { readonly name: string })[];
  readonly nodes: readonly ProgramNode[];
  readonly constants: ReadonlyMap<ValueId, ProgramConstant>;
}
