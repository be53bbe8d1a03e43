import type { InPlaceUpdates } from "../../engine/in-place-updates.ts";
import { inPlaceUpdates } from "../../engine/in-place-updates.ts";
import type { UpdateKernel } from "../../engine/one-pass-update.ts";
import { canUpdateInOnePass, onePassUpdate } from "../../engine/one-pass-update.ts";
import { heldTensor, valuesOf } from "../../engine/tensor-values.ts";
import { tf } from "../../engine/tf.ts";
import { lazyTensor } from "../../lazy-tensor.ts";
import type { Addends } from "../../model/lookup-addends.ts";
import type { Tensor } from "../../tensor.ts";
import type { TensorPlace } from "../tensor-mark.ts";
import { placeIn } from "../tensor-mark.ts";
import type { SlotSpec, Slots, Updated, UpdateRule } from "./update-rule.ts";
import { sumOfSquares } from "./update-rule.ts";

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
  /** Returns the places of `tensors`. */
  places(): readonly TensorPlace[];
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
 * Returns TensorFlow's in-place operations on the native engine, kernels of one pass on WebAssembly, and the rule's own operations
 * where there is none, as on a GPU.
 */
export function createMovers(): Movers {
  const inPlace = inPlaceUpdates();
  return {
    of: (rule, variable, hasAddends) => {
      if (inPlace && rule.operation && (!hasAddends || rule.operation.bySquares))
        return inPlaceMover(inPlace, rule, variable);
      return !hasAddends && rule.kernel && canUpdateInOnePass()
        ? onePassMover(rule.kernel, rule, variable)
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
    move: (variable, gradient, learningRate, step, addends) => {
      const squares = addends && tf.tidy(() => sumOfSquares(addends, shape[0] ?? 0));
      const moved = update.apply(variable, gradient, learningRate, step, squares);
      squares?.dispose();
      return moved;
    },
    tensors: () => [],
    places: () => [],
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

/** Moves a weight by a kernel, which overwrites the slots. */
function onePassMover(kernel: UpdateKernel, rule: UpdateRule, { shape }: tf.Tensor): Mover {
  const zeros = kernel.slots.map((name) => [name, tf.keep(tf.zeros(shape))] as const);
  let update = onePassUpdate(kernel, Object.fromEntries(zeros));
  return {
    shapes: shapesOf(rule),
    move: (variable, gradient, learningRate, step) => update.apply(variable, gradient, learningRate, step),
    tensors: () => [],
    places: () => [],
    slots: () => heldAll(update.slots),
    restore: (slots) => {
      update.dispose();
      update = onePassUpdate(kernel, uploadAll(slots, rule.slots));
    },
    dispose: () => update.dispose(),
  };
}

function ruleMover(rule: UpdateRule, variable: tf.Tensor): Mover {
  const slots: Record<string, tf.Tensor> = Object.fromEntries(
    Object.entries(rule.slots).map(([name, spec]) => [name, tf.keep(initialSlot(spec, variable))]),
  );
  const replace = (replacement: Slots): void => {
    tf.dispose(slots);
    Object.assign(slots, replacement);
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
    places: () => Object.keys(rule.slots).map((name) => placeIn(slots, name)),
    slots: () => heldAll(slots),
    restore: (given) => replace(uploadAll(given, rule.slots)),
    dispose: () => tf.dispose(slots),
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
