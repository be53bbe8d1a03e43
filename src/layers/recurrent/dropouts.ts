/** @file The dropout of recurrent cells (`keras/src/layers/rnn/dropout_rnn_cell.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { reserved } from "../drawn.ts";
import type { KernelContext } from "../kernel.ts";
import { keptBy, uniform } from "../regularization.ts";

/** An input or state in one variant for all gates, or in one for each gate. */
export type Variants = readonly [tf.Tensor, ...tf.Tensor[]];

/** Factors of dropout, the same at every step: one for each variant, none where nothing is dropped. */
export interface Factors {
  readonly count: number;
  /** Returns the factors for what has this shape, the same at each call. */
  readonly of: (shape: readonly number[]) => readonly tf.Tensor[];
}

export interface Dropouts {
  /** Returns the variants of the input of a step or of a sequence `[N, T, …]`. */
  readonly inputs: (x: tf.Tensor) => Variants;
  readonly states: (h: tf.Tensor) => Variants;
  /** The factors of inputs, of the shape that `overTime` returns. */
  readonly inputFactors: Factors;
  readonly stateFactors: Factors;
  /** The number of variants of a state. */
  readonly stateVariants: number;
  /** True if states are dropped, or inputs separately for each gate. */
  readonly gatesApart: boolean;
}

/**
 * Creates the dropout of a cell in training. Each sequence has one draw, the same at every step, and one for each gate
 * if Keras multiplies gate by gate.
 */
export function dropouts(
  config: JsonObject,
  { training, random }: KernelContext,
  gates: number,
  everyGate = false,
): Dropouts {
  const rate = (name: string): number => (typeof config[name] === "number" ? Number(config[name]) : 0);
  const separate = everyGate || rate("recurrent_dropout") > 0 || config["implementation"] === 1;
  const variants = gates > 1 && separate ? gates : 1;
  const isActive = (share: number): boolean => training && share > 0 && share < 1;
  const factorsAt = (share: number): Factors => {
    if (!isActive(share)) return { count: 0, of: () => [] };
    const draws = Array.from({ length: variants }, () => reserved(random));
    const factors = new Map<string, readonly tf.Tensor[]>();
    return {
      count: variants,
      of: (shape) => {
        const key = shape.join();
        const drawn =
          factors.get(key) ?? draws.map((draw) => tf.div(keptBy(draw(uniform(shape)), share), 1 - share));
        factors.set(key, drawn);
        return drawn;
      },
    };
  };
  const [ofInputs, ofStates] = [factorsAt(rate("dropout")), factorsAt(rate("recurrent_dropout"))];
  return {
    inputs: (x) => multiplied(x, ofInputs.of(overTime(x.shape, 1))),
    states: (h) => multiplied(h, ofStates.of(h.shape)),
    inputFactors: ofInputs,
    stateFactors: ofStates,
    stateVariants: isActive(rate("recurrent_dropout")) ? variants : 1,
    gatesApart: isActive(rate("recurrent_dropout")) || (isActive(rate("dropout")) && variants > 1),
  };
}

/** Returns the shape of factors of a step's input, or of a sequence, whose steps all have the same. */
export function overTime(shape: readonly number[], timeAxis: number): number[] {
  return shape.map((size, axis) => (axis === timeAxis && shape.length > 2 ? 1 : size));
}

/** Returns `x` times each of the factors, or `x` alone if there are none. */
export function multiplied(x: tf.Tensor, factors: readonly tf.Tensor[]): Variants {
  if (factors.length === 0) return [x];
  return factors.map((factor) => tf.mul(x, factor)) as [tf.Tensor, ...tf.Tensor[]];
}
