import { describe, expect, test } from "vitest";
import { arrayDataset } from "../../src/data/arrays.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import { checkpointBefore, trainingCases, unpack } from "../training/training-cases.ts";

describe.each(trainingCases.filter(({ evaluated }) => evaluated))("evaluate of $name", (recorded) => {
  test("counts the regularizers of weights and activities as Keras does", async () => {
    const data = arrayDataset(unpack(recorded.input), unpack(recorded.targets));
    const { batchSize, loss: expected } = recorded.evaluated!;
    const { loss } = await evaluate(checkpointBefore(recorded), data, { batchSize });
    expect(Math.abs(loss - expected)).toBeLessThan(2e-5 * Math.max(1, expected));
  });
});
