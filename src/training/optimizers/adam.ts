/** Adam and its relatives: AdamW, Adamax, Nadam, Lamb and ScheduleFreeAdamW. */
import type { UpdateOperation } from "../../engine/in-place-updates.ts";
import { tf } from "../../engine/tf.ts";
import type { OptimizerClass, OptimizerSettings, TrainedVariable, UpdateRule } from "./update-rule.ts";
import {
  blend,
  float32,
  gradientMagnitude,
  numberSetting,
  slotOf,
  squaredGradient,
  zeroSlots,
} from "./update-rule.ts";

const betas = { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 } as const;
const defaults = { learning_rate: 0.001, ...betas } as const;

interface Moments {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

function momentsOf(settings: OptimizerSettings): Moments {
  return {
    beta1: numberSetting(settings, "beta_1"),
    beta2: numberSetting(settings, "beta_2"),
    epsilon: numberSetting(settings, "epsilon"),
  };
}

/** Returns `1 - beta ** step` in float32. */
function correction(beta: number, step: number): number {
  return float32(1 - float32(float32(beta) ** step));
}

/** `keras/src/optimizers/adam.py` */
export const adam: OptimizerClass = {
  className: "Adam",
  defaults: { ...defaults, amsgrad: false },
  rule: (settings, variable) => adamRule(momentsOf(settings), settings["amsgrad"] === true, variable),
};

/** `keras/src/optimizers/adamw.py`: Adam whose weights decay by default. */
export const adamW: OptimizerClass = {
  ...adam,
  className: "AdamW",
  defaults: { ...adam.defaults, weight_decay: 0.004 },
};

export function adamRule(moments: Moments, amsgrad: boolean, trained: TrainedVariable): UpdateRule {
  const { beta1, beta2, epsilon } = moments;
  return {
    slots: zeroSlots(trained, ["momentum", "velocity", ...(amsgrad ? ["velocity_hat"] : [])]),
    apply: (update) => {
      const { variable, gradient, slots, learningRate, step } = update;
      const alpha = float32(Math.sqrt(correction(beta2, step)) / correction(beta1, step));
      const momentum = blend(slotOf(slots, "momentum"), gradient, 1 - beta1);
      const velocity = blend(slotOf(slots, "velocity"), squaredGradient(update), 1 - beta2);
      const highest = amsgrad ? tf.maximum(slotOf(slots, "velocity_hat"), velocity) : undefined;
      const scaled = tf.mul(momentum, float32(learningRate * alpha));
      return {
        variable: tf.sub(variable, tf.div(scaled, tf.add(tf.sqrt(highest ?? velocity), epsilon))),
        slots: { momentum, velocity, ...(highest && { velocity_hat: highest }) },
      };
    },
    ...(!amsgrad && {
      operation: adamOperation(moments),
      kernel: {
        name: "AdamStep",
        slots: ["momentum", "velocity"],
        settings: (learningRate, step) => ({ learningRate, beta1, beta2, epsilon, step }),
      },
    }),
  };
}

function adamOperation({ beta1, beta2, epsilon }: Moments): UpdateOperation {
  /** Returns the operands of an operation that takes the share `1 - keeping` of the gradient's square into the velocity. */
  const operands =
    (keeping: number): UpdateOperation["operands"] =>
    (learningRate, step) => [
      float32(beta1) ** step,
      float32(beta2) ** step,
      learningRate,
      beta1,
      keeping,
      epsilon,
      "gradient",
    ];
  return {
    name: "ResourceApplyAdam",
    slots: ["momentum", "velocity"],
    operands: operands(beta2),
    flags: { use_nesterov: false },
    bySquares: {
      slot: "velocity",
      average: (velocity, squares) => blend(velocity, squares, 1 - beta2),
      operands: operands(1),
    },
  };
}

/** `keras/src/optimizers/adamax.py` */
export const adamax: OptimizerClass = {
  className: "Adamax",
  defaults,
  rule: (settings, trained) => {
    const { beta1, beta2, epsilon } = momentsOf(settings);
    return {
      slots: zeroSlots(trained, ["momentum", "norm"]),
      apply: (update) => {
        const { variable, gradient, slots, learningRate, step } = update;
        const momentum = blend(slotOf(slots, "momentum"), gradient, 1 - beta1);
        const norm = tf.maximum(tf.mul(slotOf(slots, "norm"), beta2), gradientMagnitude(update));
        const divisor = tf.mul(tf.add(norm, epsilon), correction(beta1, step));
        const change = tf.div(tf.mul(momentum, learningRate), divisor);
        return { variable: tf.sub(variable, change), slots: { momentum, norm } };
      },
    };
  },
};

/**
 * `keras/src/optimizers/nadam.py`. `schedule_decay` is no argument of Keras 3: in files of Keras 1 and of the legacy optimizers of
 * Keras 2 it slows the momentum's schedule down.
 */
export const nadam: OptimizerClass = {
  className: "Nadam",
  defaults: { ...defaults, schedule_decay: 1 },
  rule: (settings, trained) => {
    const { beta1, beta2, epsilon } = momentsOf(settings);
    const slowness = numberSetting(settings, "schedule_decay");
    const share = (step: number): number =>
      float32(1 - float32(0.5 * float32(float32(0.96) ** (slowness * step))));
    const momentumAt = (step: number): number => float32(float32(beta1) * share(step));
    const products = [1];
    const productAt = (step: number): number => {
      for (let next = products.length; next <= step; next++) {
        products.push(float32(float32((products[next - 1] ?? 1) * float32(beta1)) * share(next)));
      }
      return products[step] ?? 1;
    };
    return {
      slots: zeroSlots(trained, ["momentum", "velocity"]),
      apply: (update) => {
        const { variable, gradient, slots, learningRate, step } = update;
        const product = productAt(step);
        const next = momentumAt(step + 1);
        const momentum = blend(slotOf(slots, "momentum"), gradient, float32(1 - float32(beta1)));
        const velocity = blend(
          slotOf(slots, "velocity"),
          squaredGradient(update),
          float32(1 - float32(beta2)),
        );
        const momentumHat = tf.add(
          tf.div(tf.mul(momentum, next), float32(1 - float32(product * next))),
          tf.div(tf.mul(gradient, float32(1 - momentumAt(step))), float32(1 - product)),
        );
        const velocityHat = tf.div(velocity, correction(beta2, step));
        const change = tf.div(tf.mul(momentumHat, learningRate), tf.add(tf.sqrt(velocityHat), epsilon));
        return { variable: tf.sub(variable, change), slots: { momentum, velocity } };
      },
    };
  },
};

/** `keras/src/optimizers/lamb.py` */
export const lamb: OptimizerClass = {
  className: "Lamb",
  defaults,
  rule: (settings, trained) => {
    const { beta1, beta2, epsilon } = momentsOf(settings);
    const length = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.sum(tf.square(x)));
    return {
      slots: zeroSlots(trained, ["momentum", "velocity"]),
      apply: (update) => {
        const { variable, gradient, slots, learningRate, step } = update;
        const momentum = blend(slotOf(slots, "momentum"), gradient, 1 - beta1);
        const velocity = blend(slotOf(slots, "velocity"), squaredGradient(update), 1 - beta2);
        const divisor = tf.add(tf.sqrt(tf.div(velocity, correction(beta2, step))), epsilon);
        const direction = tf.div(tf.div(momentum, correction(beta1, step)), divisor);
        const [own, others] = [length(variable), length(direction)];
        const known = tf.logicalAnd(tf.greater(own, 0), tf.greater(others, 0));
        const ratio = tf.where(known, tf.divNoNan(own, others), tf.onesLike(own));
        const change = tf.mul(tf.mul(ratio, learningRate), direction);
        return { variable: tf.sub(variable, change), slots: { momentum, velocity } };
      },
    };
  },
};

