/** Reads many records in the order in which they are stored. */
import { forEachAtOnce } from "../../storage/at-once.ts";
import { type RecordLayout, recordChecksum, recordTarget } from "./record.ts";
import type { RecordIndex } from "./record-index.ts";

export interface PlacedReading {
  /** Returns the bytes from `from` to `to` (exclusive) of a pack's records, fewer where it ends; null where it cannot be read. */
  readonly fetch: (packId: string, from: number, to: number) => Promise<Uint8Array | null>;
  /** Most bytes of one call. */
  readonly runBytes: number;
  /** Bytes between two records that are sooner read than skipped. */
  readonly gapBytes: number;
  readonly atOnce: number;
  /** Takes a record out of the index, by its number; called for each that is damaged or gone. */
  readonly forget: (number: number) => void;
}

/**
 * Reads the records of keys pack by pack, neighbors together, and hands the values of each to `take` with the position of its key. The
 * arrays are filled again for the next record. Where a record is damaged, the next one of its key is read.
 *
 * @returns The positions of the keys whose records are all damaged, or that have none, in order.
 */
export async function readRecords(
  sampleKeys: readonly string[],
  records: RecordIndex,
  layout: RecordLayout,
  reading: PlacedReading,
  take: (index: number, arrays: readonly Float32Array[]) => void,
): Promise<readonly number[]> {
  const absent: number[] = [];
  let left: readonly number[] = [...sampleKeys.keys()];
  while (left.length > 0) {
    const wanted: WantedRecord[] = [];
    for (const index of left) {
      const number = records.first(sampleKeys[index] ?? "");
      if (number < 0) absent.push(index);
      else wanted.push({ number, index });
    }
    const damaged = await readPlaced(wanted, sampleKeys, records, layout, reading, take);
    for (const number of new Set(damaged.map((each) => each.number))) reading.forget(number);
    left = damaged.map(({ index }) => index);
  }
  return absent.sort((one, other) => one - other);
}

/** The number of a record to read, and the position of its key among those that were asked for. */
interface WantedRecord {
  readonly number: number;
  readonly index: number;
}

/** Reads records in their places. Returns those that are damaged or gone. */
async function readPlaced(
  wanted: readonly WantedRecord[],
  sampleKeys: readonly string[],
  records: RecordIndex,
  layout: RecordLayout,
  reading: PlacedReading,
  take: (index: number, arrays: readonly Float32Array[]) => void,
): Promise<readonly WantedRecord[]> {
  const values = layout.counts.map((count) => new Float32Array(count));
  const target = recordTarget(layout, values);
  const damaged: WantedRecord[] = [];
  await forEachAtOnce(runsOf(wanted, records, layout, reading), reading.atOnce, async (run) => {
    const start = run.from * layout.bytes;
    const bytes = await reading.fetch(run.packId, start, run.to * layout.bytes);
    for (const each of run.records) {
      const at = records.positionOf(each.number) * layout.bytes - start;
      const own = bytes?.subarray(at, at + layout.bytes);
      const key = sampleKeys[each.index] ?? "";
      if (
        own &&
        fill(target.parts, own) &&
        recordChecksum(key, target.parts) === records.checksumOf(each.number)
      ) {
        target.finish();
        take(each.index, values);
      } else damaged.push(each);
    }
  });
  return damaged;
}

/** Copies a record's bytes. Returns false if there are too few. */
function fill(parts: readonly Uint8Array[], bytes: Uint8Array): boolean {
  let at = 0;
  for (const part of parts) {
    const own = bytes.subarray(at, at + part.length);
    if (own.length < part.length) return false;
    part.set(own);
    at += part.length;
  }
  return true;
}

/** Neighbors in a pack, which are read together. */
interface Run {
  readonly packId: string;
  /** Position of the first record, and the one after the last. */
  readonly from: number;
  to: number;
  readonly records: WantedRecord[];
}

function runsOf(
  wanted: readonly WantedRecord[],
  index: RecordIndex,
  { bytes }: RecordLayout,
  { runBytes, gapBytes }: PlacedReading,
): readonly Run[] {
  const inPlace = [...wanted].sort(
    ({ number: one }, { number: other }) =>
      index.packOf(one) - index.packOf(other) || index.positionOf(one) - index.positionOf(other),
  );
  const runs: Run[] = [];
  let pack = -1;
  for (const each of inPlace) {
    const position = index.positionOf(each.number);
    const last = runs.at(-1);
    const isNear =
      index.packOf(each.number) === pack &&
      last !== undefined &&
      (position - last.to) * bytes <= gapBytes &&
      (position + 1 - last.from) * bytes <= runBytes;
    if (isNear) {
      last.records.push(each);
      last.to = Math.max(last.to, position + 1);
    } else {
      pack = index.packOf(each.number);
      const { packId } = index.recordAt(each.number);
      runs.push({ packId, from: position, to: position + 1, records: [each] });
    }
  }
  return runs;
}
