/**
 * A permutation of 0…count-1, the same for the same seed and epoch on every machine: the order in which an epoch visits its
 * samples.
 */
export function permutation(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  const random = randomWords(seed, epoch);
  for (let last = count - 1; last > 0; last--) {
    const chosen = below(last + 1, random);
    const value = order[last]!;
    order[last] = order[chosen]!;
    order[chosen] = value;
  }
  return order;
}

/** Uniform in 0…bound-1: words that would favour small values are drawn again. */
function below(bound: number, random: () => number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const word = random();
    if (word < limit) return word % bound;
  }
}

/** sfc32 (Doty-Humphrey's small fast counter), seeded by both numbers and warmed up. */
function randomWords(seed: number, stream: number): () => number {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = stream | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 16; round++) next();
  return next;
}
