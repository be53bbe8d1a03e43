import { describe, expect, test } from "vitest";
import { preprocessMode, preprocessPixels } from "../../src/data/preprocess.ts";
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
  expect(() => preprocessPixels(gray, "caffe", 1)).toThrow(
    /^preprocess: "caffe": .*expected 3 channels, got 1/,
  );
  expect(() => preprocessPixels(gray, "torch", 1)).toThrow(/^preprocess: "torch"/);
  preprocessPixels(gray, "tf", 1);
  expect([...gray]).toEqual([-1, 0, 1]);
});

describe("mean=…,std=…", () => {
  const taken = (mode: unknown) => preprocessMode(mode, (expected) => new Error(expected));

  test("standardizes pixels by one number or by one per channel", () => {
    const colors = Float32Array.of(10, 20, 30, 40, 50, 60);
    preprocessPixels(colors, "mean=10,20,30,std=2,4,8");
    expect([...colors]).toEqual([0, 0, 0, 15, 7.5, 3.75]);
    const gray = Float32Array.of(0, 51);
    preprocessPixels(gray, "std=25.5", 1);
    expect([...gray]).toEqual([0, 2]);
    preprocessPixels(gray, "mean=1", 1);
    expect([...gray]).toEqual([-1, 1]);
  });

  test("is refused where its numbers do not fit the channels", () => {
    expect(() => preprocessPixels(new Float32Array(3), "mean=1,2,3,4,std=1")).toThrow(
      /expected one number or 3, one per channel, got 4/,
    );
  });

  test.each([
    "mean=",
    "mean=a",
    "std=0",
    "std=-1",
    "mean=1std=2",
    "mean=1,2",
    "std=1,2,3,mean=0",
    "Mean=1;std=2",
    "x",
  ])("%s is refused", (mode) => {
    expect(() => taken(mode)).toThrow();
  });

  test("in units of 0 to 1 is refused with the numbers in units of the file", () => {
    expect(() => taken("mean=0.485,0.456,0.406,std=0.229,0.224,0.225")).toThrow(
      "mean and std of pixels as they are in the file, 0 to 255 (of these for 0 to 1: mean=123.675,116.28,103.53,std=58.395,57.12,57.375)",
    );
  });

  test.each(["auto", "unit", "mean=127.5,std=127.5", "std=255", "mean=1.5e2,std=.5e2", "mean=-3,std=60"])(
    "%s is taken",
    (mode) => {
      expect(taken(mode)).toBe(mode);
    },
  );
});
