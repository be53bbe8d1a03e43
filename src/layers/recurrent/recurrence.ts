/** @file Cells whose step is a function of their weights: one by one, by a kernel, or as a graph over all steps. */
import type { JsonObject } from "../../checkpoint.ts";
import { canScan, scan } from "../../engine/graph/scan.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt } from "../../topology/config-values.ts";
import { activationName } from "../activation-functions.ts";
import type { KernelContext } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import type { Cell, CellStep } from "./cell.ts";
import type { Dropouts, Variants } from "./dropouts.ts";
import { multiplied } from "./dropouts.ts";
import type { WholeSequence } from "./whole-sequence.ts";

/** A cell's step as a function of its weights. */
export interface Recurrence extends Pick<Cell, "stateCount" | "prepare"> {
  /** The formula, which the config's functions and the number of weights complete. */
  readonly name: string;
  /** True if the states stay bounded whatever the inputs. */
  readonly isBounded: boolean;
  readonly dropped: Dropouts;
  /** The weights that the step reads. */
  readonly weights: readonly tf.Tensor[];
  readonly step: (
    weights: readonly tf.Tensor[],
    drop: (h: tf.Tensor) => Variants,
  ) => (prepared: tf.Tensor, states: readonly tf.Tensor[]) => CellStep;
  /** A kernel that takes all steps of a bounded cell, if no gate has dropout of its own. It prepares as the cell where absent. */
  readonly kernel?: Pick<WholeSequence, "take"> & Partial<Pick<WholeSequence, "prepare">>;
}

/** Returns the cell of a recurrence, whose states have the config's `units`. */
export function cellWith(config: JsonObject, context: KernelContext, recurrence: Recurrence): Cell {
  const { stateCount, prepare, weights, dropped } = recurrence;
  const step = recurrence.step(weights, dropped.states);
  const isScanned = canScan() && hasKnownFunctions(config);
  const whole = isScanned ? scanned(config, context, recurrence) : byKernel(recurrence);
  return {
    stateCount,
    prepare,
    start: (prepared) => {
      const shape = [sizeAt(prepared.shape, 0), numberAt(config, "units")];
      return Array.from({ length: stateCount }, () => tf.zeros(shape));
    },
    step,
    ...(whole && { whole }),
  };
}

/** Returns true if a config's functions are known by name. Layers stand for functions too, and sparsemax looks at values. */
function hasKnownFunctions(config: JsonObject): boolean {
  return [config["activation"], config["recurrent_activation"]]
    .map(activationName)
    .every((name) => name !== undefined && name !== "sparsemax");
}

function byKernel({ kernel, isBounded, dropped, prepare }: Recurrence): WholeSequence | undefined {
  if (!kernel || !isBounded || dropped.gatesApart) return undefined;
  return { output: 0, isBounded, prepare: kernel.prepare ?? prepare, take: kernel.take };
}

function scanned(config: JsonObject, { keras }: KernelContext, recurrence: Recurrence): WholeSequence {
  const { name, isBounded, prepare, weights, dropped, step } = recurrence;
  const { activation, recurrent_activation } = config;
  return {
    output: 0,
    isBounded,
    prepare,
    take: (steps, states) => {
      const { outputs, states: last } = scan({
        name: JSON.stringify([name, keras, activation, recurrent_activation]),
        sequences: [steps],
        states,
        weights,
        factors: dropped.stateFactors(firstInput(states)),
        step: (given) => {
          const take = step(given.weights, (h) => multiplied(h, given.factors));
          const { states: next } = take(firstInput(given.sequences), given.states);
          return { outputs: next, states: next };
        },
      });
      return { all: outputs, last: (state) => last[state] as tf.Tensor };
    },
  };
}
