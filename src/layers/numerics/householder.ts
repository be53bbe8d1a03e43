/**
 * @file Householder reflections, which make matrices given as lists of columns triangular or tridiagonal, and
 * rotations. Signs are as in Eigen.
 */

/**
 * The reflection `I - scale normal normal^T`, which maps a vector to `target` on its first axis, with the opposite sign
 * of its first value.
 */
export interface Reflection {
  readonly normal: readonly number[];
  readonly scale: number;
  readonly target: number;
}

/** Returns the reflection of a vector. A vector that is on its first axis already is not changed. */
export function reflectionOf(vector: readonly number[]): Reflection {
  const [head = 0, ...tail] = vector;
  if (tail.every((value) => value === 0)) return { normal: [1, ...tail], scale: 0, target: head };
  const target = head >= 0 ? -Math.hypot(...vector) : Math.hypot(...vector);
  return {
    normal: [1, ...tail.map((value) => value / (head - target))],
    scale: (target - head) / target,
    target,
  };
}

/** Reflects the values from `start` on, in place. */
export function reflect(vector: number[], start: number, { normal, scale }: Reflection): void {
  const along = normal.reduce((sum, value, index) => sum + value * vector[start + index]!, 0);
  normal.forEach((value, index) => {
    vector[start + index]! -= scale * along * value;
  });
}

/**
 * Returns the first `count` columns of the product of reflections, the first on the left. Each acts on the values from
 * `shift` plus its index on.
 */
export function productOf(
  reflections: readonly Reflection[],
  shift: number,
  size: number,
  count: number,
): number[][] {
  return Array.from({ length: count }, (_, column) => {
    const vector = unitVector(size, column);
    for (let step = reflections.length - 1; step >= 0; step--)
      reflect(vector, step + shift, reflections[step]!);
    return vector;
  });
}

export function unitVector(size: number, place: number): number[] {
  return Array.from({ length: size }, (_, index) => (index === place ? 1 : 0));
}

export interface Triangularized {
  readonly reflections: readonly Reflection[];
  /** The upper triangular factor by columns, which are as long as the given ones. */
  readonly triangular: number[][];
  /** The index of the given column at each place of the triangular factor. */
  readonly order: readonly number[];
}

/**
 * Computes a QR decomposition of a matrix given by columns.
 * @param pivoting True to take the column with the longest remainder at each step, false to keep the order.
 */
export function triangularized(columns: readonly (readonly number[])[], pivoting = false): Triangularized {
  const work = columns.map((column) => [...column]);
  const order = columns.map((_, index) => index);
  const rows = columns[0]?.length ?? 0;
  const reflections = Array.from({ length: Math.min(rows, columns.length) }, (_, step) => {
    if (pivoting) bringLongest(work, order, step);
    const reflection = reflectionOf(work[step]!.slice(step));
    for (const column of work.slice(step)) reflect(column, step, reflection);
    work[step]!.fill(0, step + 1);
    return reflection;
  });
  return { reflections, triangular: work, order };
}

function bringLongest(work: number[][], order: number[], step: number): void {
  const lengths = work.map((column) => Math.hypot(...column.slice(step)));
  const longest = lengths.reduce(
    (best, length, at) => (at > step && length > lengths[best]! ? at : best),
    step,
  );
  [work[step], work[longest]] = [work[longest]!, work[step]!];
  [order[step], order[longest]] = [order[longest]!, order[step]!];
}

/** A rotation in the plane of two vectors. */
export interface Rotation {
  readonly c: number;
  readonly s: number;
}

/** Rotates two vectors in place to `x' = c x + s y` and `y' = c y - s x`. */
export function rotate(x: number[], y: number[], { c, s }: Rotation): void {
  x.forEach((one, index) => {
    const other = y[index]!;
    x[index] = c * one + s * other;
    y[index] = c * other - s * one;
  });
}
