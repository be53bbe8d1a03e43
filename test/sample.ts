/**
 * `npm test` runs a sample of each exhaustive battery, `npm run test:all` the whole of it. A test file passes its cases through
 * one of these functions; everything else about the file is the same in both.
 */

/** True under `npm run test:all`, which runs every case. */
export const isWhole = process.env["KERAS_FINETUNE_TESTS"] === "all";

/**
 * The fewest cases that together have every feature that any case has, found greedily, in the order of `cases`; every case under
 * `npm run test:all`. The same cases are taken each time.
 */
export function sampled<T>(cases: readonly T[], featuresOf: (value: T) => Iterable<string>): readonly T[] {
  if (isWhole) return cases;
  const rest = cases.map((value) => ({ value, missing: new Set(featuresOf(value)) }));
  const taken = new Set<T>();
  for (;;) {
    const richest = rest.reduce(
      (best, next) => (next.missing.size > (best?.missing.size ?? 0) ? next : best),
      rest[0],
    );
    if (!richest || richest.missing.size === 0) return cases.filter((value) => taken.has(value));
    taken.add(richest.value);
    const seen = [...richest.missing];
    for (const { missing } of rest) for (const feature of seen) missing.delete(feature);
  }
}

/** The first of every `n` cases; every case under `npm run test:all`. */
export function oneIn<T>(n: number, cases: readonly T[]): readonly T[] {
  return isWhole ? cases : cases.filter((_, index) => index % n === 0);
}
