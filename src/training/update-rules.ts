/**
 * Keras's update formulas (`keras/src/optimizers/*.py`, `update_step`), on tensors. Scalars are rounded to float32 where Keras
 * computes them in float32.
 */
import type { UpdateOperation } from "../engine/in-place-updates.ts";
import { tf } from "../engine/tf.ts";
import type { Addends } from "../model/lookup-addends.ts";
import { sumOf } from "../model/lookup-addends.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";

export type Slots = Readonly<Record<string, tf.Tensor>>;

export interface Update {
  readonly variable: tf.Tensor;
  readonly gradient: tf.Tensor;
  /** Of a lookup table's gradient: `gradient` is their sum, and their squares and magnitudes are taken one by one, as in TensorFlow. */
  readonly addends?: Addends | undefined;
  readonly slots: Slots;
  readonly learningRate: number;
  /** The number of this update, from 1. */
  readonly step: number;
}

export interface Updated {
  readonly variable: tf.Tensor;
  readonly slots: Slots;
}

export interface UpdateRule {
  /** Slot names in the order of Keras's optimizer variables, with their initial value. */
  readonly slots: Readonly<Record<string, number>>;
  readonly apply: (update: Update) => Updated;
  /** TensorFlow's operation that computes the same (`tensorflow/core/kernels/training_ops.cc`); absent where none does. */
  readonly operation?: UpdateOperation;
}

const float32 = Math.fround;

export function updateRule({ className, settings }: OptimizerConfig): UpdateRule {
  const number = (name: string): number => settings[name] as number;
  const flag = (name: string): boolean => settings[name] === true;
  switch (className) {
    case "SGD":
      return sgd(number("momentum"), flag("nesterov"));
    case "RMSprop":
      return rmsprop(number("rho"), number("momentum"), number("epsilon"), flag("centered"));
    case "Adam":
    case "AdamW":
      return adam(number("beta_1"), number("beta_2"), number("epsilon"), flag("amsgrad"));
    case "Adamax":
      return adamax(number("beta_1"), number("beta_2"), number("epsilon"));
    case "Nadam":
      return nadam(number("beta_1"), number("beta_2"), number("epsilon"));
    case "Adagrad":
      return adagrad(number("initial_accumulator_value"), number("epsilon"));
    case "Adadelta":
      return adadelta(number("rho"), number("epsilon"));
    case "Lion":
      return lion(number("beta_1"), number("beta_2"));
    default:
      throw new Error(`update rules: no rule for ${className}`);
  }
}

function squaredGradient({ gradient, addends }: Update): tf.Tensor {
  if (!addends) return tf.square(gradient);
  return sumOf({ ...addends, values: tf.square(addends.values) }, gradient.shape[0]!);
}

function gradientMagnitude({ gradient, addends }: Update): tf.Tensor {
  if (!addends) return tf.abs(gradient);
  return sumOf({ ...addends, values: tf.abs(addends.values) }, gradient.shape[0]!);
}

/** `average + (value - average) * rate`. */
function blend(average: tf.Tensor, value: tf.Tensor, rate: number): tf.Tensor {
  return tf.add(average, tf.mul(tf.sub(value, average), rate));
}

/** `rho * average + (1 - rho) * value`. */
function decay(average: tf.Tensor, value: tf.Tensor, rho: number): tf.Tensor {
  return tf.add(tf.mul(average, rho), tf.mul(value, 1 - rho));
}

function sgd(momentum: number, nesterov: boolean): UpdateRule {
  if (momentum === 0) {
    return {
      slots: {},
      apply: ({ variable, gradient, learningRate }) => ({
        variable: tf.sub(variable, tf.mul(gradient, learningRate)),
        slots: {},
      }),
      operation: {
        name: "ResourceApplyGradientDescent",
        slots: [],
        operands: (learningRate) => [learningRate, "gradient"],
      },
    };
  }
  return {
    slots: { momentum: 0 },
    apply: ({ variable, gradient, slots, learningRate }) => {
      const step = tf.mul(gradient, learningRate);
      const velocity = tf.sub(tf.mul(slots["momentum"]!, momentum), step);
      const change = nesterov ? tf.sub(tf.mul(velocity, momentum), step) : velocity;
      return { variable: tf.add(variable, change), slots: { momentum: velocity } };
    },
    operation: {
      name: "ResourceApplyKerasMomentum",
      slots: ["kept"],
      operands: (learningRate) => [learningRate, "gradient", momentum],
      flags: { use_nesterov: nesterov },
    },
  };
}

function rmsprop(rho: number, momentum: number, epsilon: number, centered: boolean): UpdateRule {
  const momentumSlot = momentum > 0 ? "kept" : "scratch";
  return {
    slots: { velocity: 0, ...(momentum > 0 && { momentum: 0 }), ...(centered && { average_gradient: 0 }) },
    apply: (update) => {
      const { variable, gradient, slots, learningRate } = update;
      const velocity = decay(slots["velocity"]!, squaredGradient(update), rho);
      const average = centered ? decay(slots["average_gradient"]!, gradient, rho) : undefined;
      const denominator = tf.add(average ? tf.sub(velocity, tf.square(average)) : velocity, epsilon);
      const increment = tf.div(tf.mul(gradient, learningRate), tf.sqrt(denominator));
      const moved = momentum > 0 ? tf.add(tf.mul(slots["momentum"]!, momentum), increment) : undefined;
      return {
        variable: tf.sub(variable, moved ?? increment),
        slots: { velocity, ...(moved && { momentum: moved }), ...(average && { average_gradient: average }) },
      };
    },
    operation: {
      name: centered ? "ResourceApplyCenteredRMSProp" : "ResourceApplyRMSProp",
      slots: centered ? ["kept", "kept", momentumSlot] : ["kept", momentumSlot],
      operands: (learningRate) => [learningRate, rho, momentum, epsilon, "gradient"],
    },
  };
}

