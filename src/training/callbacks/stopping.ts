/** @file Callbacks that end training early. */
import type { Callback } from "./callback.ts";
import type { Monitor } from "./monitor.ts";
import { isImprovement, monitoredValue } from "./monitor.ts";

/**
 * Ends a phase after `epochs` epochs in a row in which the monitored figure has not improved by more than `minDelta`
 * (`keras/src/callbacks/early_stopping.py`). Each phase starts anew.
 */
export function patience(monitor: Monitor, epochs: number, minDelta = 0): Callback {
  let phase = 0;
  let waited = 0;
  let best: number | null = null;
  return {
    name: "patience",
    epochEnd: (record) => {
      if (record.phase !== phase) [phase, waited, best] = [record.phase, 0, null];
      const value = monitoredValue(monitor, record);
      if (isImprovement(monitor, value, best, minDelta)) {
        [waited, best] = [0, value];
        return undefined;
      }
      waited++;
      return waited >= epochs ? "end-phase" : undefined;
    },
    state: () => ({ phase, waited, best }),
    restore: (state) => {
      ({ phase, waited, best } = state as { phase: number; waited: number; best: number | null });
    },
  };
}

/**
 * Ends the run after the last epoch that fits into `seconds`, judged by how long the one before it took; one epoch is always trained.
 * The first epoch of a phase prepares graphs for its steps, which no later one does: it counts as if each step had taken the median time.
 * `started` is when the clock began, as `performance.now()` tells it; the time before a resumed start counts.
 */
export function timeLimit(seconds: number, started: number = performance.now()): Callback {
  let before = 0;
  let phase = 0;
  let stepEnds: number[] = [];
  const spent = (): number => before + (performance.now() - started) / 1000;
  return {
    name: "time-limit",
    stepEnd: () => {
      stepEnds.push(performance.now());
    },
    epochEnd: (record) => {
      const next =
        record.phase === phase
          ? record.seconds
          : Math.min(record.seconds, steadySeconds(record.seconds, stepEnds));
      phase = record.phase;
      stepEnds = [];
      return spent() + next > seconds ? "stop" : undefined;
    },
    state: () => spent(),
    restore: (state) => {
      before = state as number;
    },
  };
}

/** Returns the seconds of an epoch that ends now, as if each of its steps had taken the median time between two of them. */
function steadySeconds(seconds: number, stepEnds: readonly number[]): number {
  const between = stepEnds.slice(1).map((end, index) => (end - (stepEnds[index] ?? end)) / 1000);
  const median = between.toSorted((a, b) => a - b)[Math.floor((between.length - 1) / 2)];
  const last = stepEnds.at(-1);
  if (median === undefined || last === undefined) return seconds;
  const judging = (performance.now() - last) / 1000;
  return median * stepEnds.length + judging;
}
