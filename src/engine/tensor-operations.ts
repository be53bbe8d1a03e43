import { tf } from "./tf.ts";

/** A tensor on the engine. It belongs to the caller of the function that is given it. */
export interface EngineTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly rank: number;
}

export type Operand = EngineTensor | number;
export type Axis = number | number[];

/**
 * Differentiable operations for losses and layers of one's own, with the names and meanings of TensorFlow.js. They
 * broadcast as NumPy's do, and every tensor that they make is released when the step ends. Those that draw numbers take
 * a seed, which makes a run repeatable.
 */
export interface TensorOperations {
  add(a: Operand, b: Operand): EngineTensor;
  sub(a: Operand, b: Operand): EngineTensor;
  mul(a: Operand, b: Operand): EngineTensor;
  div(a: Operand, b: Operand): EngineTensor;
  divNoNan(a: Operand, b: Operand): EngineTensor;
  pow(base: Operand, exponent: Operand): EngineTensor;
  maximum(a: Operand, b: Operand): EngineTensor;
  minimum(a: Operand, b: Operand): EngineTensor;
  mod(a: Operand, b: Operand): EngineTensor;
  neg(x: EngineTensor): EngineTensor;
  floor(x: EngineTensor): EngineTensor;
  ceil(x: EngineTensor): EngineTensor;
  round(x: EngineTensor): EngineTensor;
  reciprocal(x: EngineTensor): EngineTensor;
  abs(x: EngineTensor): EngineTensor;
  sign(x: EngineTensor): EngineTensor;
  square(x: EngineTensor): EngineTensor;
  sqrt(x: EngineTensor): EngineTensor;
  rsqrt(x: EngineTensor): EngineTensor;
  exp(x: EngineTensor): EngineTensor;
  log(x: EngineTensor): EngineTensor;
  log1p(x: EngineTensor): EngineTensor;
  sin(x: EngineTensor): EngineTensor;
  cos(x: EngineTensor): EngineTensor;
  tanh(x: EngineTensor): EngineTensor;
  sigmoid(x: EngineTensor): EngineTensor;
  relu(x: EngineTensor): EngineTensor;
  elu(x: EngineTensor): EngineTensor;
  erf(x: EngineTensor): EngineTensor;
  softplus(x: EngineTensor): EngineTensor;
  softmax(x: EngineTensor): EngineTensor;
  logSoftmax(x: EngineTensor): EngineTensor;
  clipByValue(x: EngineTensor, low: number, high: number): EngineTensor;
  matMul(a: EngineTensor, b: EngineTensor, transposeA?: boolean, transposeB?: boolean): EngineTensor;
  einsum(equation: string, ...tensors: EngineTensor[]): EngineTensor;
  transpose(x: EngineTensor, order?: number[]): EngineTensor;
  reshape(x: EngineTensor, shape: number[]): EngineTensor;
  expandDims(x: EngineTensor, axis?: number): EngineTensor;
  squeeze(x: EngineTensor, axes?: number[]): EngineTensor;
  concat(tensors: EngineTensor[], axis?: number): EngineTensor;
  stack(tensors: EngineTensor[], axis?: number): EngineTensor;
  unstack(x: EngineTensor, axis?: number): EngineTensor[];
  split(x: EngineTensor, parts: number | number[], axis?: number): EngineTensor[];
  slice(x: EngineTensor, begin: number | number[], size?: number | number[]): EngineTensor;
  gather(x: EngineTensor, indices: EngineTensor, axis?: number): EngineTensor;
  tile(x: EngineTensor, times: number[]): EngineTensor;
  pad(x: EngineTensor, paddings: [number, number][], value?: number): EngineTensor;
  reverse(x: EngineTensor, axis?: Axis): EngineTensor;
  cumsum(x: EngineTensor, axis?: number): EngineTensor;
  sum(x: EngineTensor, axis?: Axis, keepDims?: boolean): EngineTensor;
  mean(x: EngineTensor, axis?: Axis, keepDims?: boolean): EngineTensor;
  max(x: EngineTensor, axis?: Axis, keepDims?: boolean): EngineTensor;
  min(x: EngineTensor, axis?: Axis, keepDims?: boolean): EngineTensor;
  prod(x: EngineTensor, axis?: Axis, keepDims?: boolean): EngineTensor;
  logSumExp(x: EngineTensor, axis?: Axis, keepDims?: boolean): EngineTensor;
  argMax(x: EngineTensor, axis?: number): EngineTensor;
  argMin(x: EngineTensor, axis?: number): EngineTensor;
  oneHot(indices: EngineTensor, depth: number): EngineTensor;
  where(condition: EngineTensor, yes: EngineTensor, no: EngineTensor): EngineTensor;
  equal(a: EngineTensor, b: EngineTensor | number): EngineTensor;
  notEqual(a: EngineTensor, b: EngineTensor | number): EngineTensor;
  greater(a: EngineTensor, b: EngineTensor | number): EngineTensor;
  greaterEqual(a: EngineTensor, b: EngineTensor | number): EngineTensor;
  less(a: EngineTensor, b: EngineTensor | number): EngineTensor;
  lessEqual(a: EngineTensor, b: EngineTensor | number): EngineTensor;
  logicalAnd(a: EngineTensor, b: EngineTensor): EngineTensor;
  logicalOr(a: EngineTensor, b: EngineTensor): EngineTensor;
  logicalNot(a: EngineTensor): EngineTensor;
  cast(x: EngineTensor, dtype: "float32" | "int32" | "bool"): EngineTensor;
  scalar(value: number): EngineTensor;
  tensor(values: readonly number[] | Float32Array, shape?: number[]): EngineTensor;
  range(start: number, stop: number, step?: number): EngineTensor;
  zeros(shape: number[]): EngineTensor;
  ones(shape: number[]): EngineTensor;
  fill(shape: number[], value: number): EngineTensor;
  randomUniform(
    shape: number[],
    low?: number,
    high?: number,
    dtype?: "float32" | "int32",
    seed?: number,
  ): EngineTensor;
  randomNormal(
    shape: number[],
    mean?: number,
    deviation?: number,
    dtype?: "float32" | "int32",
    seed?: number,
  ): EngineTensor;
  zerosLike(x: EngineTensor): EngineTensor;
  onesLike(x: EngineTensor): EngineTensor;
}

/** The engine's operations, as far as they are promised to the code of others. */
export const operations = tf as TensorOperations;
