import { expect, test } from "vitest";
import { writingOptions } from "../../src/run/open-model.ts";

test("options of ONNX reach the writer of an .onnx and are refused for every other format", () => {
  const plain = { layout: null, float16: false, embedPreprocess: false } as const;
  expect(writingOptions("keras", plain)).toEqual({ format: "keras" });
  const asked = { layout: "nchw", float16: true, embedPreprocess: true } as const;
  expect(writingOptions("onnx", asked)).toEqual({ format: "onnx", ...asked });
  expect(() => writingOptions("h5", { ...plain, float16: true })).toThrow(
    /^float16: expected outputFormat: "onnx", got "h5"\. Remove float16\./,
  );
});
