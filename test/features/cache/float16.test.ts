import { expect, test } from "vitest";
import { decodeFloat16, roundToFloat16 } from "../../../src/features/cache/float16.ts";
import { encodeFloat16, float32Tensor, toFloat16Bits, toFloat32 } from "../../../src/tensor.ts";
import { answers, type PackedArray, unpack } from "../../data/answers.ts";

const fixture = await answers<{ values: PackedArray; bits: PackedArray }>("float16.json");
const values = unpack(fixture.values) as Float32Array;
const expected = new Uint32Array(unpack(fixture.bits).buffer);

test("a value becomes the float16 that NumPy's does, ties to even, subnormals too", () => {
  const wrong = [...values.keys()].filter((index) => toFloat16Bits(values[index]!) !== expected[index]);
  expect(wrong.map((index) => [values[index], toFloat16Bits(values[index]!), expected[index]])).toEqual([]);
});

test("every float16 keeps its bits through float32", () => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, index) => index).filter(
    (value) => (value & 0x7fff) <= 0x7c00,
  );
  const decoded = new Float32Array(bits.length);
  decodeFloat16(bits, decoded);
  expect(decoded).toEqual(toFloat32({ dtype: "float16", shape: [bits.length], data: bits }));
  expect(encodeFloat16(decoded)).toEqual(bits);
});

test("rounding is what encoding and decoding do", () => {
  const rounded = values.slice();
  roundToFloat16(rounded);
  const decoded = new Float32Array(values.length);
  decodeFloat16(encodeFloat16(values), decoded);
  expect(rounded).toEqual(decoded);
});

test("a finite value beyond the range stays finite", () => {
  const large = float32Tensor(Float32Array.of(65520, 1e30, -1e30), [3]).data as Float32Array;
  roundToFloat16(large);
  expect([...large]).toEqual([65504, 65504, -65504]);
});
