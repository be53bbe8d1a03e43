/** Reads many records in the order in which they are stored. */
import { forEachAtOnce } from "../../storage/at-once.ts";
import type { PackRecord } from "./pack.ts";
import { type RecordLayout, recordChecksum, recordTarget } from "./record.ts";

export interface PlacedReading {
  /** Returns the bytes from `from` to `to` (exclusive) of a pack's records, fewer where it ends; null where it cannot be read. */
  readonly fetch: (packId: string, from: number, to: number) => Promise<Uint8Array | null>;
  /** Most bytes of one call. */
  readonly runBytes: number;
  /** Bytes between two records that are sooner read than skipped. */
  readonly gapBytes: number;
  readonly atOnce: number;
  /** Takes a record out of those of its key; called for each that is damaged or gone. */
  readonly forget: (record: PackRecord) => void;
}

/**
 * Reads the records of keys pack by pack, neighbors together, and hands the values of each to `take` with the position of its key. The
 * arrays are filled again for the next record. Where a record is damaged, the next one of its key is read.
 *
 * @param records The records of each key.
 * @returns The positions of the keys whose records are all damaged, or that have none, in order.
 */
export async function readRecords(
  sampleKeys: readonly string[],
  records: ReadonlyMap<string, readonly PackRecord[]>,
  layout: RecordLayout,
  reading: PlacedReading,
  take: (index: number, arrays: readonly Float32Array[]) => void,
): Promise<readonly number[]> {
  const absent: number[] = [];
  let left: readonly number[] = sampleKeys.map((_, index) => index);
  while (left.length > 0) {
    const wanted = wantedRecords(sampleKeys, left, records, absent);
    const damaged = await readPlaced(wanted, layout, reading, take);
    for (const { record } of damaged) reading.forget(record);
    left = damaged.flatMap(({ indices }) => indices);
  }
  return absent.sort((one, other) => one - other);
}

/** A record to read, and the positions of its key among those that were asked for. */
interface WantedRecord {
  readonly record: PackRecord;
  readonly indices: readonly number[];
}

/** Returns the first record of each key in some positions; positions of keys that have none go to `absent`. */
function wantedRecords(
  sampleKeys: readonly string[],
  positions: readonly number[],
  records: ReadonlyMap<string, readonly PackRecord[]>,
  absent: number[],
): readonly WantedRecord[] {
  const wanted = new Map<PackRecord, number[]>();
  for (const index of positions) {
    const [record] = records.get(sampleKeys[index] ?? "") ?? [];
    const indices = record && wanted.get(record);
    if (!record) absent.push(index);
    else if (indices) indices.push(index);
    else wanted.set(record, [index]);
  }
  return [...wanted].map(([record, indices]) => ({ record, indices }));
}

/** Reads records in their places. Returns those that are damaged or gone. */
async function readPlaced(
  wanted: readonly WantedRecord[],
  layout: RecordLayout,
  reading: PlacedReading,
  take: (index: number, arrays: readonly Float32Array[]) => void,
): Promise<readonly WantedRecord[]> {
  const values = layout.counts.map((count) => new Float32Array(count));
  const target = recordTarget(layout, values);
  const damaged: WantedRecord[] = [];
  await forEachAtOnce(runsOf(wanted, layout, reading), reading.atOnce, async (run) => {
    const from = run.from * layout.bytes;
    const bytes = await reading.fetch(run.packId, from, run.to * layout.bytes);
    for (const each of run.records) {
      const at = each.record.position * layout.bytes - from;
      if (bytes && fill(target.parts, bytes.subarray(at, at + layout.bytes), each.record)) {
        target.finish();
        for (const index of each.indices) take(index, values);
      } else damaged.push(each);
    }
  });
  return damaged;
}

/** Copies a record's bytes. Returns false if they are not those that were written. */
function fill(parts: readonly Uint8Array[], bytes: Uint8Array, record: PackRecord): boolean {
  let at = 0;
  for (const part of parts) {
    const own = bytes.subarray(at, at + part.length);
    if (own.length < part.length) return false;
    part.set(own);
    at += part.length;
  }
  return recordChecksum(record.sampleKey, parts) === record.checksum;
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
  { bytes }: RecordLayout,
  { runBytes, gapBytes }: PlacedReading,
): readonly Run[] {
  const inPlace = [...wanted].sort(({ record: one }, { record: other }) =>
    one.packId === other.packId ? one.position - other.position : one.packId < other.packId ? -1 : 1,
  );
  const runs: Run[] = [];
  for (const each of inPlace) {
    const { packId, position } = each.record;
    const last = runs.at(-1);
    const isNear =
      last?.packId === packId &&
      (position - last.to) * bytes <= gapBytes &&
      (position + 1 - last.from) * bytes <= runBytes;
    if (last && isNear) {
      last.records.push(each);
      last.to = position + 1;
    } else runs.push({ packId, from: position, to: position + 1, records: [each] });
  }
  return runs;
}
