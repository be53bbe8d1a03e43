import { describe, expect, test } from "vitest";
import { arrayDataset } from "../../src/data/arrays.ts";
import { finetune } from "../../src/finetune.ts";
import { freeze } from "../../src/freeze/policy.ts";
import { checkpointBefore, trainingCases, unpack } from "../training/training-cases.ts";

const versions = trainingCases.filter(({ frozen, evaluated }) => evaluated && frozen.includes("first"));

describe.each(versions)("a run on $name", (recorded) => {
  test("reports Keras's loss, what frozen activities before the cut add among it, and val_loss alike", async () => {
    const [inputs, targets] = [unpack(recorded.input), unpack(recorded.targets)];
    const { history } = await finetune({
      model: checkpointBefore(recorded),
      data: arrayDataset(inputs, targets, { validation: { inputs, targets } }),
      freeze: [freeze(...recorded.frozen)],
      bnMode: "follow",
      optimizer: recorded.optimizer,
      loss: recorded.loss,
      epochs: 3,
      batchSize: 6,
      keepHead: true,
    });
    const [first, second, third] = history;
    expect(first!.loss).toBeCloseTo(recorded.steps[0]!.loss, 4);
    expect(third!.loss).toBeCloseTo(recorded.steps[1]!.loss, 4);
    // Of the same samples, after the step before.
    expect(second!.val_loss).toBeCloseTo(third!.loss, 4);
  });
});
