import type { Weight, Weights } from "../../checkpoint.ts";
import type { Tensor } from "../../tensor.ts";
import type { Snapshot } from "../snapshot.ts";
import type { CallbackState, OptimizerState } from "../state.ts";
import type { Callback } from "./callback.ts";
import type { Monitor } from "./monitor.ts";
import { isImprovement, monitoredValue } from "./monitor.ts";

/** Keeps the trained weights of the best epoch; of equals the first. Without a monitor the last epoch is the best. */
export interface BestWeights extends Callback {
  /** Counted from 1; 0 before the first epoch has ended. */
  readonly epoch: number;
  /** True if the last epoch that ended is the best. */
  readonly isLast: boolean;
  /** Returns what training had moved at the end of the best epoch, null before the first epoch has ended. */
  weights(): Weights | null;
  /** Returns the optimizer as it was then, with the phase that it is of; null before the first epoch has ended. */
  optimizer(): PhaseOptimizer | null;
  dispose(): void;
}

/** The state of a phase's optimizer. */
export interface PhaseOptimizer {
  readonly phase: number;
  readonly state: OptimizerState;
}

interface Best {
  readonly epoch: number;
  readonly value: number;
  readonly snapshot: Snapshot;
  readonly optimizer: PhaseOptimizer | null;
}

export function bestWeights(monitor: Monitor | null): BestWeights {
  let best: Best | null = null;
  let last = 0;
  return {
    name: "best-weights",
    get epoch() {
      return best?.epoch ?? 0;
    },
    get isLast() {
      return best?.epoch === last;
    },
    epochEnd: (record, run) => {
      last = record.epoch;
      const value = monitor ? monitoredValue(monitor, record) : record.loss;
      if (monitor && !isImprovement(monitor, value, best?.value ?? null)) return;
      best?.snapshot.dispose();
      const state = run.optimizer();
      const { epoch, phase } = record;
      best = { epoch, value, snapshot: run.snapshot(), optimizer: state && { phase, state } };
    },
    weights: () => best?.snapshot.read() ?? null,
    optimizer: () => best?.optimizer ?? null,
    dispose: () => {
      best?.snapshot.dispose();
      best = null;
    },
    state: () =>
      best && {
        epoch: best.epoch,
        value: best.value,
        last,
        weights: packed(best.snapshot.read()),
        optimizer: best.optimizer as unknown as CallbackState,
      },
    restore: (state) => {
      if (state === null) return;
      const kept = state as unknown as KeptState;
      const weights = unpacked(kept.weights);
      last = kept.last;
      const snapshot = { read: () => weights, dispose: () => {} };
      best = { epoch: kept.epoch, value: kept.value, snapshot, optimizer: kept.optimizer };
    },
  };
}

interface KeptState {
  readonly epoch: number;
  readonly value: number;
  readonly last: number;
  readonly optimizer: PhaseOptimizer | null;
  readonly weights: readonly (readonly [path: string, layer: readonly (readonly [string, Tensor])[]])[];
}

function packed(weights: Weights): CallbackState {
  return [...weights].map(([path, layer]) => [path, layer.map(({ name, ...tensor }) => [name, tensor])]);
}

function unpacked(layers: KeptState["weights"]): Weights {
  return new Map(
    layers.map(([path, layer]) => [path, layer.map(([name, tensor]): Weight => ({ ...tensor, name }))]),
  );
}
