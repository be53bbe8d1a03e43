/** Optimizers that divide by sums or averages of squared gradients: Adagrad, Adadelta, RMSprop and Ftrl. */
import { tf } from "../../engine/tf.ts";
import type { OptimizerClass } from "./update-rule.ts";
import { decay, float32, numberSetting, slotOf, squaredGradient, zeroSlots } from "./update-rule.ts";

function epsilonInside(squares: tf.Tensor, epsilon: number): tf.Tensor {
  return tf.sqrt(tf.add(squares, epsilon));
}

/**
 * Returns the divisor of Keras 1 and of Keras 2's legacy optimizers (`keras/src/optimizers/legacy/rmsprop.py` of Keras 2.15 where there
 * is no momentum; TensorFlow's `ApplyAdagradV2`): `epsilon_outside`, no argument of Keras.
 */
function epsilonOutside(squares: tf.Tensor, epsilon: number): tf.Tensor {
  return tf.add(tf.sqrt(squares), epsilon);
}

/** `keras/src/optimizers/adagrad.py` */
export const adagrad: OptimizerClass = {
  className: "Adagrad",
  defaults: { learning_rate: 0.001, initial_accumulator_value: 0.1, epsilon: 1e-7, epsilon_outside: false },
  rule: (settings, { shape }) => {
    const epsilon = numberSetting(settings, "epsilon");
    const initial = numberSetting(settings, "initial_accumulator_value");
    return {
      slots: { accumulator: { shape, initial } },
      apply: (update) => {
        const { variable, gradient, slots, learningRate } = update;
        const accumulator = tf.add(slotOf(slots, "accumulator"), squaredGradient(update));
        const root = settings["epsilon_outside"] === true ? epsilonOutside : epsilonInside;
        const change = tf.div(tf.mul(gradient, learningRate), root(accumulator, epsilon));
        return { variable: tf.sub(variable, change), slots: { accumulator } };
      },
    };
  },
};

/** `keras/src/optimizers/adadelta.py` */
export const adadelta: OptimizerClass = {
  className: "Adadelta",
  defaults: { learning_rate: 0.001, rho: 0.95, epsilon: 1e-7 },
  rule: (settings, trained) => {
    const [rho, epsilon] = [numberSetting(settings, "rho"), numberSetting(settings, "epsilon")];
    const rootMeanSquare = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.add(x, epsilon));
    return {
      slots: zeroSlots(trained, ["accumulated_grad", "accumulated_delta_var"]),
      apply: (update) => {
        const { variable, gradient, slots, learningRate } = update;
        const deltas = slotOf(slots, "accumulated_delta_var");
        const accumulated = decay(slotOf(slots, "accumulated_grad"), squaredGradient(update), rho);
        const factor = tf.div(rootMeanSquare(deltas), rootMeanSquare(accumulated));
        const squaredDelta = tf.mul(tf.square(factor), squaredGradient(update));
        return {
          variable: tf.sub(variable, tf.mul(tf.mul(factor, gradient), learningRate)),
          slots: {
            accumulated_grad: accumulated,
            accumulated_delta_var: decay(deltas, squaredDelta, rho),
          },
        };
      },
    };
  },
};

/** `keras/src/optimizers/rmsprop.py` */
export const rmsprop: OptimizerClass = {
  className: "RMSprop",
  defaults: {
    learning_rate: 0.001,
    rho: 0.9,
    momentum: 0,
    epsilon: 1e-7,
    centered: false,
    epsilon_outside: false,
  },
  rule: (settings, trained) => {
    const [rho, momentum] = [numberSetting(settings, "rho"), numberSetting(settings, "momentum")];
    const epsilon = numberSetting(settings, "epsilon");
    const centered = settings["centered"] === true;
    const hasMomentum = momentum > 0;
    const momentumSlot = hasMomentum ? "momentum" : null;
    const isOutside = settings["epsilon_outside"] === true && !hasMomentum;
    const root = isOutside ? epsilonOutside : epsilonInside;
    return {
      slots: zeroSlots(trained, [
        "velocity",
        ...(hasMomentum ? ["momentum"] : []),
        ...(centered ? ["average_gradient"] : []),
      ]),
      apply: (update) => {
        const { variable, gradient, slots, learningRate } = update;
        const velocity = decay(slotOf(slots, "velocity"), squaredGradient(update), rho);
        const average = centered ? decay(slotOf(slots, "average_gradient"), gradient, rho) : undefined;
        const squares = average ? tf.sub(velocity, tf.square(average)) : velocity;
        const increment = tf.div(tf.mul(gradient, learningRate), root(squares, epsilon));
        const moved = hasMomentum
          ? tf.add(tf.mul(slotOf(slots, "momentum"), momentum), increment)
          : undefined;
        return {
          variable: tf.sub(variable, moved ?? increment),
          slots: {
            velocity,
            ...(moved && { momentum: moved }),
            ...(average && { average_gradient: average }),
          },
        };
      },
      ...(!isOutside && {
        operation: {
          name: centered ? "ResourceApplyCenteredRMSProp" : "ResourceApplyRMSProp",
          slots: centered ? ["average_gradient", "velocity", momentumSlot] : ["velocity", momentumSlot],
          operands: (learningRate) => [learningRate, rho, momentum, epsilon, "gradient"],
        },
      }),
      ...(!isOutside &&
        !hasMomentum &&
        !centered && {
          kernel: {
            name: "RmspropStep",
            slots: ["velocity"],
            settings: (learningRate) => ({ learningRate, rho, epsilon }),
          },
        }),
    };
  },
};

/** `keras/src/optimizers/ftrl.py` */
export const ftrl: OptimizerClass = {
  className: "Ftrl",
  defaults: {
    learning_rate: 0.001,
    learning_rate_power: -0.5,
    initial_accumulator_value: 0.1,
    l1_regularization_strength: 0,
    l2_regularization_strength: 0,
    l2_shrinkage_regularization_strength: 0,
    beta: 0,
  },
  rule: (settings, { shape }) => {
    const setting = (name: string): number => numberSetting(settings, name);
    const [power, beta] = [-setting("learning_rate_power"), setting("beta")];
    const [l1, l2] = [setting("l1_regularization_strength"), setting("l2_regularization_strength")];
    const shrinkage = setting("l2_shrinkage_regularization_strength");
    const raised = (x: tf.Tensor): tf.Tensor => (power === 0.5 ? tf.sqrt(x) : tf.pow(x, power));
    return {
      slots: {
        accumulator: { shape, initial: setting("initial_accumulator_value") },
        linear: { shape, initial: 0 },
      },
      apply: (update) => {
        const { variable, gradient, slots, learningRate } = update;
        const shrunk =
          shrinkage === 0 ? gradient : tf.add(gradient, tf.mul(variable, float32(2 * shrinkage)));
        const before = slotOf(slots, "accumulator");
        const accumulator = tf.add(before, squaredGradient(update));
        const sigma = tf.div(tf.sub(raised(accumulator), raised(before)), learningRate);
        const linear = tf.add(slotOf(slots, "linear"), tf.sub(shrunk, tf.mul(sigma, variable)));
        const penalty = float32(2 * (l2 + beta / (2 * learningRate)));
        const quadratic = tf.add(tf.div(raised(accumulator), learningRate), penalty);
        const clipped = tf.clipByValue(linear, -l1, l1);
        return { variable: tf.div(tf.sub(clipped, linear), quadratic), slots: { accumulator, linear } };
      },
    };
  },
};
