import { describe, expect, test } from "vitest";
import { arrayDataset, inputsInOrder, sampleCount } from "../../src/data/arrays.ts";
import { float32Tensor } from "../../src/tensor.ts";

function zeros(...shape: number[]) {
  return float32Tensor(new Float32Array(shape.reduce((product, size) => product * size, 1)), shape);
}

describe("arrayDataset", () => {
  test("holds the arrays themselves", () => {
    const [inputs, targets] = [zeros(4, 2), zeros(4, 3)];
    const validation = { inputs: zeros(1, 2), targets: zeros(1, 3) };
    const dataset = arrayDataset(inputs, targets, { validation, classNames: ["a", "b", "c"] });
    expect(dataset).toEqual({ kind: "arrays", inputs, targets, validation, classNames: ["a", "b", "c"] });
    expect(dataset.inputs).toBe(inputs);
  });

  test("refuses inputs and targets of different lengths, by the input's name", () => {
    expect(() => arrayDataset(zeros(5, 2), zeros(4))).toThrow(
      "inputs: expected as many samples as targets, 4, got [5,2].",
    );
    expect(() => arrayDataset([zeros(4, 2), zeros(3, 2)], zeros(4))).toThrow(/^inputs\[1\]: .* got \[3,2\]/);
    expect(() => arrayDataset({ image: zeros(4, 2), age: zeros(2, 1) }, zeros(4))).toThrow(/^age: /);
  });

  test("refuses no samples and no inputs", () => {
    expect(() => arrayDataset(zeros(0, 2), zeros(0))).toThrow(
      /^targets: expected \[N, …\] with N > 0, got \[0\]/,
    );
    expect(() => arrayDataset([], zeros(4))).toThrow("inputs: expected one array or more, got none.");
  });

  test("refuses validation data of another shape", () => {
    const refuse = (inputs: ReturnType<typeof zeros>, targets: ReturnType<typeof zeros>) => () =>
      arrayDataset(zeros(4, 2), zeros(4, 3), { validation: { inputs, targets } });
    expect(refuse(zeros(2, 5), zeros(2, 3))).toThrow(
      "validation inputs: expected [None,2] as in training, got [2,5].",
    );
    expect(refuse(zeros(2, 2), zeros(2, 4))).toThrow(
      "validation targets: expected [None,3] as in training, got [2,4].",
    );
    expect(refuse(zeros(2, 2), zeros(3, 3))).toThrow(
      /^validation inputs: expected as many samples as targets, 3/,
    );
  });
});

describe("inputsInOrder", () => {
  const [image, age] = [zeros(2, 3), zeros(2, 1)];

  test("takes a tensor, a list, or a record in any order", () => {
    expect(inputsInOrder(image, ["image"])).toEqual([image]);
    expect(inputsInOrder([image, age], ["image", "age"])).toEqual([image, age]);
    expect(inputsInOrder({ age, image }, ["image", "age"])).toEqual([image, age]);
  });

  test("names what is lacking and what is unknown", () => {
    expect(() => inputsInOrder(image, ["image", "age"])).toThrow("inputs: expected 2 (image, age), got 1.");
    expect(() => inputsInOrder([image, age], ["image"])).toThrow("inputs: expected 1 (image), got 2.");
    expect(() => inputsInOrder({ image, weight: age }, ["image", "age"])).toThrow(
      "inputs: expected 2 (image, age), got a record that lacks age and has weight.",
    );
    expect(() => inputsInOrder({ image, toString: age }, ["image"])).toThrow(/has toString/);
  });
});

test("sampleCount is the first dimension", () => {
  expect(sampleCount({ image: zeros(7, 2) })).toBe(7);
  expect(sampleCount([])).toBe(0);
});

