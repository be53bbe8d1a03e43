/** @file FarmHash's `farmhashna::Hash64` (Pike, 2014), which is TensorFlow's fingerprint of a text. */

const k0 = 0xc3a5c85c97cb3127n;
const k1 = 0xb492b66fbe98f273n;
const k2 = 0x9ae16a3b2f90404fn;

/** Returns the low 64 bits. */
export function wrap(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

export function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n);
}

export function rotateRight(value: bigint, bits: bigint): bigint {
  const word = wrap(value);
  return wrap((word >> bits) | (word << (64n - bits)));
}

/** Computes the 64-bit hash of any number of bytes. */
export function farmHash(bytes: Buffer): bigint {
  const { length } = bytes;
  if (length <= 16) return hashOfFew(bytes);
  if (length <= 32) return hashUpTo32(bytes);
  return length <= 64 ? hashUpTo64(bytes) : hashOfMany(bytes);
}

function hashOfFew(bytes: Buffer): bigint {
  const { length } = bytes;
  const size = BigInt(length);
  const multiplier = k2 + size * 2n;
  if (length >= 8) {
    const a = wrap(bytes.readBigUInt64LE(0) + k2);
    const b = bytes.readBigUInt64LE(length - 8);
    const c = wrap(rotateRight(b, 37n) * multiplier + a);
    const d = wrap(wrap(rotateRight(a, 25n) + b) * multiplier);
    return mixed(c, d, multiplier);
  }
  if (length >= 4) {
    const a = BigInt(bytes.readUInt32LE(0));
    return mixed(size + (a << 3n), BigInt(bytes.readUInt32LE(length - 4)), multiplier);
  }
  if (length === 0) return k2;
  const first = BigInt(bytes[0]! + (bytes[length >> 1]! << 8));
  const second = BigInt(length + (bytes[length - 1]! << 2));
  return wrap(shiftMix(wrap(first * k2) ^ wrap(second * k0)) * k2);
}

function hashUpTo32(bytes: Buffer): bigint {
  const { length } = bytes;
  const multiplier = k2 + BigInt(length) * 2n;
  const a = wrap(bytes.readBigUInt64LE(0) * k1);
  const b = bytes.readBigUInt64LE(8);
  const c = wrap(bytes.readBigUInt64LE(length - 8) * multiplier);
  const d = wrap(bytes.readBigUInt64LE(length - 16) * k2);
  const one = wrap(rotateRight(a + b, 43n) + rotateRight(c, 30n) + d);
  const other = wrap(a + rotateRight(b + k2, 18n) + c);
  return mixed(one, other, multiplier);
}

function hashUpTo64(bytes: Buffer): bigint {
  const { length } = bytes;
  const multiplier = k2 + BigInt(length) * 2n;
  const word = (at: number): bigint => bytes.readBigUInt64LE(at);
  const a = wrap(word(0) * k2);
  const b = word(8);
  const c = wrap(word(length - 8) * multiplier);
  const d = wrap(word(length - 16) * k2);
  const y = wrap(rotateRight(a + b, 43n) + rotateRight(c, 30n) + d);
  const z = mixed(y, wrap(a + rotateRight(b + k2, 18n) + c), multiplier);
  const e = wrap(word(16) * multiplier);
  const f = word(24);
  const g = wrap((y + word(length - 32)) * multiplier);
  const h = wrap((z + word(length - 24)) * multiplier);
  const one = wrap(rotateRight(e + f, 43n) + rotateRight(g, 30n) + h);
  return mixed(one, wrap(e + rotateRight(f + a, 18n) + g), multiplier);
}

type Pair = readonly [bigint, bigint];

interface State {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly v: Pair;
  readonly w: Pair;
}

/** Hashes blocks of 64 bytes, and the last 64 bytes once more. */
function hashOfMany(bytes: Buffer): bigint {
  const { length } = bytes;
  const seed = 81n;
  const y = wrap(seed * k1 + 113n);
  let state: State = {
    x: wrap(seed * k2 + bytes.readBigUInt64LE(0)),
    y,
    z: wrap(shiftMix(wrap(y * k2 + 113n)) * k2),
    v: [0n, 0n],
    w: [0n, 0n],
  };
  const end = Math.floor((length - 1) / 64) * 64;
  for (let at = 0; at < end; at += 64) state = afterBlock(bytes, at, state, k1, 1n);
  const multiplier = k1 + ((state.z & 0xffn) << 1n);
  const w = state.w[0] + BigInt((length - 1) & 63);
  const v = state.v[0] + w;
  const counted: State = { ...state, v: [wrap(v), state.v[1]], w: [wrap(w + v), state.w[1]] };
  const last = afterBlock(bytes, length - 64, counted, multiplier, 9n);
  return mixed(
    wrap(mixed(last.v[0], last.w[0], multiplier) + shiftMix(last.y) * k0 + last.z),
    wrap(mixed(last.v[1], last.w[1], multiplier) + last.x),
    multiplier,
  );
}

/** Returns the state after a block, with x and z exchanged. */
function afterBlock(
  bytes: Buffer,
  at: number,
  { x, y, z, v, w }: State,
  multiplier: bigint,
  weight: bigint,
): State {
  const word = (offset: number): bigint => bytes.readBigUInt64LE(at + offset);
  const nextX = wrap(rotateRight(x + y + v[0] + word(8), 37n) * multiplier) ^ wrap(w[1] * weight);
  const nextY = wrap(rotateRight(y + v[1] + word(48), 42n) * multiplier + v[0] * weight + word(40));
  const nextZ = wrap(rotateRight(z + w[0], 33n) * multiplier);
  return {
    x: nextZ,
    y: nextY,
    z: nextX,
    v: hashOf32(bytes, at, v[1] * multiplier, nextX + w[0]),
    w: hashOf32(bytes, at + 32, nextZ + w[1], nextY + word(16)),
  };
}

/** Computes `WeakHashLen32WithSeeds`. */
function hashOf32(bytes: Buffer, at: number, one: bigint, other: bigint): Pair {
  const [first, second, third, fourth] = [0, 8, 16, 24].map((offset) => bytes.readBigUInt64LE(at + offset));
  const a = wrap(one + first!);
  const b = rotateRight(other + a + fourth!, 21n);
  const sum = wrap(a + second! + third!);
  return [wrap(sum + fourth!), wrap(b + rotateRight(sum, 44n) + a)];
}

/** Computes `HashLen16` of two words. */
function mixed(u: bigint, v: bigint, multiplier: bigint): bigint {
  const a = shiftMix(wrap((u ^ v) * multiplier));
  const b = shiftMix(wrap((v ^ a) * multiplier));
  return wrap(b * multiplier);
}
