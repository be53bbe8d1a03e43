/** @file Batch normalization along the last axis, by stored statistics and by the batch's own, each in one pass. */

import type { Tuple } from "../../tensor.ts";
import { sizeAt } from "../../tensor.ts";
import type { GradientCall } from "../gradients/rule.ts";
import { computedOnce, isShapeOnly, rule } from "../gradients/rule.ts";
import type { NativeBackend, OpAttribute } from "../native-engine.ts";
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute, run } from "./own-kernel.ts";

interface Attributes {
  readonly epsilon: number;
}

type BatchInputs = Tensors<"x" | "gamma" | "beta">;
type StoredInputs = BatchInputs & Tensors<"mean" | "variance">;
type GradientInputs = Tensors<"dy" | "x" | "gamma" | "mean" | "variance">;

export const batchNormalizationKernels: readonly OwnKernel[] = [
  {
    name: "BatchNormStored",
    native: (backend, { x, gamma, beta, mean, variance }: StoredInputs, { epsilon }: Attributes) => {
      const [y] = backend.executeMultipleOutputs(
        "FusedBatchNormV3",
        [...attributes(backend, epsilon, false), exponentialAverage(backend)],
        [asImages(x), gamma, beta, mean, variance],
        6,
      );
      return tf.reshape(y, x.shape);
    },
    portable: ({ x, gamma, beta, mean, variance }: StoredInputs, { epsilon }: Attributes) => {
      const scale = tf.mul(gamma, inverseDeviation(variance, epsilon));
      return tf.add(tf.mul(x, scale), tf.sub(beta, tf.mul(mean, scale)));
    },
    gradient: rule<Attributes>("BatchNormStored", {
      x: {
        reads: ["gamma", "variance"],
        of: (call) => {
          if (!isShapeOnly(call.the("x"))) return storedGradients(call)[0];
          return tf.mul(call.dy, storedScale(call));
        },
      },
      gamma: { reads: ["x", "gamma", "mean", "variance"], of: (call) => storedGradients(call)[1] },
      beta: {
        reads: [],
        of: (call) =>
          isShapeOnly(call.the("x")) ? run("BiasAddGrad", { dy: call.dy }) : storedGradients(call)[2],
      },
      mean: {
        reads: ["gamma", "variance"],
        of: (call) => tf.neg(tf.mul(run<tf.Tensor>("BiasAddGrad", { dy: call.dy }), storedScale(call))),
      },
      variance: {
        reads: ["x", "gamma", "mean", "variance"],
        of: (call) => {
          const inverse = inverseDeviation(call.the("variance"), call.attributes.epsilon);
          return tf.mul(
            tf.mul(storedGradients(call)[1], call.the("gamma")),
            tf.mul(tf.square(inverse), -0.5),
          );
        },
      },
    }),
  },
  {
    name: "BatchNormStoredGrad",
    native: (backend, { dy, x, gamma, mean, variance }: GradientInputs, { epsilon }: Attributes) => {
      const images = [asImages(dy), asImages(x)];
      const [dx, dGamma, dBeta] = backend.executeMultipleOutputs(
        "FusedBatchNormGradV3",
        attributes(backend, epsilon, false),
        [...images, gamma, mean, variance, tf.tensor1d([])],
        5,
      );
      return [tf.reshape(dx, x.shape), dGamma, dBeta];
    },
    portable: ({ dy, x, gamma, mean, variance }: GradientInputs, { epsilon }: Attributes) => {
      const inverse = inverseDeviation(variance, epsilon);
      const dBeta = run<tf.Tensor>("BiasAddGrad", { dy: dy });
      const products = run<tf.Tensor>("BiasAddGrad", { dy: tf.mul(dy, x) });
      const dGamma = tf.mul(inverse, tf.sub(products, tf.mul(mean, dBeta)));
      return [tf.mul(dy, tf.mul(gamma, inverse)), dGamma, dBeta];
    },
  },
  {
    name: "BatchNormBatch",
    native: (backend, { x, gamma, beta }: BatchInputs, { epsilon }: Attributes) => {
      const none = tf.tensor1d([]);
      const [y, , , mean, variance] = backend.executeMultipleOutputs(
        "FusedBatchNormV3",
        [...attributes(backend, epsilon, true), exponentialAverage(backend)],
        [asImages(x), gamma, beta, none, none],
        6,
      );
      return [tf.reshape(y, x.shape), mean, variance];
    },
    portable: ({ x, gamma, beta }: BatchInputs, attributes: Attributes) => {
      const mean = columnMeans(x);
      const centered = tf.sub(x, mean);
      const variance = columnMeans(tf.square(centered));
      const scale = tf.mul(gamma, inverseDeviation(variance, attributes.epsilon));
      return [tf.add(tf.mul(centered, scale), beta), mean, variance];
    },
    gradient: rule<Attributes>("BatchNormBatch", {
      x: { reads: ["x", "gamma", "y1", "y2"], of: (call) => batchGradients(call)[0] },
      gamma: { reads: ["x", "gamma", "y1", "y2"], of: (call) => batchGradients(call)[1] },
      beta: {
        reads: [],
        of: (call) =>
          isShapeOnly(call.the("x")) ? run("BiasAddGrad", { dy: call.dy }) : batchGradients(call)[2],
      },
    }),
  },
  {
    name: "BatchNormBatchGrad",
    native: (backend, { dy, x, gamma, mean, variance }: GradientInputs, { epsilon }: Attributes) => {
      const images = [asImages(dy), asImages(x)];
      const [dx, dGamma, dBeta] = backend.executeMultipleOutputs(
        "FusedBatchNormGradV3",
        attributes(backend, epsilon, true),
        [...images, gamma, mean, variance, tf.tensor1d([])],
        5,
      );
      return [tf.reshape(dx, x.shape), dGamma, dBeta];
    },
    portable: ({ dy, x, gamma, mean, variance }: GradientInputs, { epsilon }: Attributes) => {
      const inverse = inverseDeviation(variance, epsilon);
      const normalized = tf.mul(tf.sub(x, mean), inverse);
      const dBeta = run<tf.Tensor>("BiasAddGrad", { dy: dy });
      const dGamma = run<tf.Tensor>("BiasAddGrad", { dy: tf.mul(dy, normalized) });
      const count = dy.size / dBeta.size;
      const centered = tf.sub(dy, tf.add(tf.div(dBeta, count), tf.mul(normalized, tf.div(dGamma, count))));
      return [tf.mul(centered, tf.mul(gamma, inverse)), dGamma, dBeta];
    },
  },
];

