import { attribute } from "./kernels/own-kernel.ts";
import type { NativeBackend } from "./native-engine.ts";
import { nativeBackend } from "./native-engine.ts";
import type { ResourceVariable } from "./resource-variable.ts";
import { resourceVariable } from "./resource-variable.ts";
import { tf } from "./tf.ts";

/** A TensorFlow operation that updates a variable and its slots in place (`tensorflow/core/ops/training_ops.cc`). */
export interface UpdateOperation {
  readonly name: string;
  /**
   * Names of the tensors between the variable and the operands. They have the variable's shape and are zero at first;
   * null for one that keeps nothing between updates.
   */
  readonly slots: readonly (string | null)[];
  readonly operands: (learningRate: number, step: number) => readonly (number | "gradient")[];
  readonly flags?: Readonly<Record<string, boolean>>;
  /** The update by the sum of squares of a gradient's addends in the place of its square; absent where the operation has none. */
  readonly bySquares?: SquaresUpdate;
}

/** An update in two parts: of the slot that averages squares, then of all else by the operation, which leaves that slot as it is. */
export interface SquaresUpdate {
  readonly slot: string;
  /** Returns the slot after the update. */
  readonly average: (slot: tf.Tensor, squares: tf.Tensor) => tf.Tensor;
  readonly operands: UpdateOperation["operands"];
}

/** The update of one variable. */
export interface InPlaceUpdate {
  /**
   * Updates the variable. Takes ownership of `variable`, which is released, and returns the new value, which the caller
   * owns. The caller keeps `gradient` and `squares`, which stands in the place of the gradient's square.
   */
  apply(
    variable: tf.Tensor,
    gradient: tf.Tensor,
    learningRate: number,
    step: number,
    squares?: tf.Tensor,
  ): tf.Tensor;
  /** Returns the kept slots by name. The next update does not change them; the caller owns them. */
  slots(): Readonly<Record<string, tf.Tensor>>;
  /** Sets the kept slots to the values of `slots`. The caller keeps `slots`. */
  restore(slots: Readonly<Record<string, tf.Tensor>>): void;
  dispose(): void;
}

/** The updates of an optimizer's variables, which share scalars and scratch memory. */
export interface InPlaceUpdates {
  of(operation: UpdateOperation, shape: readonly number[]): InPlaceUpdate;
  /** Releases the shared tensors. The owner of each update disposes it. */
  dispose(): void;
}

const mostScalars = 32;

/** Returns the updates of the native engine, undefined on another engine, which has no such operations. */
export function inPlaceUpdates(): InPlaceUpdates | undefined {
  const backend = nativeBackend();
  if (!backend) return undefined;
  const shared = sharedTensors(backend);
  return {
    of: (operation, shape) => inPlaceUpdate(backend, operation, shape, shared),
    dispose: () => shared.dispose(),
  };
}

interface SharedTensors {
  /** Returns scalar tensors that are valid until the next call. */
  scalars(values: readonly number[]): tf.Tensor[];
  scratch(shape: readonly number[]): ResourceVariable;
  dispose(): void;
}

function sharedTensors(backend: NativeBackend): SharedTensors {
  const scalars = new Map<number, tf.Tensor>();
  const scratches = new Map<string, ResourceVariable>();
  const forgetScalars = (): void => {
    tf.dispose([...scalars.values()]);
    scalars.clear();
  };
  return {
    scalars: (values) => {
      if (scalars.size + values.length > mostScalars) forgetScalars();
      return values.map((value) => {
        const scalar = scalars.get(value) ?? tf.keep(tf.scalar(value));
        scalars.set(value, scalar);
        return scalar;
      });
    },
    scratch: (shape) => {
      const key = shape.join();
      const variable = scratches.get(key) ?? zeros(backend, shape);
      scratches.set(key, variable);
      return variable;
    },
    dispose: () => {
      forgetScalars();
      for (const variable of scratches.values()) variable.dispose();
      scratches.clear();
    },
  };
}

function zeros(backend: NativeBackend, shape: readonly number[]): ResourceVariable {
  const value = tf.zeros([...shape]);
  const variable = resourceVariable(backend, value);
  value.dispose();
  return variable;
}

function inPlaceUpdate(
  backend: NativeBackend,
  { name, slots, operands, flags = {}, bySquares }: UpdateOperation,
  shape: readonly number[],
  shared: SharedTensors,
): InPlaceUpdate {
  const kept = slots.map((slot) => (slot === null ? undefined : zeros(backend, shape)));
  const attributes = [
    attribute.float(backend, "T"),
    ...Object.entries({ use_locking: false, ...flags }).map(([flag, value]) =>
      attribute.flag(backend, flag, value),
    ),
  ];
  let moving: { readonly variable: ResourceVariable; value: tf.Tensor } | undefined;
  const averageSquares = (squares: tf.Tensor): SquaresUpdate["operands"] => {
    const variable = kept[slots.indexOf(bySquares?.slot ?? "")];
    if (!bySquares || !variable) throw new Error(`optimizer: ${name} takes no squares`);
    const before = variable.read();
    const after = tf.tidy(() => bySquares.average(before, squares));
    variable.assign(after);
    tf.dispose([before, after]);
    return bySquares.operands;
  };
  return {
    apply: (variable, gradient, learningRate, step, squares) => {
      if (!moving) moving = { variable: resourceVariable(backend, variable), value: variable };
      else if (moving.value !== variable) moving.variable.assign(variable);
      variable.dispose();
      const places = [moving.variable, ...kept.map((slot) => slot ?? shared.scratch(shape))];
      const values = (squares ? averageSquares(squares) : operands)(learningRate, step);
      const scalars = shared.scalars(values.filter((value) => value !== "gradient"));
      const inputs = [
        ...places.map(({ handle }) => handle),
        ...values.map((value) => (value === "gradient" ? gradient : (scalars.shift() as tf.Tensor))),
      ];
      backend.executeMultipleOutputs(name, attributes, inputs, 0);
      moving.value = moving.variable.read();
      return moving.value;
    },
    slots: () =>
      Object.fromEntries(
        slots.flatMap((slot, index) => {
          const variable = kept[index];
          return slot === null || !variable ? [] : [[slot, variable.read()]];
        }),
      ),
    restore: (values) => {
      slots.forEach((slot, index) => {
        const value = slot === null ? undefined : values[slot];
        if (value) kept[index]?.assign(value);
      });
    },
    dispose: () => {
      for (const variable of [moving?.variable, ...kept]) variable?.dispose();
    },
  };
}
