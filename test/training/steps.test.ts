import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Checkpoint, JsonObject, Weight } from "../../src/checkpoint.ts";
import { freeze } from "../../src/freeze/policy.ts";
import type { Tensor } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";

interface Packed {
  readonly shape: number[];
  readonly base64: string;
}
interface Case {
  readonly keras: string;
  readonly name: string;
  readonly modelConfig: JsonObject;
  readonly optimizer: JsonObject;
  readonly loss: string;
  readonly frozen: string[];
  readonly bnMode: "follow" | "inference";
  readonly classWeight: Record<string, number> | null;
  readonly input: Packed;
  readonly targets: Packed;
  readonly before: Record<string, (Packed & { name: string })[]>;
  readonly steps: { loss: number; accuracy?: number; weights: Case["before"] }[];
}

const folder = new URL("../../fixtures/training/", import.meta.url);
const cases = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Case);

describe.each(cases)("what Keras did in training: $name", (recorded) => {
  test("one and three steps give Keras's loss, accuracy and weights, and leave what is frozen alone", async () => {
    const checkpoint: Checkpoint = {
      format: "keras",
      kerasVersion: recorded.keras,
      modelConfig: recorded.modelConfig,
      weights: new Map(
        Object.entries(recorded.before).map(([path, layer]) => [path, layer.map(unpackWeight)]),
      ),
      notes: {},
    };
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

function unpack({ shape, base64 }: Packed): Tensor {
  const bytes = Buffer.from(base64, "base64");
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return { dtype: "float32", shape, data };
}

function unpackWeight(packed: Packed & { name: string }): Weight {
  return { ...unpack(packed), name: packed.name };
}

/** Relative to the largest value of each weight where that is over 1. */
function largestDifference({ weights }: Checkpoint, expected: Case["before"]): number {
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