function attributes(backend: NativeBackend, epsilon: number, training: boolean): OpAttribute[] {
  return [
    attribute.float(backend, "T"),
    attribute.float(backend, "U"),
    attribute.number(backend, "epsilon", epsilon),
    attribute.flag(backend, "is_training", training),
  ];
}

function exponentialAverage(backend: NativeBackend): OpAttribute {
  return attribute.number(backend, "exponential_avg_factor", 1);
}

/** Reshapes a tensor to rank 4, which TensorFlow's kernels require. */
function asImages(x: tf.Tensor): tf.Tensor {
  return x.rank === 4 ? x : tf.reshape(x, [-1, 1, 1, sizeAt(x.shape, -1)]);
}

function columnMeans(x: tf.Tensor): tf.Tensor {
  return tf.mean(tf.reshape(x, [-1, sizeAt(x.shape, -1)]), 0);
}

/** Computes `1 / sqrt(variance + epsilon)`. */
export function inverseDeviation(variance: tf.Tensor, epsilon: number): tf.Tensor {
  return tf.rsqrt(tf.add(variance, epsilon));
}

function storedScale({ the, attributes: { epsilon } }: GradientCall<Attributes>): tf.Tensor {
  return tf.mul(the("gamma"), inverseDeviation(the("variance"), epsilon));
}

function storedGradients(call: GradientCall<Attributes>): Tuple<tf.Tensor, 3> {
  return computedOnce<Tuple<tf.Tensor, 3>>(call, "gradients", () =>
    run("BatchNormStoredGrad", named(call, ["x", "gamma", "mean", "variance"]), call.attributes),
  );
}

function batchGradients(call: GradientCall<Attributes>): Tuple<tf.Tensor, 3> {
  const statistics = { mean: call.the("y1"), variance: call.the("y2") };
  return computedOnce<Tuple<tf.Tensor, 3>>(call, "gradients", () =>
    run("BatchNormBatchGrad", { ...named(call, ["x", "gamma"]), ...statistics }, call.attributes),
  );
}

function named(call: GradientCall<Attributes>, names: readonly string[]): Tensors {
  return { dy: call.dy, ...Object.fromEntries(names.map((name) => [name, call.the(name)])) };
}
