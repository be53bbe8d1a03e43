/** @file Adam's update in one pass over the variable, on WebAssembly. */
import { tf } from "./tf.ts";
import { wasmBackendName } from "./wasm-engine.ts";

export interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The number of this update, from 1. */
  readonly step: number;
}

/** The moving averages of one variable's gradient and of its square. */
export interface AdamAverages {
  /** The average of the gradient. Every `apply` overwrites it. */
  readonly momentum: tf.Tensor;
  readonly velocity: tf.Tensor;
  /**
   * Moves the variable against `gradient` (`keras/src/optimizers/adam.py`, without amsgrad). Takes ownership of
   * `variable`, which is released, and returns the new value, which the caller owns. The caller keeps `gradient`.
   */
  apply(variable: tf.Tensor, gradient: tf.Tensor, settings: AdamSettings): tf.Tensor;
  dispose(): void;
}

/** Returns true if the current backend has Adam's update in one pass. */
export function canUpdateInPlace(): boolean {
  return tf.getBackend() === wasmBackendName;
}

/**
 * Creates averages from `momentum` and `velocity`, of which it takes ownership; both default to zeros. They are
 * overwritten in place. The variable is not, since the backend caches filters by their tensor.
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
