import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { freeze } from "../../src/freeze/policy.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import type { TrainingCase } from "./training-cases.ts";
import { checkpointBefore, trainingCases, unpack } from "./training-cases.ts";

describe.each(trainingCases)("what Keras did in training: $name", (recorded) => {
  test("one and three steps give Keras's loss, accuracy and weights, and leave what is frozen alone", async () => {
    const checkpoint = checkpointBefore(recorded);
    const trainer = await createTrainer(checkpoint, {
      freeze: recorded.frozen.length > 0 ? [freeze(...recorded.frozen)] : [],
      bnMode: recorded.bnMode,
      optimizer: recorded.optimizer,
      loss: recorded.loss,
      ...(recorded.classWeight && { classWeight: recorded.classWeight }),
    });
    const figures: { loss: number; accuracy?: number }[] = [];
    const after: Checkpoint[] = [];
    for (let step = 0; step < 3; step++) {
      figures.push(await trainer.trainOnBatch(unpack(recorded.input), unpack(recorded.targets)));
      after.push(trainer.checkpoint());
    }
    trainer.dispose();
    for (const [index, step] of [0, 2].entries()) {
      const expected = recorded.steps[index]!;
      const { loss, accuracy } = figures[step]!;
      expect(Math.abs(loss - expected.loss)).toBeLessThan(2e-5 * Math.max(1, expected.loss));
      if (expected.accuracy !== undefined) expect(accuracy).toBeCloseTo(expected.accuracy, 6);
      expect(largestDifference(after[step]!, expected.weights)).toBeLessThan(2e-5);
      for (const path of recorded.frozen) {
        expect(after[step]!.weights.get(path)).toEqual(checkpoint.weights.get(path));
      }
    }
  });
});

/** Relative to the largest value of each weight where that is over 1. */
function largestDifference({ weights }: Checkpoint, expected: TrainingCase["before"]): number {
  const differences = Object.entries(expected).flatMap(([path, layer]) =>
    layer.map((packed) => {
      const wanted = unpack(packed).data as Float32Array;
      const got = weights.get(path)!.find((weight) => weight.name === packed.name)!.data as Float32Array;
      const scale = Math.max(1, ...wanted.map(Math.abs));
      return Math.max(...wanted.map((value, index) => Math.abs(value - got[index]!))) / scale;
    }),
  );
  return Math.max(...differences);
}
