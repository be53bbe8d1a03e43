/**
 * @file Hashes of texts as used by TensorFlow's buckets: FarmHash's fingerprint, SipHash with a key, and their
 * crossing.
 */
import { farmHash, rotateRight, shiftMix, wrap } from "./farm-hash.ts";

/** The key of SipHash. */
export type Salt = readonly [number, number];

/** Computes the 64-bit hash of a text: FarmHash, or with a salt SipHash-2-4. */
export function fingerprint(text: string, salt?: Salt): bigint {
  const bytes = Buffer.from(text);
  return salt ? sipHash(bytes, salt) : farmHash(bytes);
}

/** Returns the bucket of a hash, from 0 to `buckets - 1`. */
export function bucketOf(hash: bigint, buckets: number): number {
  return Number(hash % BigInt(buckets));
}

/** Computes the fingerprint of several whole numbers or texts (`tensorflow/core/kernels/sparse_cross_op.cc`). */
export function crossedFingerprint(values: readonly (number | string)[]): bigint {
  const words = values.map((value) => (typeof value === "string" ? fingerprint(value) : wrap(BigInt(value))));
  return words.reduce(concatenated, 0xdecafcaffen);
}

/** Combines two hashes (`tensorflow/core/platform/fingerprint.h`, FingerprintCat64). */
function concatenated(one: bigint, other: bigint): bigint {
  const multiplier = 0xc6a4a7935bd1e995n;
  let result = one ^ multiplier ^ wrap(shiftMix(wrap(other * multiplier)) * multiplier);
  result = wrap(result * multiplier);
  result = wrap(shiftMix(result) * multiplier);
  return shiftMix(result);
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return rotateRight(value, 64n - bits);
}

/** Computes SipHash-2-4 (Aumasson and Bernstein, 2012). */
function sipHash(bytes: Buffer, [low, high]: Salt): bigint {
  const [one, other] = [wrap(BigInt(low)), wrap(BigInt(high))];
  const state = [
    0x736f6d6570736575n ^ one,
    0x646f72616e646f6dn ^ other,
    0x6c7967656e657261n ^ one,
    0x7465646279746573n ^ other,
  ] as [bigint, bigint, bigint, bigint];
  const padded = Buffer.alloc(8 * (Math.floor(bytes.length / 8) + 1));
  bytes.copy(padded);
  padded[padded.length - 1] = bytes.length & 255;
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    state[3] ^= word;
    sipRounds(state, 2);
    state[0] ^= word;
  }
  state[2] ^= 0xffn;
  sipRounds(state, 4);
  return state[0] ^ state[1] ^ state[2] ^ state[3];
}

function sipRounds(state: [bigint, bigint, bigint, bigint], rounds: number): void {
  let [a, b, c, d] = state;
  for (let round = 0; round < rounds; round++) {
    a = wrap(a + b);
    b = rotateLeft(b, 13n) ^ a;
    a = rotateLeft(a, 32n);
    c = wrap(c + d);
    d = rotateLeft(d, 16n) ^ c;
    a = wrap(a + d);
    d = rotateLeft(d, 21n) ^ a;
    c = wrap(c + b);
    b = rotateLeft(b, 17n) ^ c;
    c = rotateLeft(c, 32n);
  }
  state.splice(0, 4, a, b, c, d);
}
