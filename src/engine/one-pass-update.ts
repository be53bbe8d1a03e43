/** @file Updates in one pass over the variable, on WebAssembly. */
import { tf } from "./tf.ts";
import { wasmBackendName } from "./wasm-name.ts";

/** A kernel that updates a variable and overwrites its slots. */
export interface UpdateKernel {
  readonly name: "AdamStep" | "RmspropStep";
  /** Names of the slots, which have the variable's shape. */
  readonly slots: readonly string[];
  /** Returns what the kernel is told of an update, which is the `step`th, from 1. */
  readonly settings: (learningRate: number, step: number) => Readonly<Record<string, number>>;
}

type Slots = Readonly<Record<string, tf.Tensor>>;

/** The update of one variable. */
export interface OnePassUpdate {
  /** The slots by name. Every `apply` overwrites them. */
  readonly slots: Slots;
  /**
   * Moves the variable against `gradient`. Takes ownership of `variable`, which is released, and returns the new value,
   * which the caller owns. The caller keeps `gradient`.
   */
  apply(variable: tf.Tensor, gradient: tf.Tensor, learningRate: number, step: number): tf.Tensor;
  dispose(): void;
}

/** Returns true if the current backend has updates in one pass. */
export function canUpdateInOnePass(): boolean {
  return tf.getBackend() === wasmBackendName;
}

/**
 * Creates an update from its slots, of which it takes ownership. They are overwritten in place. The variable is not, since
 * the backend caches filters by their tensor.
 */
export function onePassUpdate({ name, settings }: UpdateKernel, slots: Slots): OnePassUpdate {
  return {
    slots,
    apply: (variable, gradient, learningRate, step) => {
      const inputs = { variable, gradient, ...slots };
      const moved = tf.engine().runKernel(name, inputs, settings(learningRate, step)) as tf.Tensor;
      variable.dispose();
      return moved;
    },
    dispose: () => tf.dispose({ ...slots }),
  };
}
