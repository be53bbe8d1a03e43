import {
  decodeKeyEntry,
  encodeKeyEntry,
  entryChecksum,
  isWholeEntry,
  type KeyEntry,
  keyEntryBytes,
} from "./record.ts";

/** One record of a pack. */
export interface PackRecord extends KeyEntry {
  readonly packId: string;
  /** Number of the records before it in its pack. */
  readonly position: number;
}

/**
 * Records by the key of their sample, of which there may be several. Records have numbers, in the order in which they were added. They are
 * held as the bytes of their key entries and a few numbers, about 60 bytes each, since there may be millions.
 */
export interface RecordIndex {
  /** Number of samples that have records. */
  readonly samples: number;
  has(sampleKey: string): boolean;
  /** Returns the number of a sample's first record that is not removed, -1 where there is none. */
  first(sampleKey: string): number;
  recordAt(number: number): PackRecord;
  /** Number that is the same for all records of one pack. */
  packOf(number: number): number;
  positionOf(number: number): number;
  checksumOf(number: number): number;
  add(record: PackRecord): void;
  /** Adds the whole ones of a pack's key entries from a position on. */
  addEntries(packId: string, entries: Buffer, from: number): void;
  remove(number: number): void;
}

const none = -1;

export function recordIndex(): RecordIndex {
  const packIds: string[] = [];
  const packNumbers = new Map<string, number>();
  let capacity = 1024;
  let entries = Buffer.alloc(capacity * keyEntryBytes);
  let packs = new Uint32Array(capacity);
  let positions = new Uint32Array(capacity);
  /** The number of the next record of the same sample. */
  let followers = new Int32Array(capacity).fill(none);
  let removed = new Uint8Array(capacity);
  /** The first number of each sample, removed or not, in the place that its key's first bytes say or in the next that is free. */
  let places = new Int32Array(4 * capacity).fill(none);
  let [count, samples] = [0, 0];
  const asked = Buffer.alloc(keyEntryBytes);

  const placeOf = (key: Buffer, at: number): number => {
    const mask = places.length - 1;
    let place = key.readUInt32LE(at) & mask;
    for (;;) {
      const number = places[place] ?? none;
      if (number === none || isSameKey(entries, number * keyEntryBytes, key, at)) return place;
      place = (place + 1) & mask;
    }
  };
  const makeRoom = (records: number): void => {
    if (records <= capacity) return;
    while (capacity < records) capacity *= 2;
    entries = Buffer.concat([entries], capacity * keyEntryBytes);
    packs = copied(packs, new Uint32Array(capacity));
    positions = copied(positions, new Uint32Array(capacity));
    followers = copied(followers, new Int32Array(capacity).fill(none));
    removed = copied(removed, new Uint8Array(capacity));
    const heads = places.filter((number) => number !== none);
    places = new Int32Array(4 * capacity).fill(none);
    for (const number of heads) places[placeOf(entries, number * keyEntryBytes)] = number;
  };
  const packNumber = (packId: string): number => {
    const known = packNumbers.get(packId);
    if (known !== undefined) return known;
    packNumbers.set(packId, packIds.length);
    return packIds.push(packId) - 1;
  };
  const liveFrom = (first: number): number => {
    let number = first;
    while (number !== none && removed[number] === 1) number = followers[number] ?? none;
    return number;
  };
  const addEntry = (pack: number, position: number, source: Buffer, at: number): void => {
    makeRoom(count + 1);
    const number = count++;
    source.copy(entries, number * keyEntryBytes, at, at + keyEntryBytes);
    packs[number] = pack;
    positions[number] = position;
    const place = placeOf(source, at);
    const head = places[place] ?? none;
    if (liveFrom(head) === none) samples++;
    if (head === none) places[place] = number;
    else {
      let last = head;
      for (let next = followers[last] ?? none; next !== none; next = followers[last] ?? none) last = next;
      followers[last] = number;
    }
  };
  const first = (sampleKey: string): number => {
    if (asked.write(sampleKey, 0, 32, "hex") < 32) return none;
    return liveFrom(places[placeOf(asked, 0)] ?? none);
  };
  const recordAt = (number: number): PackRecord => {
    const at = number * keyEntryBytes;
    const entry = decodeKeyEntry(entries.subarray(at, at + keyEntryBytes));
    const packId = packIds[packs[number] ?? 0];
    if (!entry || packId === undefined) throw new Error(`records: no number ${number}`);
    return { ...entry, packId, position: positions[number] ?? 0 };
  };
  return {
    get samples() {
      return samples;
    },
    has: (sampleKey) => first(sampleKey) !== none,
    first,
    recordAt,
    packOf: (number) => packs[number] ?? 0,
    positionOf: (number) => positions[number] ?? 0,
    checksumOf: (number) => entryChecksum(entries, number * keyEntryBytes),
    add: ({ packId, position, ...entry }) => addEntry(packNumber(packId), position, encodeKeyEntry(entry), 0),
    addEntries(packId, source, from) {
      const pack = packNumber(packId);
      makeRoom(count + source.length / keyEntryBytes);
      for (let at = 0; at + keyEntryBytes <= source.length; at += keyEntryBytes) {
        if (isWholeEntry(source, at)) addEntry(pack, from + at / keyEntryBytes, source, at);
      }
    },
    remove(number) {
      if (removed[number] === 1) return;
      removed[number] = 1;
      const head = places[placeOf(entries, number * keyEntryBytes)] ?? none;
      if (liveFrom(head) === none) samples--;
    },
  };
}

function copied<Numbers extends Uint32Array | Int32Array | Uint8Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

function isSameKey(one: Buffer, oneAt: number, other: Buffer, otherAt: number): boolean {
  for (let byte = 0; byte < 32; byte++) if (one[oneAt + byte] !== other[otherAt + byte]) return false;
  return true;
}
