/** @file Functions of single numbers for keras.ops that no backend has (`keras/src/ops/numpy.py`, `math.py`). */
import { tf } from "../../engine/tf.ts";
import { stopGradient } from "../activation-functions.ts";
import type { KernelCall } from "../kernel.ts";
import { unsupported } from "../kernel.ts";

export type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** Replaces NaN in `one` by the values of `other`. */
export function withoutNaN(one: tf.Tensor, other: tf.Tensor): tf.Tensor {
  return tf.where(tf.isNaN(asFloat(one)), other, one);
}

/** Rounds toward zero. It has no gradient. */
export function truncated(x: tf.Tensor): tf.Tensor {
  return stopGradient(tf.mul(tf.sign(x), tf.floor(tf.abs(x))));
}

/** Computes `log(e^a + e^b)` in units of `1 / unit` of the natural logarithm. */
export function logSumOfTwo(a: tf.Tensor, b: tf.Tensor, unit: number): tf.Tensor {
  const distance = tf.mul(tf.abs(tf.sub(a, b)), -unit);
  return tf.add(tf.maximum(a, b), tf.div(tf.log1p(tf.exp(distance)), unit));
}

/** Computes `a 2^b`. Zeros and infinities are unchanged, and so is their gradient. */
export function scaledByPower(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const x = asFloat(a);
  const stays = tf.logicalOr(tf.isInf(x), tf.equal(x, 0));
  return tf.where(stays, x, tf.mul(x, tf.pow(2, asFloat(b))));
}

/** Divides, with zero where the divisor is zero. */
export function divideNoNan(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const zero = tf.equal(b, 0);
  const quotient = tf.div(asFloat(a), tf.where(zero, tf.onesLike(b), b));
  return tf.where(zero, tf.zerosLike(quotient), quotient);
}

/** Creates a function of whole numbers, computed in JavaScript: no backend has operations on bits. */
export function byBits(compute: (a: number, b: number) => number): Binary {
  return (a, b) => {
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const whole = (x: tf.Tensor): ArrayLike<number> =>
      tf.broadcastTo(tf.cast(x, "int32"), shape as [number]).dataSync();
    const [left, right] = [whole(a), whole(b)];
    return tf.tensor(
      Int32Array.from(left, (value, index) => compute(value, right[index]!)),
      shape,
      "int32",
    );
  };
}

export function finite(x: tf.Tensor, { config }: KernelCall): tf.Tensor {
  const limit = 3.4028234663852886e38;
  const replaced = (value: unknown, otherwise: number): tf.Tensor =>
    tf.fill(x.shape, typeof value === "number" ? value : otherwise);
  const numbers = tf.where(tf.isNaN(x), replaced(config["nan"], 0), x);
  const below = tf.where(tf.equal(x, Number.POSITIVE_INFINITY), replaced(config["posinf"], limit), numbers);
  return tf.where(tf.equal(x, Number.NEGATIVE_INFINITY), replaced(config["neginf"], -limit), below);
}

/** Computes `sin(pi x) / (pi x)`, which is 1 at 0. */
export function sinc(x: tf.Tensor): tf.Tensor {
  const zero = tf.equal(x, 0);
  const angle = tf.mul(tf.where(zero, tf.onesLike(x), x), Math.PI);
  return tf.where(zero, tf.onesLike(x), tf.div(tf.sin(angle), angle));
}

/** Casts with values clipped to the range of the dtype. */
export function saturated(x: tf.Tensor, { config }: KernelCall): tf.Tensor {
  const dtype = String(config["dtype"]);
  const [, unsigned, bits] = /^(u?)int(\d+)$/.exec(dtype) ?? [];
  if (bits === undefined) return cast(x, dtype);
  const width = Math.min(Number(bits), 31);
  const high = unsigned ? 2 ** width - 1 : 2 ** Math.min(Number(bits) - 1, 31) - 1;
  return cast(tf.clipByValue(x, unsigned ? 0 : -high - 1, high), dtype);
}

/** Inverts every bit of whole numbers. */
export function complement(x: tf.Tensor): tf.Tensor {
  return tf.sub(tf.neg(x), tf.scalar(1, "int32"));
}

