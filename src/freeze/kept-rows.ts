import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { shapeAt } from "../topology/concrete-shapes.ts";
import type { Partition } from "./partition.ts";
import { valuesOf } from "./step-bytes.ts";

/** Rows of one tensor that take more bytes than this leave memory for a file. */
export const rowMemoryBytes: number = 32 * 2 ** 20;

/** Features that no work stands behind, as pixels, are held in memory up to this many bytes, else made again for each batch. */
export const heldBytes = 256e6;

/**
 * Returns which of a run's splits are held, of the bytes that each would take: in turn, as long as all that are held have no more than
 * `heldBytes` together.
 */
export function heldSplits(bytesOfSplits: readonly number[]): readonly boolean[] {
  let room = heldBytes;
  return bytesOfSplits.map((bytes) => {
    const isHeld = bytes <= room;
    if (isHeld) room -= bytes;
    return isHeld;
  });
}

/** Bytes of a run's features in the rows that batches are picked from. */
export interface RowPlaces {
  readonly bytes: number;
  /** Bytes of the tensors that are too large for memory. */
  readonly onDisk: number;
}

/** Returns where the frontier of `samples` samples is while a run picks batches from it. */
export function rowPlaces(parts: Partition, shapes: readonly NodeShapes[], samples: number): RowPlaces {
  const tensors = parts.frontier.map((ref) => 4 * samples * valuesOf(shapeAt(shapes, ref)));
  const sum = (sizes: readonly number[]): number => sizes.reduce((total, bytes) => total + bytes, 0);
  return { bytes: sum(tensors), onDisk: sum(tensors.filter((bytes) => bytes > rowMemoryBytes)) };
}
