/**
 * Returns up to `count` names nearest to `name` by edit distance, in the order given. A name that differs in more than
 * half of its characters is never returned.
 */
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

/**
 * Returns the edit distance of two strings: the number of insertions, deletions, substitutions and swaps of neighbors
 * (optimal string alignment).
 */
export function editDistance(a: string, b: string): number {
  const cell = (row: readonly number[], column: number): number => row[column] ?? Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = cell(last, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(substitution, cell(last, column) + 1, cell(current, column - 1) + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, cell(beforeLast, column - 2) + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return cell(last, b.length);
}

/** Returns the length of the longest common prefix. */
function sharedBeginning(a: string, b: string): number {
  const length = [...a].findIndex((character, index) => character !== b[index]);
  return length === -1 ? a.length : length;
}

/**
 * Returns the difference of the last numbers in two names, infinite if one has none: `conv9` is nearer to `conv4` than
 * to `conv2`.
 */
function numberGap(a: string, b: string): number {
  const gap = Math.abs(lastNumber(a) - lastNumber(b));
  return Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap;
}

function lastNumber(name: string): number {
  return Number(/(\d+)\D*$/u.exec(name)?.[1] ?? Number.NaN);
}
