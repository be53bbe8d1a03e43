/** @file Learning rates read off the curve of a range test, by the rules of fastai's `lr_find`. */

/** One step of a range test. */
export interface RatePoint {
  readonly learningRate: number;
  /** Moving average of the batches' losses up to this one, its bias from the start removed. */
  readonly loss: number;
  /** Loss of this step's batch alone, from before its update. */
  readonly batchLoss: number;
}

/** Learning rates that a curve suggests. */
export interface RateSuggestions {
  /** Middle of the longest stretch in which the loss falls. */
  readonly valley: number;
  /** Rate at which the loss falls most steeply. */
  readonly steepest: number;
  /** A tenth of the rate with the lowest loss. */
  readonly minimumOverTen: number;
}

/** Share of the points at the start, and number of those at the end, that the rules leave out. */
const leftOut = { start: 0.1, end: 5 } as const;

/**
 * Returns the rates that a curve of `planned` steps suggests; null where the loss falls nowhere. Rates rise from point to point.
 * The rules are those of `fastai/callback/schedule.py`.
 */
export function rateSuggestions(curve: readonly RatePoint[], planned: number): RateSuggestions | null {
  const points = curve.slice(Math.floor(planned * leftOut.start), -leftOut.end);
  const middle = valleyMiddle(points.map(({ loss }) => loss));
  const steepest = points[steepestFall(points)];
  const lowest = points.reduce<RatePoint | undefined>(
    (best, point) => (best === undefined || point.loss < best.loss ? point : best),
    undefined,
  );
  const valley = middle === null ? undefined : points[middle];
  if (!valley || !steepest || !lowest) return null;
  return {
    valley: valley.learningRate,
    steepest: steepest.learningRate,
    minimumOverTen: lowest.learningRate / 10,
  };
}

/**
 * Returns the share of the smoothed loss at the start by which it falls to its lowest later on, 0 or more. A small one says that noise
 * may have made the curve.
 */
export function lossFall(curve: readonly RatePoint[], planned: number): number {
  const first = curve.slice(0, Math.max(1, Math.floor(planned * leftOut.start)));
  const start = first.reduce((sum, { loss }) => sum + loss, 0) / first.length;
  const lowest = Math.min(start, ...curve.slice(first.length).map(({ loss }) => loss));
  return start === 0 ? 0 : (start - lowest) / Math.abs(start);
}

/**
 * Returns the position in the middle of the valley: the longest falling subsequence, its first of that length, as many positions wide
 * as it has members. Null where no value is below one before it.
 */
function valleyMiddle(losses: readonly number[]): number | null {
  const lengths: number[] = [];
  for (const [position, loss] of losses.entries()) {
    const before = lengths.filter((_, earlier) => (losses[earlier] ?? loss) > loss);
    lengths[position] = 1 + Math.max(0, ...before);
  }
  const width = Math.max(0, ...lengths);
  if (width < 2) return null;
  const start = lengths.indexOf(width) - width;
  return Math.max(0, start + Math.floor(width / 3) + Math.floor(width / 6));
}

/** Returns the position from which the loss falls most on the way to the next point, by the logarithm of the rate. */
function steepestFall(points: readonly RatePoint[]): number {
  let [steepest, least] = [0, Infinity];
  for (const [position, { learningRate, loss }] of points.entries()) {
    const next = points[position + 1];
    if (!next) break;
    const slope = (next.loss - loss) / Math.log(next.learningRate / learningRate);
    if (slope < least) [steepest, least] = [position, slope];
  }
  return steepest;
}
