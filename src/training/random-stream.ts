import type { RandomStream } from "../layers/kernel.ts";

/** Seeds for one call at one step: the same run, step and call draw the same numbers. */
export function randomStream(seed: number, step: number, node: number): RandomStream {
  let counter = 0;
  return {
    nextSeed: () => mix(mix(mix(mix(seed) ^ step) ^ node) ^ counter++) >>> 1,
  };
}

/** The finalizer of MurmurHash3, a bijection of 32-bit integers. */
function mix(value: number): number {
  let hash = (value + 0x9e3779b9) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
