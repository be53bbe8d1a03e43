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
