/**
 * @file The random numbers of TensorFlow's stateless operations: Philox 4x32 with ten rounds (Salmon and others, 2011)
 * on scrambled seeds.
 */

type Words = readonly [number, number, number, number];

/**
 * Draws `count` normal numbers of mean 0 and deviation 1, equal to those of `tf.random.stateless_normal` for the seed
 * `[seed, 0]`.
 */
export function statelessNormal(seed: number, count: number): Float32Array {
  const [first, second, third, fourth] = philox([seed >>> 0, 0, 0, 0], [0x3ec8f720, 0x02461e29]);
  const result = new Float32Array(4 * Math.ceil(count / 4));
  for (let group = 0; group < count / 4; group++) {
    const words = philox([group, 0, third, fourth], [first, second]);
    result.set([...boxMuller(words[0], words[1]), ...boxMuller(words[2], words[3])], 4 * group);
  }
  return result.slice(0, count);
}

function philox(counter: Words, key: readonly [number, number]): Words {
  let words = counter;
  let [one, other] = key;
  for (let round = 0; round < 10; round++) {
    const [high, low] = wideProduct(0xd2511f53, words[0]);
    const [otherHigh, otherLow] = wideProduct(0xcd9e8d57, words[2]);
    words = [(otherHigh ^ words[1] ^ one) >>> 0, otherLow, (high ^ words[3] ^ other) >>> 0, low];
    one = (one + 0x9e3779b9) >>> 0;
    other = (other + 0xbb67ae85) >>> 0;
  }
  return words;
}

/** Returns the high and the low 32 bits of a product. */
function wideProduct(a: number, b: number): [number, number] {
  const product = BigInt(a) * BigInt(b);
  return [Number(product >> 32n), Number(product & 0xffffffffn)];
}

function boxMuller(radius: number, angle: number): [number, number] {
  const length = Math.sqrt(-2 * Math.log(Math.max(share(radius), 1e-7)));
  const turn = 2 * Math.PI * share(angle);
  return [Math.sin(turn) * length, Math.cos(turn) * length];
}

/** Converts the lower 23 bits to a number in [0, 1). */
function share(word: number): number {
  return (word & 0x7fffff) / 2 ** 23;
}
