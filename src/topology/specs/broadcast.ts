import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";

/**
 * Broadcasts two shapes. A known size wins over an unknown one (`keras/src/ops/operation_utils.py`).
 * @throws {TopologyError} if the shapes do not broadcast.
 */
export function broadcastShapes(first: Shape, second: Shape): Shape {
  const rank = Math.max(first.length, second.length);
  const a = leftPadded(first, rank);
  const b = leftPadded(second, rank);
  return a.map((size, axis) => {
    const other = b[axis] ?? null;
    if (size === 1) return other;
    if (size === null) return other === 1 ? null : other;
    if (other === 1 || other === null || other === size) return size;
    throw new TopologyError(
      `inputs: expected shapes that broadcast, got ${formatShape(first)} and ${formatShape(second)}.`,
      "shape",
    );
  });
}

function leftPadded(shape: Shape, rank: number): Shape {
  return [...new Array<number>(rank - shape.length).fill(1), ...shape];
}

/** Returns the number of values of a shape, null if a size is unknown. */
export function valueCount(shape: Shape): number | null {
  return shape.reduce<number | null>(
    (product, size) => (product === null || size === null ? null : product * size),
    1,
  );
}
