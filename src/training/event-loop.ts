/** @file Turns of the event loop, in which timers and signals are served, between the steps of a loop. */
import { setImmediate as nextTurn } from "node:timers/promises";

/** The longest time without a turn, in milliseconds. A turn takes as long as a part of a small step. */
const mostMs = 4;

/** Returns a function that gives a turn to wait for where the last one was some time ago, else undefined. */
export function turnTaker(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < mostMs) return undefined;
    return nextTurn().then(() => {
      last = performance.now();
    });
  };
}
