import { createHash } from "node:crypto";

/** A stream of pseudo-random numbers. The same seed gives the same numbers on every machine and engine. */
export interface RandomGenerator {
  /** Draws an integer from 0 to 2^32 - 1. */
  nextInteger(): number;
  /** Draws a multiple of 2^-24 in [0, 1). */
  nextFloat(): number;
}

/**
 * Creates a xoshiro128** generator (Blackman and Vigna, 2018). Its state is a Weyl sequence that starts at the lower 32
 * bits of `seed`, each term mixed by the finalizer of MurmurHash3.
 */
export function randomGenerator(seed: number): RandomGenerator {
  const fill = mixedSequence(seed);
  let [a, b, c, d] = [fill(), fill(), fill(), fill()];
  const nextInteger = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
  return { nextInteger, nextFloat: () => (nextInteger() >>> 8) / 0x1000000 };
}

/** Returns a 32-bit seed that depends on every character of `text`, the same on every machine. */
export function seedOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32LE(0);
}

/** Returns a Fisher-Yates shuffle of `0 … count - 1`. `below(n)` draws an integer in [0, n). */
export function shuffled(count: number, below: (bound: number) => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = below(last + 1);
    const moved = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = moved;
  }
  return order;
}

/**
 * Draws a kernel by Glorot uniform initialization (`keras/src/initializers/random_initializers.py`, GlorotUniform).
 * @param shape Shape of the kernel; its last two dimensions are inputs and outputs.
 */
export function glorotUniform(shape: readonly number[], generator: RandomGenerator): Float32Array {
  const [inputs, outputs] = shape.slice(-2) as [number, number];
  const positions = shape.slice(0, -2).reduce((product, size) => product * size, 1);
  const limit = Math.sqrt(6 / (positions * (inputs + outputs)));
  return Float32Array.from(
    { length: positions * inputs * outputs },
    () => (2 * generator.nextFloat() - 1) * limit,
  );
}

/** Returns a function that gives the next term of the mixed Weyl sequence, an unsigned 32-bit integer. */
function mixedSequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** A stream of seeds: the same step draws the same numbers. */
export interface RandomStream {
  /** Returns another 31-bit seed at each call. */
  nextSeed(): number;
}