function adam(beta1: number, beta2: number, epsilon: number, amsgrad: boolean): UpdateRule {
  return {
    slots: { momentum: 0, velocity: 0, ...(amsgrad && { velocity_hat: 0 }) },
    apply: (update) => {
      const { variable, gradient, slots, learningRate, step } = update;
      const correction = float32(
        Math.sqrt(float32(1 - float32(float32(beta2) ** step))) /
          float32(1 - float32(float32(beta1) ** step)),
      );
      const momentum = blend(slots["momentum"]!, gradient, 1 - beta1);
      const velocity = blend(slots["velocity"]!, squaredGradient(update), 1 - beta2);
      const highest = amsgrad ? tf.maximum(slots["velocity_hat"]!, velocity) : undefined;
      const scaled = tf.mul(momentum, float32(learningRate * correction));
      return {
        variable: tf.sub(variable, tf.div(scaled, tf.add(tf.sqrt(highest ?? velocity), epsilon))),
        slots: { momentum, velocity, ...(highest && { velocity_hat: highest }) },
      };
    },
    ...(!amsgrad && { operation: adamOperation(beta1, beta2, epsilon) }),
  };
}

function adamOperation(beta1: number, beta2: number, epsilon: number): UpdateOperation {
  return {
    name: "ResourceApplyAdam",
    slots: ["kept", "kept"],
    operands: (learningRate, step) => [
      float32(beta1) ** step,
      float32(beta2) ** step,
      learningRate,
      beta1,
      beta2,
      epsilon,
      "gradient",
    ],
    flags: { use_nesterov: false },
  };
}

function adamax(beta1: number, beta2: number, epsilon: number): UpdateRule {
  return {
    slots: { momentum: 0, norm: 0 },
    apply: (update) => {
      const { variable, gradient, slots, learningRate, step } = update;
      const momentum = blend(slots["momentum"]!, gradient, 1 - beta1);
      const norm = tf.maximum(tf.mul(slots["norm"]!, beta2), gradientMagnitude(update));
      const correction = float32(1 - float32(float32(beta1) ** step));
      const change = tf.div(tf.mul(momentum, learningRate), tf.mul(tf.add(norm, epsilon), correction));
      return { variable: tf.sub(variable, change), slots: { momentum, norm } };
    },
  };
}

function nadam(beta1: number, beta2: number, epsilon: number): UpdateRule {
  const schedule = (step: number): number => float32(beta1 * (1 - 0.5 * 0.96 ** step));
  let product = 1;
  let productAt = 0;
  return {
    slots: { momentum: 0, velocity: 0 },
    apply: (update) => {
      const { variable, gradient, slots, learningRate, step } = update;
      for (; productAt < step; productAt++) product = float32(product * schedule(productAt + 1));
      const next = schedule(step + 1);
      const momentum = blend(slots["momentum"]!, gradient, 1 - beta1);
      const velocity = blend(slots["velocity"]!, squaredGradient(update), 1 - beta2);
      const momentumHat = tf.add(
        tf.mul(momentum, next / (1 - product * next)),
        tf.mul(gradient, (1 - schedule(step)) / (1 - product)),
      );
      const velocityHat = tf.div(velocity, float32(1 - float32(beta2) ** step));
      const change = tf.div(tf.mul(momentumHat, learningRate), tf.add(tf.sqrt(velocityHat), epsilon));
      return { variable: tf.sub(variable, change), slots: { momentum, velocity } };
    },
  };
}

function adagrad(initial: number, epsilon: number): UpdateRule {
  return {
    slots: { accumulator: initial },
    apply: (update) => {
      const { variable, gradient, slots, learningRate } = update;
      const accumulator = tf.add(slots["accumulator"]!, squaredGradient(update));
      const change = tf.div(tf.mul(gradient, learningRate), tf.sqrt(tf.add(accumulator, epsilon)));
      return { variable: tf.sub(variable, change), slots: { accumulator } };
    },
  };
}

function adadelta(rho: number, epsilon: number): UpdateRule {
  const rootMeanSquare = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.add(x, epsilon));
  return {
    slots: { accumulated_grad: 0, accumulated_delta_var: 0 },
    apply: (update) => {
      const { variable, gradient, slots, learningRate } = update;
      const accumulated = decay(slots["accumulated_grad"]!, squaredGradient(update), rho);
      const factor = tf.div(rootMeanSquare(slots["accumulated_delta_var"]!), rootMeanSquare(accumulated));
      const squaredDelta = tf.mul(tf.square(factor), squaredGradient(update));
      return {
        variable: tf.sub(variable, tf.mul(tf.mul(factor, gradient), learningRate)),
        slots: {
          accumulated_grad: accumulated,
          accumulated_delta_var: decay(slots["accumulated_delta_var"]!, squaredDelta, rho),
        },
      };
    },
  };
}

function lion(beta1: number, beta2: number): UpdateRule {
  return {
    slots: { momentum: 0 },
    apply: ({ variable, gradient, slots, learningRate }) => ({
      variable: tf.sub(variable, tf.mul(tf.sign(decay(slots["momentum"]!, gradient, beta1)), learningRate)),
      slots: { momentum: decay(slots["momentum"]!, gradient, beta2) },
    }),
  };
}
