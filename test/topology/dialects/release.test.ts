import { expect, test } from "vitest";
import { TopologyError } from "../../../src/errors.ts";
import { kerasRelease } from "../../../src/topology/dialects/dialect.ts";

test.each([
  ["1.2.2", 1, 2, false],
  ["2.1.6-tf", 2, 1, true],
  ["2.2.4", 2, 2, false],
  ["2.2.4-tf", 2, 2, true],
  ["2.3.1", 2, 3, false],
  ["2.4.0", 2, 4, true],
  ["2.15.0", 2, 15, true],
  ["3.10.0", 3, 10, false],
  ["3", 3, undefined, false],
] as const)(
  "version %s is Keras %i, minor release %s, of TensorFlow: %s",
  (version, major, minor, isTensorFlows) => {
    expect(kerasRelease(version)).toEqual({ major, minor, isTensorFlows });
  },
);

test("a version that is no Keras 1, 2 or 3 is refused", () => {
  expect(() => kerasRelease("4.0.0")).toThrow(TopologyError);
});
