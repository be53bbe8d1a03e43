import type { Json, Weights } from "../checkpoint.ts";
import type { Tensor } from "../tensor.ts";
import type { History } from "./history.ts";

/** Everything that training goes on from, as a value: going on from it gives the same bits as never having stopped. */
export interface TrainingState {
  /** The weights that training has moved, as the next step finds them. */
  readonly weights: Weights;
  readonly optimizer: OptimizerState;
  readonly counts: TrainingCounts;
  readonly random: RandomState;
  readonly history: History;
  /** Values that each callback's `state` returned, by its name. */
  readonly callbacks: Readonly<Record<string, CallbackState>>;
}

/** JSON that may hold tensors. */
export type CallbackState =
  | Json
  | Tensor
  | readonly CallbackState[]
  | { readonly [key: string]: CallbackState };

export interface TrainingCounts {
  /** The phase at hand, from 1. */
  readonly phase: number;
  /** Epochs that are complete, over all phases. */
  readonly epochs: number;
  /** Epochs of the phase that are complete. */
  readonly phaseEpochs: number;
  /** Steps that the phase has taken. */
  readonly iterations: number;
  /** True if a callback has ended the phase, or the run. */
  readonly ended: "run" | "phase" | null;
}

/** Positions of the streams of random numbers: each is a function of the seed and of the steps taken. */
export interface RandomState {
  readonly seed: number;
  readonly steps: number;
}

/** State of an optimizer between steps, as a value. */
export interface OptimizerState {
  readonly className: string;
  /** Steps taken; with accumulation every one that adds to a gradient counts. */
  readonly iterations: number;
  /** The rate that replaced the config's, null where none did. */
  readonly learningRate: number | null;
  /** The slots of each trained weight, by Keras's names for them. */
  readonly slots: readonly WeightSlots[];
}

export interface WeightSlots {
  readonly layer: string;
  readonly weight: string;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** Returns the trained weights by which the model is judged and kept: their moving averages where the optimizer keeps them. */
export function judgedWeights({ weights, optimizer }: TrainingState): Weights {
  const averages = new Map(
    optimizer.slots.flatMap(({ layer, weight, tensors: { average } }) =>
      average ? [[`${layer}/${weight}`, average] as const] : [],
    ),
  );
  return new Map(
    [...weights].map(([path, layer]) => [
      path,
      layer.map((weight) => ({ ...weight, ...averages.get(`${path}/${weight.name}`) })),
    ]),
  );
}

/** Everything but the data that the next step depends on, as a value. */
export interface TailState {
  /** The weights that training moves, as the next step finds them. */
  readonly weights: Weights;
  readonly optimizer: OptimizerState;
  /** Steps taken: where the streams of random numbers are. */
  readonly steps: number;
}
