import type { Weight, Weights } from "../../checkpoint.ts";
import type { Tensor } from "../../tensor.ts";
import type { CallbackState, OptimizerState } from "../state.ts";
import type { TensorStore } from "../tensor-store.ts";
import { tensorStore } from "../tensor-store.ts";
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
  readonly weights: Weights;
  readonly optimizer: PhaseOptimizer | null;
}

/** @param store Keeps the weights and the optimizer of the best epoch. */
export function bestWeights(
  monitor: Monitor | null,
  store: TensorStore = tensorStore(undefined),
): BestWeights {
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
      const state = run.optimizer({ copied: false });
      const snapshot = run.snapshot();
      const { epoch, phase } = record;
      const kept = { weights: snapshot.held(), optimizer: state && { phase, state } };
      best = { epoch, value, ...store.keep(kept) };
      snapshot.dispose();
    },
    weights: () => best?.weights ?? null,
    optimizer: () => best?.optimizer ?? null,
    dispose: () => {
      best = null;
    },
    state: () =>
      best && {
        epoch: best.epoch,
        value: best.value,
        last,
        weights: packed(best.weights),
        optimizer: best.optimizer as unknown as CallbackState,
      },
    restore: (state) => {
      if (state === null) return;
      const kept = state as unknown as KeptState;
      last = kept.last;
      const given = { weights: unpacked(kept.weights), optimizer: kept.optimizer };
      best = { epoch: kept.epoch, value: kept.value, ...store.keep(given) };
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
  return [...weights].map(([path, layer]) => [path, layer.map((weight) => [weight.name, weight])]);
}

function unpacked(layers: KeptState["weights"]): Weights {
  return new Map(
    layers.map(([path, layer]) => [path, layer.map(([name, tensor]): Weight => ({ ...tensor, name }))]),
  );
}
