/** The `count` names nearest to `name` by edit distance, in the order given; none that shares less than half with it. */
export function nearestNames(name: string, names: readonly string[], count: number): string[] {
  const ranked = [...new Set(names)]
    .map((candidate, order) => ({
      candidate,
      order,
      distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
      shared: sharedBeginning(name, candidate),
      gap: numberGap(name, candidate),
    }))
    .filter(({ candidate, distance }) => distance * 2 <= Math.max(name.length, candidate.length))
    .sort((a, b) => a.distance - b.distance || b.shared - a.shared || a.gap - b.gap || a.order - b.order)
    .slice(0, count);
  return ranked.sort((a, b) => a.order - b.order).map(({ candidate }) => candidate);
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = last[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(substitution, last[column]! + 1, current[column - 1]! + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, beforeLast[column - 2]! + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}

function sharedBeginning(a: string, b: string): number {
  const length = [...a].findIndex((character, index) => character !== b[index]);
  return length === -1 ? a.length : length;
}

/** How far apart the last numbers of two names are: of `conv4` and `conv2`, `conv4` is nearer to `conv9`. */
function numberGap(a: string, b: string): number {
  const [first, second] = [a, b].map((name) => Number(/(\d+)\D*$/u.exec(name)?.[1] ?? Number.NaN));
  const gap = Math.abs(first! - second!);
  return Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap;
}
