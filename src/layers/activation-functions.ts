/** @file Keras's activation functions (`keras/src/activations/activations.py`) by name. */
import type { Json } from "../checkpoint.ts";
import { chosen, gelu as exactGelu, relu, relu6, swish } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import { sizeAt } from "../tensor.ts";
import { isObject } from "../topology/config-values.ts";
import type { KerasMajor } from "../topology/layer-graph.ts";
import { axisOf, inverseOrder } from "./axes.ts";

export type ActivationFunction = (x: tf.Tensor) => tf.Tensor;

const functions: Readonly<Record<string, ActivationFunction>> = {
  linear: (x) => x,
  relu,
  relu6,
  leaky_relu: (x) => leakyRelu(x, 0.2),
  softmax: (x) => softmax(x, [-1]),
  log_softmax: (x) => logSoftmax(x),
  elu: (x) => elu(x, 1),
  selu: (x) => tf.selu(x),
  celu: (x) => celu(x, 1),
  gelu: (x) => gelu(x, false),
  silu: swish,
  swish,
  hard_silu: (x) => tf.mul(x, hardSigmoid(x)),
  hard_swish: (x) => tf.mul(x, hardSigmoid(x)),
  mish: (x) => tf.mul(x, tf.tanh(softplus(x))),
  sigmoid: (x) => tf.sigmoid(x),
  hard_sigmoid: hardSigmoid,
  log_sigmoid: (x) => tf.neg(softplus(tf.neg(x))),
  sparse_sigmoid: (x) => tf.clipByValue(tf.mul(tf.add(x, 1), 0.5), 0, 1),
  tanh: (x) => tf.tanh(x),
  hard_tanh: (x) => tf.clipByValue(x, -1, 1),
  tanh_shrink: (x) => tf.sub(x, tf.tanh(x)),
  softplus,
  sparse_plus: sparsePlus,
  squareplus: (x) => squareplus(x, 4),
  softsign: (x) => tf.div(x, tf.add(tf.abs(x), 1)),
  soft_shrink: (x) => softShrink(x, 0.5),
  hard_shrink: (x) => hardShrink(x, 0.5),
  sparsemax: (x) => sparsemax(x, -1),
  glu: (x) => glu(x, -1),
  exponential: (x) => tf.exp(x),
};

/** Returns the names of the functions that `activationNamed` knows. */
export function activationNames(): string[] {
  return Object.keys(functions);
}

/**
 * Returns the function that a config names. "linear" is the identity. Before Keras 3, `hard_sigmoid` was `clip(0.2 x +
 * 0.5)`.
 * @throws {TopologyError} for a custom function, which Keras does not have.
 */
export function activationNamed(name: string, keras: KerasMajor): ActivationFunction {
  if (name === "hard_sigmoid" && keras < 3) return earlyHardSigmoid;
  const found = functions[name];
  if (found) return found;
  throw new TopologyError(
    `activation "${name}": expected a function of keras.activations, got one that Keras does not have. ` +
      "Custom activations are Python and cannot be read from a file.",
    "unsupported-activation",
  );
}

/** Returns the name in an activation argument, "linear" for null, undefined for a serialized layer. */
export function activationName(activation: Json | undefined): string | undefined {
  if (activation === null || activation === undefined) return "linear";
  if (typeof activation === "string") return activation;
  if (isObject(activation) && typeof activation["config"] === "string") return activation["config"];
  if (isObject(activation) && activation["class_name"] === "Mish") return "mish";
  return undefined;
}

/** Computes ReLU with slope, bound and threshold, composed as in `keras.activations.relu`. */
export function generalRelu(
  x: tf.Tensor,
  negativeSlope: number,
  maxValue: number | null,
  threshold: number,
): tf.Tensor {
  if (threshold === 0 && maxValue === null)
    return negativeSlope === 0 ? relu(x) : leakyRelu(x, negativeSlope);
  if (threshold === 0 && negativeSlope === 0 && maxValue === 6) return relu6(x);
  const above = threshold === 0 ? relu(x) : tf.mul(x, tf.cast(tf.greater(x, threshold), "float32"));
  const bounded = maxValue === null ? above : tf.clipByValue(above, 0, maxValue);
  if (negativeSlope === 0) return bounded;
  const below = relu(threshold === 0 ? tf.neg(x) : tf.sub(threshold, x));
  return tf.sub(bounded, tf.mul(below, negativeSlope));
}

export function leakyRelu(x: tf.Tensor, negativeSlope: number): tf.Tensor {
  return tf.sub(relu(x), tf.mul(relu(tf.neg(x)), negativeSlope));
}

export function elu(x: tf.Tensor, alpha: number): tf.Tensor {
  const unit = tf.elu(x);
  return alpha === 1 ? unit : tf.add(relu(unit), tf.mul(tf.minimum(unit, 0), alpha));
}

export function celu(x: tf.Tensor, alpha: number): tf.Tensor {
  return tf.add(relu(x), tf.mul(tf.expm1(tf.div(tf.minimum(x, 0), alpha)), alpha));
}

export function gelu(x: tf.Tensor, approximate: boolean): tf.Tensor {
  if (approximate) {
    const inner = tf.mul(tf.add(x, tf.mul(tf.mul(x, tf.square(x)), 0.044715)), Math.sqrt(2 / Math.PI));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
  }
  return exactGelu(x);
}

