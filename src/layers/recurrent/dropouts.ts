/** @file The dropout of recurrent cells (`keras/src/layers/rnn/dropout_rnn_cell.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { reserved } from "../drawn.ts";
import type { KernelContext } from "../kernel.ts";
import { keptBy, uniform } from "../regularization.ts";

/** An input or state in one variant for all gates, or in one for each gate. */
export type Variants = readonly [tf.Tensor, ...tf.Tensor[]];

export interface Dropouts {
  /** Returns the variants of the input of a step, or of a sequence, whose time stands at axis 1 if not at another. */
  readonly inputs: (x: tf.Tensor, timeAxis?: number) => Variants;
  readonly states: (h: tf.Tensor) => Variants;
  /** Returns the factor of each variant of a state of this shape, none if states are not dropped. */
  readonly stateFactors: (h: tf.Tensor) => readonly tf.Tensor[];
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
  /** Returns the draws of factors for a shape, the same at each call. */
  const drawsAt = (share: number): ((shape: readonly number[]) => readonly tf.Tensor[]) => {
    if (!isActive(share)) return () => [];
    const draws = Array.from({ length: variants }, () => reserved(random));
    const factors = new Map<string, readonly tf.Tensor[]>();
    return (shape) => {
      const key = shape.join();
      const drawn =
        factors.get(key) ?? draws.map((draw) => tf.div(keptBy(draw(uniform(shape)), share), 1 - share));
      factors.set(key, drawn);
      return drawn;
    };
  };
  const [ofInputs, ofStates] = [drawsAt(rate("dropout")), drawsAt(rate("recurrent_dropout"))];
  const once = (x: tf.Tensor, timeAxis: number): number[] =>
    x.shape.map((size, axis) => (axis === timeAxis && x.rank > 2 ? 1 : size));
  return {
    inputs: (x, timeAxis = 1) => multiplied(x, ofInputs(once(x, timeAxis))),
    states: (h) => multiplied(h, ofStates(h.shape)),
    stateFactors: (h) => ofStates(h.shape),
    stateVariants: isActive(rate("recurrent_dropout")) ? variants : 1,
    gatesApart: isActive(rate("recurrent_dropout")) || (isActive(rate("dropout")) && variants > 1),
  };
}

/** Returns `x` times each of the factors, or `x` alone if there are none. */
export function multiplied(x: tf.Tensor, factors: readonly tf.Tensor[]): Variants {
  if (factors.length === 0) return [x];
  return factors.map((factor) => tf.mul(x, factor)) as [tf.Tensor, ...tf.Tensor[]];
}
