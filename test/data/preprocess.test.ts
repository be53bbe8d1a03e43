import { expect, test } from "vitest";
import { preprocessPixels } from "../../src/data/preprocess.ts";
import { answers, largestDifference, type PackedArray, unpack } from "./answers.ts";

interface PreprocessAnswers {
  readonly pixels: PackedArray;
  readonly modes: Readonly<Record<"caffe" | "tf" | "torch", PackedArray>>;
}

const { pixels, modes } = await answers<PreprocessAnswers>("preprocess.json");

test.each(["caffe", "tf", "torch"] as const)("%s is Keras's preprocess_input, within 1e-6", (mode) => {
  const values = unpack(pixels) as Float32Array;
  preprocessPixels(values, mode);
  expect(largestDifference(values, unpack(modes[mode]))).toBeLessThanOrEqual(1e-6);
});

test("none leaves the pixels", () => {
  const values = unpack(pixels) as Float32Array;
  preprocessPixels(values, "none");
  expect([...values]).toEqual([...unpack(pixels)]);
});

test("caffe and torch are refused on gray images, tf is not", () => {
  const gray = Float32Array.of(0, 127.5, 255);
  expect(() => preprocessPixels(gray, "caffe", 1)).toThrow(/preprocess caffe.*expected 3 channels, got 1/);
  expect(() => preprocessPixels(gray, "torch", 1)).toThrow(/preprocess torch/);
  preprocessPixels(gray, "tf", 1);
  expect([...gray]).toEqual([-1, 0, 1]);
});