export function softplus(x: tf.Tensor): tf.Tensor {
  return tf.softplus(x);
}

/** Computes softmax over one axis or over several together. */
export function softmax(x: tf.Tensor, axes: readonly number[]): tf.Tensor {
  const over = axes.map((axis) => axisOf(axis, x.rank));
  if (over.length === 1 && over[0] === x.rank - 1) return tf.softmax(x);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !over.includes(axis));
  const order = [...kept, ...over];
  const turned = tf.transpose(x, order);
  const rows = kept.reduce((product, axis) => product * sizeAt(x.shape, axis), 1);
  const flat = tf.softmax(tf.reshape(turned, [rows, -1]));
  return tf.transpose(tf.reshape(flat, turned.shape), inverseOrder(order));
}

/**
 * Computes softmax of the values that `mask`, which broadcasts to `x`, shows. Hidden values get zero, even if a row is
 * hidden entirely. Before Keras 3, such a row is the softmax of what rounding leaves of it
 * (`keras/src/layers/activations/softmax.py`).
 */
export function maskedSoftmax(
  x: tf.Tensor,
  axes: readonly number[],
  mask: tf.Tensor | undefined,
  keras: KerasMajor,
): tf.Tensor {
  if (!mask) return softmax(x, axes);
  if (keras < 3) return softmax(tf.add(x, tf.mul(tf.sub(1, tf.cast(mask, "float32")), -1e9)), axes);
  const shares = softmax(chosen(mask, x, tf.fill(x.shape, -1e9)), axes);
  return chosen(mask, shares, tf.zerosLike(shares));
}

export function logSoftmax(x: tf.Tensor, axis = -1): tf.Tensor {
  const along = axisOf(axis, x.rank);
  const shifted = tf.sub(x, stopGradient(tf.max(x, along, true)));
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), along, true)));
}

export function squareplus(x: tf.Tensor, b: number): tf.Tensor {
  return tf.mul(tf.add(x, tf.sqrt(tf.add(tf.square(x), b))), 0.5);
}

export function softShrink(x: tf.Tensor, threshold: number): tf.Tensor {
  return tf.sub(relu(tf.sub(x, threshold)), relu(tf.sub(tf.neg(x), threshold)));
}

export function hardShrink(x: tf.Tensor, threshold: number): tf.Tensor {
  return tf.mul(x, tf.cast(tf.greater(tf.abs(x), threshold), "float32"));
}

export function glu(x: tf.Tensor, axis: number): tf.Tensor {
  const [value, gate] = tf.split(x, 2, axisOf(axis, x.rank));
  return tf.mul(value!, tf.sigmoid(gate!));
}

/**
 * Computes Keras's sparsemax along an axis. Its threshold adds up the running sums of the supported logits, where the
 * published formula takes the last of them. It is kept because models were trained with it.
 */
export function sparsemax(x: tf.Tensor, axis: number): tf.Tensor {
  const along = axisOf(axis, x.rank);
  const order = x.shape.map((_, index) => index).filter((index) => index !== along);
  order.push(along);
  const logits = tf.transpose(x, order);
  const { shares, counts } = sparsemaxSupport(logits);
  const threshold = tf.div(tf.sub(tf.sum(tf.mul(logits, shares), -1, true), 1), counts);
  return tf.transpose(relu(tf.sub(logits, threshold)), inverseOrder(order));
}

/**
 * Counts how often each logit occurs in the running sums of its row, and how many logits are supported. The logits are
 * sorted in JavaScript, since not every backend can sort.
 */
function sparsemaxSupport(logits: tf.Tensor): { shares: tf.Tensor; counts: tf.Tensor } {
  const size = sizeAt(logits.shape, -1);
  const values = logits.dataSync();
  const shares = new Float32Array(values.length);
  const counts = new Float32Array(values.length / size);
  counts.forEach((_, row) => {
    const row0 = row * size;
    const ranked = Array.from({ length: size }, (__, index) => row0 + index);
    ranked.sort((a, b) => values[b]! - values[a]!);
    let total = 0;
    const supported = ranked.filter((position, index) => {
      total += values[position]!;
      return values[position]! * (index + 1) > total - 1;
    });
    counts[row] = supported.length;
    supported.forEach((position, index) => {
      shares[position] = supported.length - index;
    });
  });
  return {
    shares: tf.tensor(shares, logits.shape),
    counts: tf.tensor(counts, [...logits.shape.slice(0, -1), 1]),
  };
}

/** Returns the same values, through which no gradient flows. */
export function stopGradient(x: tf.Tensor): tf.Tensor {
  const stop = tf.customGrad((value) => ({
    value: (value as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
  }));
  return stop(x);
}

function hardSigmoid(x: tf.Tensor): tf.Tensor {
  return tf.div(relu6(tf.add(x, 3)), 6);
}

function earlyHardSigmoid(x: tf.Tensor): tf.Tensor {
  return tf.clipByValue(tf.add(tf.mul(x, 0.2), 0.5), 0, 1);
}

function sparsePlus(x: tf.Tensor): tf.Tensor {
  const bent = tf.mul(tf.square(tf.add(tf.clipByValue(x, -1, 1), 1)), 0.25);
  return tf.add(bent, relu(tf.sub(x, 1)));
}
