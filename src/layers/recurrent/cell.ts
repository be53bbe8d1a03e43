/** @file A recurrent cell as functions of tensors. */
import type { tf } from "../../engine/tf.ts";
import type { WholeSequence } from "./whole-sequence.ts";

/** The output of one step and the states after it. */
export interface CellStep {
  readonly output: tf.Tensor;
  readonly states: readonly tf.Tensor[];
}

/** A cell with its weights. */
export interface Cell {
  /** The number of states. */
  readonly stateCount: number;
  /**
   * Computes the part of a step that does not depend on the states, for one step `[N, …]` or for a sequence `[N, T,
   * …]`, whose time may stand at another axis.
   */
  readonly prepare: (x: tf.Tensor, timeAxis?: number) => tf.Tensor;
  /** Returns zeros of the states' shapes for a prepared step. */
  readonly start: (prepared: tf.Tensor) => readonly tf.Tensor[];
  readonly step: (prepared: tf.Tensor, states: readonly tf.Tensor[]) => CellStep;
  /** Computes all steps at once, if there is an operation for that. */
  readonly whole?: WholeSequence;
}