describe("arrays are checked:", () => {
  const targets = zeros(4);
  test.each<[string, () => unknown, string]>([
    [
      "fewer values than the shape says",
      () => arrayDataset({ dtype: "float32", shape: [4, 2], data: new Float32Array(6) }, targets),
      "inputs: [4,2]: expected 8 values, got 6.",
    ],
    [
      "another array than the dtype says",
      () => arrayDataset({ dtype: "int32", shape: [4], data: new Float32Array(4) }, targets),
      "inputs: int32: expected Int32Array, got Float32Array.",
    ],
    [
      "a dtype that does not exist",
      () => arrayDataset({ dtype: "float" as "float32", shape: [4], data: new Float32Array(4) }, targets),
      'inputs: dtype: expected one of float32, float64, float16, bfloat16, int8, uint8, int16, uint16, int32, uint32, int64, uint64, bool, string, got "float".',
    ],
    [
      "no shape",
      () => arrayDataset({ dtype: "float32", shape: [2.5], data: new Float32Array(4) }, targets),
      "inputs: shape: expected sizes such as [100, 3], got [2.5].",
    ],
    [
      "another number of samples in one of several targets",
      () => arrayDataset(zeros(4, 2), { a: zeros(4), b: zeros(3) }),
      "b: expected as many samples as a, 4, got [3].",
    ],
    [
      "a target that is not finite",
      () => arrayDataset(zeros(2, 2), float32Tensor(Float32Array.of(1, 2, Number.NaN, 3), [2, 2])),
      "targets: sample 1: expected finite numbers, got NaN.",
    ],
    [
      "weights of another number of samples",
      () => arrayDataset(zeros(4, 2), targets, { sampleWeights: zeros(3) }),
      "sampleWeights: expected as many samples as targets, 4, got [3].",
    ],
    [
      "weights of an output that has no target",
      () => arrayDataset(zeros(4, 2), { a: targets, b: targets }, { sampleWeights: { c: targets } }),
      "sampleWeights: expected weights of a, b, got c.",
    ],
    [
      "test samples of another shape",
      () => arrayDataset(zeros(4, 2), targets, { test: { inputs: zeros(2, 3), targets: zeros(2) } }),
      "test inputs: expected [None,2] as in training, got [2,3].",
    ],
    [
      "a share that is none",
      () => arrayDataset(zeros(4, 2), targets, { validationFraction: 1 }),
      "validationFraction: expected a number from 0 to below 1, got 1.",
    ],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(message);
  });
});

describe("a share of the samples", () => {
  const inputs = float32Tensor(
    Float32Array.from({ length: 40 }, (_, index) => index),
    [20, 2],
  );
  const labels = float32Tensor(
    Float32Array.from({ length: 20 }, (_, index) => index % 2),
    [20],
  );
  const weights = float32Tensor(
    Float32Array.from({ length: 20 }, (_, index) => index + 1),
    [20],
  );

  test("is held out by content, of each class alike, with targets and weights", () => {
    const dataset = arrayDataset(inputs, labels, { validationFraction: 0.2, sampleWeights: weights });
    const held = dataset.validation as unknown as Record<string, { shape: number[]; data: Float32Array }>;
    expect(held["inputs"]?.shape).toEqual([4, 2]);
    expect([...(held["targets"]?.data ?? [])].sort()).toEqual([0, 0, 1, 1]);
    const rows = [...(held["inputs"]?.data ?? [])]
      .filter((_, index) => index % 2 === 0)
      .map((value) => value / 2);
    expect([...(held["sampleWeights"]?.data ?? [])]).toEqual(rows.map((row) => row + 1));
    expect((dataset.inputs as { shape: readonly number[] }).shape).toEqual([16, 2]);
    expect(dataset).toEqual(
      arrayDataset(inputs, labels, { validationFraction: 0.2, sampleWeights: weights }),
    );
  });

  test("is held out of lists and records alike", () => {
    const text = {
      dtype: "string" as const,
      shape: [20],
      data: Array.from({ length: 20 }, (_, row) => `text ${row}`),
    };
    const dataset = arrayDataset([inputs, text], { a: labels, b: weights }, { validationFraction: 0.25 });
    expect(dataset.validation?.inputs).toMatchObject([{ shape: [5, 2] }, { dtype: "string", shape: [5] }]);
    expect(dataset.validation?.targets).toMatchObject({ a: { shape: [5] }, b: { shape: [5] } });
  });

  test("of one-hot targets is of each class alike", () => {
    const oneHot = new Float32Array(40);
    for (let row = 0; row < 20; row++) oneHot[row * 2 + Number(row >= 16)] = 1;
    const dataset = arrayDataset(inputs, float32Tensor(oneHot, [20, 2]), { validationFraction: 0.25 });
    const held = dataset.validation?.targets as unknown as { data: Float32Array } | undefined;
    expect(
      [...(held?.data ?? [])].filter((_, index) => index % 2 === 1).reduce((sum, value) => sum + value),
    ).toBe(1);
  });
});
