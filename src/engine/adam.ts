/** Adam's update in one pass over the variable, on WebAssembly. */
import { tf } from "./tf.ts";

export interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The number of this update, from 1. */
  readonly step: number;
}

/** One variable's averages of its gradient and of its square. */
export interface AdamAverages {
  /** Overwritten by every `apply`. */
  readonly momentum: tf.Tensor;
  readonly velocity: tf.Tensor;
  /**
   * The variable moved against `gradient` (`keras/src/optimizers/adam.py`, without amsgrad). Takes `variable` over: it is released, and
   * what is returned is the caller's. `gradient` stays the caller's.
   */
  apply(variable: tf.Tensor, gradient: tf.Tensor, settings: AdamSettings): tf.Tensor;
  dispose(): void;
}

/**
 * Returns averages that take `momentum` and `velocity` over; zero at first without them. They are overwritten in place; the variable
 * is not, since the backend remembers filters by their tensor.
 */
export function adamAverages(
  shape: readonly number[],
  momentum: tf.Tensor = tf.keep(tf.zeros([...shape])),
  velocity: tf.Tensor = tf.keep(tf.zeros([...shape])),
): AdamAverages {
  return {
    momentum,
    velocity,
    apply: (variable, gradient, settings) => {
      const inputs = { variable, gradient, momentum, velocity };
      const moved = tf.engine().runKernel("AdamStep", inputs, { ...settings }) as tf.Tensor;
      variable.dispose();
      return moved;
    },
    dispose: () => tf.dispose([momentum, velocity]),
  };
}
