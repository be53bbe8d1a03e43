import type { Checkpoint } from "../../checkpoint.ts";
import type { Examples } from "../example-set.ts";
import type { Epoch, History } from "../history.ts";
import type { Snapshot } from "../snapshot.ts";
import type { CallbackState, OptimizerState, TrainingState } from "../state.ts";

/** One step of a run. Every count begins at 1 but `iteration`. */
export interface Moment {
  readonly phase: number;
  /** Counted over all phases. */
  readonly epoch: number;
  /** Counted in the epoch. */
  readonly step: number;
  /** The number of steps in the epoch. */
  readonly steps: number;
  /** Steps that the phase has taken before this one: `optimizer.iterations` in Keras. */
  readonly iteration: number;
}

/** The figures of one batch from before its update: `loss`, metrics, `lr`, and `samples`, the number of its samples. */
export interface StepFigures {
  readonly loss: number;
  readonly lr: number;
  readonly samples: number;
  readonly [figure: string]: number | undefined;
}

/** A run as its callbacks see it. */
export interface TrainingRun {
  /** One record for each completed epoch. */
  readonly history: History;
  /** Returns a copy of the model as it is now. */
  checkpoint(): Checkpoint;
  /**
   * Returns everything that training goes on from, between two epochs. Callbacks further down the list have not seen the last epoch
   * when `epochEnd` asks: what saves states stands last.
   */
  state(options?: CopyOptions): TrainingState;
  /** Returns the weights that training has moved as they are now, held on the engine. The caller disposes it. */
  snapshot(): Snapshot;
  /** Returns a copy of the optimizer's state as it is now: its count of steps and its slots; null before the first phase. */
  optimizer(options?: CopyOptions): OptimizerState | null;
}

/** Options of a value that holds tensors. */
export interface CopyOptions {
  /**
   * False leaves every tensor where it is: its values are read anew each time that `data` is asked for, until the callback returns.
   * A state of many weights takes no memory so. True.
   */
  readonly copied?: boolean;
}

/** `stop` ends the run, `end-phase` goes on with the next phase if there is one. */
export type Verdict = "stop" | "end-phase";

export type Awaitable<T> = T | Promise<T>;

/**
 * Something that watches or steers training. Callbacks are called in the order of their list, and each may return a promise, which is
 * awaited.
 */
export interface Callback {
  /** Unique in the list; names the callback's state. */
  readonly name: string;
  /** Called before the first step. */
  begin?(run: TrainingRun): Awaitable<void>;
  /** Returns the samples that `epoch` trains on; `given` are those that the callback before it returned. */
  examples?(epoch: number, given: Examples): Awaitable<Examples>;
  /** Returns the learning rate of the coming step; `rate` is what the callback before it returned. */
  learningRate?(moment: Moment, rate: number): Awaitable<number>;
  /** True if `stepEnd` reads no metrics: those of a batch are computed for callbacks that do. */
  readonly readsLossAlone?: boolean;
  /** Called after each step with the figures of its batch. */
  stepEnd?(moment: Moment, figures: StepFigures): Awaitable<void>;
  /** Called after each epoch with all its figures. What it returns is heeded once all callbacks have seen the epoch. */
  epochEnd?(record: Epoch, run: TrainingRun): Awaitable<Verdict | undefined> | Awaitable<void>;
  /** Called after the last epoch, also where an error or an aborted signal ended the run. */
  end?(run: TrainingRun): Awaitable<void>;
  /** Returns what the callback needs to go on later. */
  state?(): CallbackState;
  /** Takes what `state` returned, before `begin`. */
  restore?(state: CallbackState): void;
}
