/** Hashes of short texts as TensorFlow's buckets take them: FarmHash's fingerprint, SipHash with a key, and their crossing. */

/** The key of SipHash. */
export type Salt = readonly [number, number];

const k0 = 0xc3a5c85c97cb3127n;
const k2 = 0x9ae16a3b2f90404fn;

/** 64 bits of a text of up to 32 bytes: FarmHash's, or with a salt SipHash-2-4's. */
export function fingerprint(text: string, salt?: Salt): bigint {
  const bytes = Buffer.from(text);
  return salt ? sipHash(bytes, salt) : farmHash(bytes);
}

/** 0 up to `buckets`. */
export function bucketOf(hash: bigint, buckets: number): number {
  return Number(hash % BigInt(buckets));
}

/** Of whole numbers one after the other (`tensorflow/core/kernels/sparse_cross_op.cc`). */
export function crossedFingerprint(values: readonly number[]): bigint {
  return values.reduce((hash, value) => concatenated(hash, wrap(BigInt(value))), 0xdecafcaffen);
}

/** `tensorflow/core/platform/fingerprint.h`, FingerprintCat64. */
function concatenated(one: bigint, other: bigint): bigint {
  const multiplier = 0xc6a4a7935bd1e995n;
  let result = one ^ multiplier ^ wrap(shiftMix(wrap(other * multiplier)) * multiplier);
  result = wrap(result * multiplier);
  result = wrap(shiftMix(result) * multiplier);
  return shiftMix(result);
}

function wrap(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n);
}

function rotateRight(value: bigint, bits: bigint): bigint {
  return wrap((value >> bits) | (value << (64n - bits)));
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return rotateRight(value, 64n - bits);
}

/** `farmhashna::Hash64` (Pike, 2014) of up to 32 bytes. */
function farmHash(bytes: Buffer): bigint {
  const { length } = bytes;
  const size = BigInt(length);
  const word = (at: number): bigint => bytes.readBigUInt64LE(at);
  if (length > 16) return farmHashLong(bytes);
  if (length >= 8) {
    const multiplier = k2 + size * 2n;
    const a = wrap(word(0) + k2);
    const b = word(length - 8);
    const c = wrap(rotateRight(b, 37n) * multiplier + a);
    const d = wrap(wrap(rotateRight(a, 25n) + b) * multiplier);
    return mixed(c, d, multiplier);
  }
  if (length >= 4) {
    const multiplier = k2 + size * 2n;
    const a = BigInt(bytes.readUInt32LE(0));
    return mixed(size + (a << 3n), BigInt(bytes.readUInt32LE(length - 4)), multiplier);
  }
  if (length === 0) return k2;
  const first = BigInt(bytes[0]! + (bytes[length >> 1]! << 8));
  const second = BigInt(length + (bytes[length - 1]! << 2));
  return wrap(shiftMix(wrap(first * k2) ^ wrap(second * k0)) * k2);
}

function farmHashLong(bytes: Buffer): bigint {
  const { length } = bytes;
  const k1 = 0xb492b66fbe98f273n;
  const multiplier = k2 + BigInt(length) * 2n;
  const a = wrap(bytes.readBigUInt64LE(0) * k1);
  const b = bytes.readBigUInt64LE(8);
  const c = wrap(bytes.readBigUInt64LE(length - 8) * multiplier);
  const d = wrap(bytes.readBigUInt64LE(length - 16) * k2);
  const one = wrap(rotateRight(wrap(a + b), 43n) + rotateRight(c, 30n) + d);
  const other = wrap(a + rotateRight(wrap(b + k2), 18n) + c);
  return mixed(one, other, multiplier);
}

/** `HashLen16` of two words. */
function mixed(u: bigint, v: bigint, multiplier: bigint): bigint {
  const a = shiftMix(wrap((u ^ v) * multiplier));
  const b = shiftMix(wrap((v ^ a) * multiplier));
  return wrap(b * multiplier);
}

/** SipHash-2-4 (Aumasson and Bernstein, 2012). */
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
