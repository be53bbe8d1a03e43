/** Optimizers that keep at most one average of the gradient: SGD and Lion. */
import { tf } from "../../engine/tf.ts";
import type { OptimizerClass, UpdateRule } from "./update-rule.ts";
import { decay, numberSetting, slotOf, zeroSlots } from "./update-rule.ts";

/** `keras/src/optimizers/sgd.py` */
export const sgd: OptimizerClass = {
  className: "SGD",
  defaults: { learning_rate: 0.01, momentum: 0, nesterov: false },
  rule: (settings, variable) => {
    const momentum = numberSetting(settings, "momentum");
    if (momentum === 0) return gradientDescent;
    const nesterov = settings["nesterov"] === true;
    return {
      slots: zeroSlots(variable, ["momentum"]),
      apply: ({ variable: value, gradient, slots, learningRate }) => {
        const step = tf.mul(gradient, learningRate);
        const velocity = tf.sub(tf.mul(slotOf(slots, "momentum"), momentum), step);
        const change = nesterov ? tf.sub(tf.mul(velocity, momentum), step) : velocity;
        return { variable: tf.add(value, change), slots: { momentum: velocity } };
      },
      operation: {
        name: "ResourceApplyKerasMomentum",
        slots: ["momentum"],
        operands: (learningRate) => [learningRate, "gradient", momentum],
        flags: { use_nesterov: nesterov },
      },
    };
  },
};

const gradientDescent: UpdateRule = {
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

/** `keras/src/optimizers/lion.py` */
export const lion: OptimizerClass = {
  className: "Lion",
  defaults: { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.99 },
  rule: (settings, variable) => {
    const [beta1, beta2] = [numberSetting(settings, "beta_1"), numberSetting(settings, "beta_2")];
    return {
      slots: zeroSlots(variable, ["momentum"]),
      apply: ({ variable: value, gradient, slots, learningRate }) => {
        const momentum = slotOf(slots, "momentum");
        return {
          variable: tf.sub(value, tf.mul(tf.sign(decay(momentum, gradient, beta1)), learningRate)),
          slots: { momentum: decay(momentum, gradient, beta2) },
        };
      },
    };
  },
};