/**
 * Returns the first operand: Keras computes the next number in double precision, and rounded to float32 it is the same.
 */
export function nextAfter(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.add(asFloat(a), tf.zerosLike(asFloat(b)));
}

/**
 * Reinterprets the bytes as numbers of another dtype. @throws {TopologyError} for a dtype that tensors here do not
 * have.
 */
export function reinterpreted(x: tf.Tensor, { config }: KernelCall): tf.Tensor {
  const dtype = config["dtype"] ?? x.dtype;
  if (dtype === x.dtype) return x;
  const values = x.dataSync().slice();
  if (dtype === "int32" && x.dtype === "float32")
    return tf.tensor(new Int32Array(values.buffer), x.shape, dtype);
  if (dtype === "float32" && x.dtype === "int32")
    return tf.tensor(new Float32Array(values.buffer), x.shape, dtype);
  throw unsupported(`a view of ${x.dtype} as ${String(dtype)}`, "View float32 as int32, or back.");
}

/** Computes the modified Bessel function of the first kind and order 0. Its gradient is that of order 1. */
export function besselI0(x: tf.Tensor): tf.Tensor {
  const compute = tf.customGrad((given, save) => {
    const value = given as tf.Tensor;
    (save as tf.GradSaveFunc)([value]);
    return {
      value: eachNumber(value, (number) => besselSeries(number, 0)),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
        tf.mul(
          dy,
          eachNumber(saved!, (number) => besselSeries(number, 1)),
        ),
    };
  });
  return compute(x);
}

/** Computes `sum over k of (x / 2)^(2k + order) / (k! (k + order)!)` for order 0 or 1. */
function besselSeries(x: number, order: 0 | 1): number {
  let term = order === 0 ? 1 : x / 2;
  let sum = term;
  for (let k = 1; Math.abs(term) > Math.abs(sum) * 1e-12; k++) {
    term *= (x * x) / 4 / (k * (k + order));
    sum += term;
  }
  return sum;
}

function eachNumber(x: tf.Tensor, compute: (value: number) => number): tf.Tensor {
  return tf.tensor(Float32Array.from(x.dataSync(), compute), x.shape);
}

export function commonDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : commonDivisor(b, a % b);
}

/** Computes the inverse error function by Giles's polynomials in single precision (2010). The gradient is exact. */
export function inverseErrorFunction(x: tf.Tensor): tf.Tensor {
  const near = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503];
  const far = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613];
  const compute = tf.customGrad((given, save) => {
    const value = given as tf.Tensor;
    const width = tf.neg(tf.log(tf.mul(tf.sub(1, value), tf.add(1, value))));
    const polynomial = (w: tf.Tensor, factors: readonly number[]): tf.Tensor =>
      factors.reduce<tf.Tensor>((sum, factor) => tf.add(tf.mul(sum, w), factor), tf.zerosLike(w));
    const inner = polynomial(tf.sub(width, 2.5), [...near, -0.00417768164, 0.246640727, 1.50140941]);
    const outer = polynomial(tf.sub(tf.sqrt(width), 3), [...far, 0.00943887047, 1.00167406, 2.83297682]);
    const result = tf.mul(tf.where(tf.less(width, 5), inner, outer), value);
    (save as tf.GradSaveFunc)([result]);
    return {
      value: result,
      gradFunc: (dy: tf.Tensor, [y]: tf.Tensor[]) =>
        tf.mul(dy, tf.mul(tf.exp(tf.square(y!)), Math.sqrt(Math.PI) / 2)),
    };
  });
  return compute(x);
}

export function asFloat(x: tf.Tensor): tf.Tensor {
  return x.dtype === "float32" ? x : tf.cast(x, "float32");
}

export function cast(x: tf.Tensor, dtype: string): tf.Tensor {
  if (dtype === "bool") return asBool(x);
  return /^u?int/.test(dtype) ? tf.cast(x, "int32") : asFloat(x);
}

export function asBool(x: tf.Tensor): tf.Tensor {
  return x.dtype === "bool" ? x : tf.notEqual(x, 0);
}
