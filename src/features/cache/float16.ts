const largestHalf = 65504;

const words = new Float32Array(1);
const wordBits = new Uint32Array(words.buffer);

/** The value of every float16 by its bits; float16 is IEEE 754 binary16. */
let valueOfBits: Float32Array | undefined;

/** Returns the nearest float16, ties to even, as bits. A finite value beyond the range becomes the largest of its sign, not infinite. */
export function toFloat16Bits(value: number): number {
  words[0] = value;
  const bits = wordBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude >= 0x477fe000) return sign | 0x7bff;
  if (magnitude < 0x38800000) return sign | roundedTies(Math.abs(words[0]!) * 2 ** 24);
  // Normal: drop 13 bits of the fraction, rounding to even; a carry runs into the exponent, as it should.
  const rounded = magnitude + 0x0fff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Rounds each value to the nearest float16, in place. */
export function roundToFloat16(values: Float32Array): void {
  const table = float16Values();
  for (let index = 0; index < values.length; index++) values[index] = table[toFloat16Bits(values[index]!)]!;
}

export function encodeFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < values.length; index++) bits[index] = toFloat16Bits(values[index]!);
  return bits;
}

/** Writes the values of `bits` into `destination`, which is as long. */
export function decodeFloat16(bits: Uint16Array, destination: Float32Array): void {
  const table = float16Values();
  for (let index = 0; index < bits.length; index++) destination[index] = table[bits[index]!]!;
}

function float16Values(): Float32Array {
  valueOfBits ??= Float32Array.from({ length: 0x10000 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * Math.min(largestHalf, (1 + fraction / 1024) * 2 ** (exponent - 15));
  });
  return valueOfBits;
}

/** Returns the nearest integer, ties to even. */
function roundedTies(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
