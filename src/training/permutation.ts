import { shuffled } from "../random.ts";

/** A permutation of `0 … count-1`, the same for the same seed and epoch on every machine. */
export function permutation(count: number, seed: number, epoch: number): Uint32Array {
  const random = splitMix32(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca77));
  return shuffled(count, (bound) => Math.floor((random() / 2 ** 32) * bound));
}

function splitMix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let hash = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return (hash ^ (hash >>> 15)) >>> 0;
  };
}
