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

/** One variable's averages of its gradient and of its square, which begin at zero. */
export interface AdamAverages {
  /**
   * The variable moved against `gradient` (`keras/src/optimizers/adam.py`, without amsgrad). Takes `variable` over: it is released, and
   * what is returned is the caller's. `gradient` stays the caller's.
   */
  apply(variable: tf.Tensor, gradient: tf.Tensor, settings: AdamSettings): tf.Tensor;
  dispose(): void;
}

/** Overwrites the averages; the variable it does not, since the backend remembers filters by their tensor. */
export function adamAverages(shape: readonly number[]): AdamAverages {
  const averages = { momentum: tf.keep(tf.zeros([...shape])), velocity: tf.keep(tf.zeros([...shape])) };
  return {
    apply: (variable, gradient, settings) => {
      const inputs = { variable, gradient, ...averages };
      const moved = tf.engine().runKernel("AdamStep", inputs, { ...settings }) as tf.Tensor;
      variable.dispose();
      return moved;
    },
    dispose: () => tf.dispose([averages.momentum, averages.velocity]),
  };
}
