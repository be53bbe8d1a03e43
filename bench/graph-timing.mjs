/** Times of computations of tensors in one process. */
import { tf } from "../dist/engine/tf.js";
import { median } from "./side-by-side.mjs";

/** Returns the wall and processor seconds of a computation until its last result is there. */
export function timed(compute) {
  const [began, before] = [performance.now(), process.cpuUsage()];
  const results = compute();
  results.at(-1).dataSync();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - began) / 1000;
  tf.dispose(results);
  return { seconds, processor: (user + system) / 1e6 };
}

/** Runs computations by name in turn and returns the medians of each. */
export function inTurn(computations, rounds) {
  const taken = Object.fromEntries(Object.keys(computations).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, compute] of Object.entries(computations)) taken[name].push(timed(compute));
  }
  const middle = (all, figure) => median(all.map((each) => each[figure]));
  return Object.fromEntries(
    Object.entries(taken).map(([name, all]) => [
      name,
      { seconds: middle(all, "seconds"), processor: middle(all, "processor") },
    ]),
  );
}
