/** @file The operands of keras.ops: tensors, constants, and lists of them. */
import { tf } from "../../engine/tf.ts";
import { TopologyError } from "../../errors.ts";
import type { Tuple } from "../../tensor.ts";
import type { Kernel, KernelArgument, KernelCall } from "../kernel.ts";

/** Returns the argument at a position, or else of a name. */
export function argumentOf(
  { args, kwargs }: KernelCall,
  index: number,
  name: string,
): KernelArgument | undefined {
  return args[index] ?? kwargs[name];
}

/**
 * Returns the call's operands in order, named ones last. Constants become tensors of the others' dtype if their values
 * allow it.
 */
export function operandsOf<const Count extends number>(
  { args, kwargs }: KernelCall,
  count: Count,
): Tuple<tf.Tensor, Count> {
  const given = [...args, ...Object.values(kwargs)];
  const tensors = given.filter((argument): argument is tf.Tensor => argument instanceof tf.Tensor);
  const whole = tensors.length > 0 && tensors.every(({ dtype }) => dtype === "int32");
  const operands = given
    .filter(isOperand)
    .slice(0, count)
    .map((argument) => operandTensor(argument, whole));
  if (operands.length === count) return operands as unknown as Tuple<tf.Tensor, Count>;
  throw new TopologyError(`operands: expected ${count}, got ${operands.length}.`);
}

/** Creates the kernel of a function of one operand. */
export function ofOne(compute: (x: tf.Tensor) => tf.Tensor): Kernel {
  return (call) => compute(...operandsOf(call, 1));
}

/** Creates the kernel of a function of two operands. */
export function ofTwo(compute: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Kernel {
  return (call) => compute(...operandsOf(call, 2));
}

/** Returns one operand as a tensor. @throws {TopologyError} if the call has none. */
export function requiredOperand(call: KernelCall, index: number, name: string): tf.Tensor {
  const operand = operandOf(call, index, name);
  if (operand) return operand;
  throw new TopologyError(`${name}: expected a tensor, got none.`);
}

/** Returns one operand as a tensor, undefined if the call has none. */
export function operandOf(call: KernelCall, index: number, name: string): tf.Tensor | undefined {
  const argument = argumentOf(call, index, name);
  return argument === null || argument === undefined ? undefined : operandTensor(argument, false);
}

/** Returns the tensors of a list argument, or of a single tensor. */
export function tensorList(argument: KernelArgument | undefined): tf.Tensor[] {
  const items = Array.isArray(argument) ? argument : [argument];
  return items.map((item) => operandTensor(item as KernelArgument, false));
}

/** Reads numbers given as constants, as a tensor, or as tensors of one number each. */
export function numbersOf(argument: KernelArgument | undefined): number[] {
  if (argument instanceof tf.Tensor) return Array.from(argument.dataSync());
  return [argument ?? []]
    .flat()
    .flatMap((item) => (item instanceof tf.Tensor ? Array.from(item.dataSync()) : [Number(item)]));
}

function isOperand(argument: KernelArgument): boolean {
  return argument !== null && typeof argument !== "string";
}

function operandTensor(argument: KernelArgument, whole: boolean): tf.Tensor {
  if (argument instanceof tf.Tensor) return argument;
  const values = argument as tf.TensorLike;
  const flat = [values].flat(Number.POSITIVE_INFINITY) as unknown[];
  if (flat.every((value) => typeof value === "boolean")) return tf.tensor(values, undefined, "bool");
  const dtype = whole && flat.every((value) => Number.isInteger(value)) ? "int32" : "float32";
  return tf.tensor(values, undefined, dtype);
}
