/** @file Recurrences: cells whose step is a function of their weights, taken one by one, by a kernel, or as a graph over all steps. */
import type { JsonObject } from "../../checkpoint.ts";
import { canScan, scan } from "../../engine/graph/scan.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { activationName } from "../activation-functions.ts";
import type { KernelContext } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import type { Cell, CellStep } from "./cell.ts";
import type { Factors } from "./dropouts.ts";
import { overTime } from "./dropouts.ts";
import type { WholeSequence } from "./whole-sequence.ts";

type Tensors = readonly tf.Tensor[];

/** A part of a step as a function of its weights and of factors that are the same at every step. */
export interface Part {
  readonly weights: Tensors;
  readonly factors: Factors;
}

/** The part of a step that does not depend on the states, for one step or for a whole sequence. */
export interface Projection extends Part {
  readonly compute: (x: tf.Tensor, weights: Tensors, factors: Tensors) => tf.Tensor;
}

/** A cell's step as a function of its weights. The factors are those of a state. */
export interface Recurrence extends Part {
  /** The formula with its functions; the number of weights and the shapes complete it. */
  readonly name: string;
  /** The number of units of each state. */
  readonly stateSizes: readonly number[];
  /** The number of the state that is the output. */
  readonly output: number;
  /** True if the states stay bounded whatever the inputs. */
  readonly isBounded: boolean;
  /** True if a step looks at no values, so that it can be repeated in a graph. */
  readonly isRepeatable: boolean;
  readonly projection: Projection;
  readonly step: (weights: Tensors, factors: Tensors) => (prepared: tf.Tensor, states: Tensors) => CellStep;
  /** Takes all steps by kernels, where there are any and the dropouts allow it. */
  readonly byKernel?: WholeSequence;
}

/** Returns the formula of a cell with the functions of its config. */
export function formula(name: string, config: JsonObject, { keras }: KernelContext): string {
  return JSON.stringify([name, keras, config["activation"], config["recurrent_activation"]]);
}

/** Returns true if a config's functions are known by name. Layers stand for functions too, and sparsemax looks at values. */
export function hasKnownFunctions(config: JsonObject): boolean {
  return [config["activation"], config["recurrent_activation"]]
    .map(activationName)
    .every((name) => name !== undefined && name !== "sparsemax");
}

/** Computes the part of a sequence that does not depend on the states; its time stands at axis 1 if not at another. */
export function projected({ compute, weights, factors }: Projection, x: tf.Tensor, timeAxis = 1): tf.Tensor {
  return compute(x, weights, factors.of(overTime(x.shape, timeAxis)));
}

/** Returns the cell of a recurrence. */
export function cellWith(recurrence: Recurrence): Cell {
  const { stateSizes, projection, weights, factors, step, byKernel } = recurrence;
  const whole = canScan() && recurrence.isRepeatable ? scanned(recurrence) : byKernel;
  return {
    stateCount: stateSizes.length,
    prepare: (x, timeAxis) => projected(projection, x, timeAxis),
    start: (prepared) => stateSizes.map((size) => tf.zeros([sizeAt(prepared.shape, 0), size])),
    step: (prepared, states) => step(weights, factors.of(firstInput(states).shape))(prepared, states),
    ...(whole && { whole }),
  };
}

/** Takes all steps as one graph. */
function scanned({ name, output, isBounded, projection, weights, factors, step }: Recurrence): WholeSequence {
  return {
    output,
    isBounded,
    prepare: (x, timeAxis) => projected(projection, x, timeAxis),
    take: (steps, states, count) => {
      const { outputs, states: last } = scan({
        name,
        sequences: [steps],
        states,
        weights,
        factors: factors.of(firstInput(states).shape),
        ...(count && { count }),
        step: (given) => {
          const take = step(given.weights, given.factors);
          const { states: next } = take(firstInput(given.sequences), given.states);
          return { outputs: next, states: next };
        },
      });
      return { all: outputs, last: (state) => last[state] as tf.Tensor };
    },
  };
}
