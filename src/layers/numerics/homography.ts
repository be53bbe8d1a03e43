/** Maps of a plane that keep lines straight (`keras/src/backend/tensorflow/image.py`, compute_homography_matrix). */

import { eliminated } from "../ops/linear-algebra.ts";
import type { Affine } from "./affine.ts";

export type Point = readonly [x: number, y: number];

/** The map of each of four `ends` to its start. */
export function homography(starts: readonly Point[], ends: readonly Point[]): Affine {
  const targets = starts.flat();
  const rows = ends.flatMap(([x, y], corner) => {
    const [u, v] = starts[corner]!;
    return [
      [x, y, 1, 0, 0, 0, -u * x, -u * y],
      [0, 0, 0, x, y, 1, -v * x, -v * y],
    ];
  });
  const { inverse } = eliminated(Float64Array.from(rows.flat()), 8);
  const solution = Array.from({ length: 8 }, (_, row) =>
    targets.reduce((sum, target, column) => sum + inverse[row * 8 + column]! * target, 0),
  );
  return solution as unknown as Affine;
}

/** The map back. */
export function inverted(map: Affine): Affine {
  const { inverse } = eliminated(Float64Array.from([...map, 1]), 3);
  return Array.from(inverse.slice(0, 8), (value) => value / inverse[8]!) as unknown as Affine;
}
