import type { Callback } from "./callback.ts";

/**
 * Ends the run after the last epoch that fits into `seconds`, judged by how long the one before it took; one epoch is always trained.
 * `started` is when the clock began, as `performance.now()` tells it; the time before a resumed start counts.
 */
export function timeLimit(seconds: number, started: number = performance.now()): Callback {
  let before = 0;
  const spent = (): number => before + (performance.now() - started) / 1000;
  return {
    name: "time-limit",
    epochEnd: (record) => (spent() + record.seconds > seconds ? "stop" : undefined),
    state: () => spent(),
    restore: (state) => {
      before = state as number;
    },
  };
}
