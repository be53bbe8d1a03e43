/**
 * Definition of an optimizer class: Keras's update formula (`update_step` in `keras/src/optimizers/*.py`) on the tensors of one variable.
 * Scalars are rounded to float32 where Keras computes them in float32.
 */
import type { Json } from "../../checkpoint.ts";
import type { UpdateOperation } from "../../engine/in-place-updates.ts";
import type { UpdateKernel } from "../../engine/one-pass-update.ts";
import { tf } from "../../engine/tf.ts";
import type { Addends } from "../../model/lookup-addends.ts";
import { sumOf } from "../../model/lookup-addends.ts";

export type Slots = Readonly<Record<string, tf.Tensor>>;

/** A trained variable as an optimizer sees it. */
export interface TrainedVariable {
  /** `layer path/weight name`. */
  readonly path: string;
  readonly shape: readonly number[];
}

export interface SlotSpec {
  readonly shape: readonly number[];
  /** The value of every element, or the variable's own values. */
  readonly initial: number | "variable";
}

export interface Update {
  readonly variable: tf.Tensor;
  readonly gradient: tf.Tensor;
  /**
   * Addends of a lookup table's gradient: TensorFlow squares them, and takes their magnitudes, one by one before it adds
   * them up.
   */
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

/** Update of one variable, and what is kept for it between updates. */
export interface UpdateRule {
  /** Slots by name, in the order in which Keras makes them for the variable. */
  readonly slots: Readonly<Record<string, SlotSpec>>;
  readonly apply: (update: Update) => Updated;
  /** TensorFlow's operation that computes the same (`tensorflow/core/kernels/training_ops.cc`); absent where none does. */
  readonly operation?: UpdateOperation;
  /** The kernel of WebAssembly that computes the same in one pass; absent where there is none. */
  readonly kernel?: UpdateKernel;
  /** Stands in the place of the optimizer's `weight_decay` for this variable. */
  readonly weightDecay?: number | null;
}

/** The settings of an optimizer, every one that its class has. */
export type OptimizerSettings = Readonly<Record<string, Json>>;

export interface OptimizerClass {
  readonly className: string;
  /** Constructor defaults of Keras 3 besides those that all classes share. */
  readonly defaults: OptimizerSettings;
  rule(settings: OptimizerSettings, variable: TrainedVariable): UpdateRule;
}

export const float32: (value: number) => number = Math.fround;

export function numberSetting(settings: OptimizerSettings, name: string): number {
  return settings[name] as number;
}

/** Returns slots of the variable's own shape, zero at first. */
export function zeroSlots<Name extends string>(
  { shape }: TrainedVariable,
  names: readonly Name[],
): Readonly<Record<Name, SlotSpec>> {
  return Object.fromEntries(names.map((name) => [name, { shape, initial: 0 }])) as Record<Name, SlotSpec>;
}

/** Returns the slot of that name. @throws {Error} where the rule has none. */
export function slotOf(slots: Slots, name: string): tf.Tensor {
  const slot = slots[name];
  if (!slot) throw new Error(`optimizer: expected a slot ${name}, got ${Object.keys(slots).join(", ")}`);
  return slot;
}

export function squaredGradient({ gradient, addends }: Update): tf.Tensor {
  return addends ? sumOfSquares(addends, gradient.shape[0] ?? 0) : tf.square(gradient);
}

/** Returns the sum of the squares of a gradient's addends, `[rowCount, ...]`. */
export function sumOfSquares(addends: Addends, rowCount: number): tf.Tensor {
  return sumOf({ ...addends, values: tf.square(addends.values) }, rowCount);
}

export function gradientMagnitude({ gradient, addends }: Update): tf.Tensor {
  if (!addends) return tf.abs(gradient);
  return sumOf({ ...addends, values: tf.abs(addends.values) }, gradient.shape[0] ?? 0);
}

/** Returns `average + (value - average) * rate`. */
export function blend(average: tf.Tensor, value: tf.Tensor, rate: number): tf.Tensor {
  return tf.add(average, tf.mul(tf.sub(value, average), rate));
}

/** Returns `rho * average + (1 - rho) * value`. */
export function decay(average: tf.Tensor, value: tf.Tensor, rho: number): tf.Tensor {
  return tf.add(tf.mul(average, rho), tf.mul(value, 1 - rho));
}