/**
 * `keras/src/optimizers/schedule_free_adamw.py` as Keras 3.15 runs it on TensorFlow. `momentum`, the fast sequence, is meant to start
 * at the weights; Keras's `fit` builds the optimizer in a graph that it throws away, so that it starts at zero and the first update
 * forgets the weights. `starts_at_weights`, no argument of Keras, starts it where it is meant to. What the source calls
 * `momentum_old` is TensorFlow's variable itself, read after it has moved.
 */
export const scheduleFreeAdamW: OptimizerClass = {
  className: "ScheduleFreeAdamW",
  defaults: {
    learning_rate: 0.0025,
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-8,
    warmup_steps: 0,
    starts_at_weights: false,
  },
  rule: (settings, { shape }) => {
    const { beta1, beta2, epsilon } = momentsOf(settings);
    const warmup = numberSetting(settings, "warmup_steps");
    const rest = float32(1 - float32(beta1));
    const initial = settings["starts_at_weights"] === true ? "variable" : 0;
    return {
      slots: { momentum: { shape, initial }, velocity: { shape, initial: 0 } },
      apply: (update) => {
        const { variable, gradient, slots, learningRate, step } = update;
        const rate = warmup > 0 ? float32(learningRate * Math.min(float32(step / warmup), 1)) : learningRate;
        const velocity = blend(
          slotOf(slots, "velocity"),
          squaredGradient(update),
          float32(1 - float32(beta2)),
        );
        const divisor = tf.add(tf.sqrt(tf.div(velocity, correction(beta2, step))), epsilon);
        const momentum = tf.sub(slotOf(slots, "momentum"), tf.div(tf.mul(gradient, rate), divisor));
        const weight = float32(1 / step);
        const average = tf.div(tf.sub(variable, tf.mul(momentum, rest)), float32(beta1));
        const moved = tf.add(tf.mul(average, float32(1 - weight)), tf.mul(momentum, weight));
        return {
          variable: tf.add(tf.mul(momentum, rest), tf.mul(moved, float32(beta1))),
          slots: { momentum, velocity },
        };
      },
    };
  },
};
