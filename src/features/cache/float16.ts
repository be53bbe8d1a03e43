import { float16ToNumber, toFloat16Bits } from "../../tensor.ts";

/** The value of every float16 by its bits; float16 is IEEE 754 binary16. */
let valueOfBits: Float32Array | undefined;

/** Rounds each value to the nearest float16, in place. */
export function roundToFloat16(values: Float32Array): void {
  const table = float16Values();
  for (let index = 0; index < values.length; index++) values[index] = table[toFloat16Bits(values[index]!)]!;
}

/** Writes the values of `bits` into `destination`, which is as long. */
export function decodeFloat16(bits: Uint16Array, destination: Float32Array): void {
  const table = float16Values();
  for (let index = 0; index < bits.length; index++) destination[index] = table[bits[index]!]!;
}

function float16Values(): Float32Array {
  valueOfBits ??= Float32Array.from({ length: 0x10000 }, (_, bits) => float16ToNumber(bits));
  return valueOfBits;
}
