/** @file Times a computation on batches of two sizes. */
import type { BatchSeconds } from "../freeze/predicted-seconds.ts";

/** Times that a batch is run where it takes little; as often as fit into some seconds where it takes next to nothing. */
const repetitions = 5;
const leastTimed = 0.05;

async function secondsFor(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return (performance.now() - started) / 1000;
}

/** Batches are tried in sizes that grow by this factor. */
const growth = 4;

/** Sizes of the batches that are timed, and the time for them. */
export interface BatchQuestion {
  /** Size of the batches that the run will have; larger ones are not tried. */
  readonly most: number;
  /** Seconds that the attempt may take, about, besides the first call of each size. */
  readonly allowed: number;
  /** Seconds that a batch of `most` samples is predicted to take. */
  readonly expected: number;
  /** Seconds that are taken as the batch's, whatever its size, where even two samples take too long. Defaults to 0. */
  readonly fixed?: number;
  /** True if the run pads every batch to `most` samples: then no others are timed where one of those is expected to fit into the time. */
  readonly isPadded?: boolean;
}

/**
 * Returns the seconds of a batch, and of each of its samples, from batches of one sample and more, up to `most` or as many as the
 * allowed seconds let it try. The first call warms up, which the run would have to do in any case, and is not counted.
 */
export async function timedBatches(
  run: (rows: number) => Promise<unknown>,
  { most, allowed, expected, fixed = 0, isPadded = false }: BatchQuestion,
): Promise<BatchSeconds> {
  if (isPadded && expected <= allowed) {
    await run(most);
    const seconds = await leastSeconds(() => run(most), allowed / 6);
    return { perBatch: 0, perSample: seconds / most };
  }
  await run(1);
  const started = performance.now();
  const left = (): number => allowed - (performance.now() - started) / 1000;
  const timed = (rows: number): Promise<number> => leastSeconds(() => run(rows), allowed / 6);
  const one = await timed(1);
  let [rows, seconds, perSample] = [1, one, one];
  while (rows < most) {
    // The first call of a size may prepare kernels for it: it counts only where there is no time for another.
    const isShort = 2 * Math.min(expected, seconds + perSample * (most - rows)) <= left();
    const next = isShort ? most : nextRows({ rows, seconds, perSample }, most, left() / 2);
    // Two samples are worth more time than is left: without a second size the share of the batch is a guess.
    if (next === rows && (rows > 1 || one > allowed)) break;
    rows = Math.max(2, next);
    if (isShort) await run(rows);
    seconds = await timed(rows);
    perSample = Math.min(seconds / rows, Math.max((seconds - one) / (rows - 1), 0));
  }
  if (rows > 1) return { perBatch: seconds - rows * perSample, perSample };
  const perBatch = most === 1 ? 0 : Math.min(fixed, 0.6 * one);
  return { perBatch, perSample: one - perBatch };
}

/** Returns the size of the next batch, the last one's where no larger one is expected to take at most `allowed` seconds. */
function nextRows(
  { rows, seconds, perSample }: { rows: number; seconds: number; perSample: number },
  most: number,
  allowed: number,
): number {
  const next = Math.min(most, growth * rows);
  const fitting = rows + Math.floor((allowed - seconds) / perSample);
  return Math.max(rows, Math.min(next, fitting));
}

/**
 * Returns the least of a few runs, fewer where they take more than the allowed seconds together. Whatever else happens on the machine,
 * or is not compiled yet, only adds to a time.
 */
export async function leastSeconds(run: () => Promise<unknown>, allowed: number): Promise<number> {
  const first = await secondsFor(run);
  let [least, spent] = [first, first];
  for (let count = 1; (count < repetitions || spent < leastTimed) && spent + least <= allowed; count++) {
    const seconds = await secondsFor(run);
    spent += seconds;
    least = Math.min(least, seconds);
  }
  return least;
}
