import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { elementCount, encodeFloat16, type Shape } from "../../tensor.ts";
import { decodeFloat16 } from "./float16.ts";

export type FeatureStorage = "float32" | "float16";

/** One frontier tensor of one sample, without the batch. */
export interface FeatureTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Layout of one sample's features in a pack: its tensors one after the other, little-endian. Every record has the same size. */
export interface RecordLayout {
  readonly tensors: readonly FeatureTensor[];
  readonly storage: FeatureStorage;
  /** Number of elements of each tensor. */
  readonly counts: readonly number[];
  readonly bytes: number;
}

export function recordLayout(tensors: readonly FeatureTensor[], storage: FeatureStorage): RecordLayout {
  const counts = tensors.map(({ shape }) => elementCount(shape));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return { tensors, storage, counts, bytes: total * (storage === "float16" ? 2 : 4) };
}

/** Returns a short name for all that decides where a value lies. */
export function layoutDigest({ tensors, storage }: RecordLayout): string {
  const shapes: readonly Shape[] = tensors.map(({ shape }) => shape);
  return createHash("sha256")
    .update(JSON.stringify([shapes, storage]))
    .digest("hex");
}

/** Returns the bytes of a record, tensor by tensor; float32 values are not copied. */
export function recordParts(layout: RecordLayout, arrays: readonly Float32Array[]): readonly Uint8Array[] {
  return arrays.map((values) => bytesOf(layout.storage === "float16" ? encodeFloat16(values) : values));
}

/** Memory that the bytes of a record are read into, and what turns them into values there. */
export interface RecordTarget {
  readonly parts: readonly Uint8Array[];
  finish(): void;
}

/** Returns where a record is read to: float32 in place, float16 beside it and then decoded. */
export function recordTarget(layout: RecordLayout, destination: readonly Float32Array[]): RecordTarget {
  if (layout.storage === "float32") return { parts: destination.map(bytesOf), finish: () => {} };
  const bits = layout.counts.map((count) => new Uint16Array(count));
  return {
    parts: bits.map(bytesOf),
    finish() {
      for (const [index, values] of bits.entries()) decodeFloat16(values, destination[index]!);
    },
  };
}

/** Returns the checksum of a record: its sample's key first, so that a record in another's place does not pass. */
export function recordChecksum(sampleKey: string, parts: readonly Uint8Array[]): number {
  return parts.reduce((checksum, part) => crc32(part, checksum), crc32(sampleKey));
}

/** One sample in a pack's list of keys: 32 bytes of sha256, the record's checksum, and a checksum of these 36. */
export interface KeyEntry {
  readonly sampleKey: string;
  readonly checksum: number;
}

export const keyEntryBytes = 40;

export function encodeKeyEntry({ sampleKey, checksum }: KeyEntry): Buffer {
  const entry = Buffer.alloc(keyEntryBytes);
  entry.write(sampleKey, 0, 32, "hex");
  entry.writeUInt32LE(checksum, 32);
  entry.writeUInt32LE(crc32(entry.subarray(0, 36)), 36);
  return entry;
}

/** Returns the checksum of the record whose entry is at `at`. */
export function entryChecksum(entries: Buffer, at: number): number {
  return entries.readUInt32LE(at + 32);
}

/** Returns whether the entry at `at` is what was written. */
export function isWholeEntry(entries: Buffer, at: number): boolean {
  return crc32(entries.subarray(at, at + 36)) === entries.readUInt32LE(at + 36);
}

/** Returns the entry, undefined if it is not whole. */
export function decodeKeyEntry(entry: Buffer): KeyEntry | undefined {
  if (entry.length < keyEntryBytes || !isWholeEntry(entry, 0)) return undefined;
  return { sampleKey: entry.toString("hex", 0, 32), checksum: entry.readUInt32LE(32) };
}

function bytesOf(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
