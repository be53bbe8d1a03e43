import type { AdamAverages } from "../../engine/adam.ts";
import { adamAverages, canUpdateInPlace } from "../../engine/adam.ts";
import type { InPlaceUpdates } from "../../engine/in-place-updates.ts";
import { inPlaceUpdates } from "../../engine/in-place-updates.ts";
import { heldTensor, valuesOf } from "../../engine/tensor-values.ts";
import { tf } from "../../engine/tf.ts";
import { lazyTensor } from "../../lazy-tensor.ts";
import type { Addends } from "../../model/lookup-addends.ts";
import type { Tensor } from "../../tensor.ts";
import type { OptimizerConfig } from "../optimizer-config.ts";
import type { SlotSpec, Slots, Updated, UpdateRule } from "./update-rule.ts";

type HostSlots = Readonly<Record<string, Tensor>>;

/** Moves one weight, and keeps its slots on the engine. */
export interface Mover {
  /** The shapes of its slots. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Takes `variable` over; what is returned is the holder's. The gradient and its addends stay the caller's. */
  move(
    variable: tf.Tensor,
    gradient: tf.Tensor,
    learningRate: number,
    step: number,
    addends?: Addends,
  ): tf.Tensor;
  /** Returns the tensors that `slots` reads, which stay the mover's; none where reading needs no preparation. */
  tensors(): readonly tf.Tensor[];
  /** Returns its slots, each of which is read when its values are asked for, as it is then. */
  slots(): HostSlots;
  /** Replaces every slot; their shapes are right. */
  restore(slots: HostSlots): void;
  dispose(): void;
}

/** Makes the movers of one optimizer, which share scalars and scratch. */
export interface Movers {
  /** `variable` stays the caller's. */
  of(rule: UpdateRule, variable: tf.Tensor, hasAddends: boolean): Mover;
  /** Releases what is shared; each mover is disposed by its holder. */
  dispose(): void;
}

/**
 * TensorFlow's in-place operations on the native engine, Adam in one pass on WebAssembly, and the rule's own operations for everything
 * else, which is all that a GPU has.
 */
export function createMovers({ className, settings }: OptimizerConfig): Movers {
  const inPlace = inPlaceUpdates();
  const isAdam = (className === "Adam" || className === "AdamW") && settings["amsgrad"] !== true;
  const adam = { beta1: settings["beta_1"], beta2: settings["beta_2"], epsilon: settings["epsilon"] };
  return {
    of: (rule, variable, hasAddends) => {
      if (hasAddends) return ruleMover(rule, variable);
      if (inPlace) return rule.operation ? inPlaceMover(inPlace, rule, variable) : ruleMover(rule, variable);
      return isAdam && canUpdateInPlace()
        ? adamMover(rule, variable, adam as AdamNumbers)
        : ruleMover(rule, variable);
    },
    dispose: () => inPlace?.dispose(),
  };
}

function inPlaceMover(inPlace: InPlaceUpdates, rule: UpdateRule, { shape }: tf.Tensor): Mover {
  const { operation } = rule;
  if (!operation) throw new Error("optimizer: a rule without an operation");
  const update = inPlace.of(operation, shape);
  const names = Object.keys(rule.slots);
  return {
    shapes: shapesOf(rule),
    move: (variable, gradient, learningRate, step) => update.apply(variable, gradient, learningRate, step),
    tensors: () => [],
    slots: () => {
      const valuesOfSlot = (name: string): Float32Array => {
        const read = update.slots();
        const values = valuesOf(known(read, name));
        tf.dispose({ ...read });
        return values;
      };
      const facts = { dtype: "float32" as const, shape };
      return Object.fromEntries(names.map((name) => [name, lazyTensor(facts, () => valuesOfSlot(name))]));
    },
    restore: (slots) => {
      const tensors = uploadAll(slots, rule.slots);
      update.restore(tensors);
      tf.dispose({ ...tensors });
    },
    dispose: () => update.dispose(),
  };
}

interface AdamNumbers {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Adam in one pass over the variable, its averages in place. */
function adamMover(rule: UpdateRule, { shape }: tf.Tensor, numbers: AdamNumbers): Mover {
  let averages: AdamAverages = adamAverages(shape);
  return {
    shapes: shapesOf(rule),
    move: (variable, gradient, learningRate, step) =>
      averages.apply(variable, gradient, { learningRate, ...numbers, step }),
    tensors: () => [],
    slots: () => heldAll({ momentum: averages.momentum, velocity: averages.velocity }),
    restore: (slots) => {
      averages.dispose();
      const { momentum, velocity } = uploadAll(slots, rule.slots);
      averages = adamAverages(shape, momentum, velocity);
    },
    dispose: () => averages.dispose(),
  };
}

function ruleMover(rule: UpdateRule, variable: tf.Tensor): Mover {
  let slots: Slots = Object.fromEntries(
    Object.entries(rule.slots).map(([name, spec]) => [name, tf.keep(initialSlot(spec, variable))]),
  );
  const replace = (replacement: Slots): void => {
    tf.dispose({ ...slots });
    slots = replacement;
  };
  return {
    shapes: shapesOf(rule),
    move: (value, gradient, learningRate, step, addends) => {
      const update = { variable: value, gradient, addends, slots, learningRate, step };
      const updated = tf.tidy(
        () => rule.apply(update) as unknown as tf.TensorContainer,
      ) as unknown as Updated;
      replace(updated.slots);
      value.dispose();
      for (const slot of Object.values(updated.slots)) tf.keep(slot);
      return updated.variable;
    },
    tensors: () => Object.values(slots),
    slots: () => heldAll(slots),
    restore: (given) => replace(uploadAll(given, rule.slots)),
    dispose: () => replace({}),
  };
}

function initialSlot({ shape, initial }: SlotSpec, variable: tf.Tensor): tf.Tensor {
  return initial === "variable" ? tf.mul(variable, 1) : tf.fill([...shape], initial);
}

function shapesOf({ slots }: UpdateRule): Mover["shapes"] {
  return Object.fromEntries(Object.entries(slots).map(([name, { shape }]) => [name, shape]));
}

function heldAll(slots: Slots): HostSlots {
  return Object.fromEntries(Object.entries(slots).map(([name, slot]) => [name, heldTensor(slot)]));
}

/** Returns the named slots on the engine; the caller's. */
function uploadAll(slots: HostSlots, specs: UpdateRule["slots"]): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.keys(specs).map((name) => {
      const { data, shape } = known(slots, name);
      return [name, tf.keep(tf.tensor(Float32Array.from(data as Float32Array), [...shape], "float32"))];
    }),
  );
}

function known<T>(record: Readonly<Record<string, T>>, name: string): T {
  const value = record[name];
  if (value === undefined) throw new Error(`optimizer: no slot ${name}`);
  return value;
}
