import { describe, expect, test } from "vitest";
import { tensorRows, wholeTensor } from "../../src/features/sample-rows.ts";
import type { Tensor } from "../../src/tensor.ts";
import { float32Tensor, toFloat32 } from "../../src/tensor.ts";
import type { Examples } from "../../src/training/example-set.ts";
import { drawnMixing, mixup, withMixedTargets } from "../../src/training/mixing.ts";

const samples = 8;
const features = float32Tensor(
  Float32Array.from({ length: samples * 6 }, (_, index) => index),
  [samples, 2, 3],
);
const second = float32Tensor(
  Float32Array.from({ length: samples }, (_, index) => index * index),
  [samples, 1],
);
const targets = float32Tensor(
  Float32Array.from({ length: samples * 2 }, (_, index) => (Math.floor(index / 2) % 2 === index % 2 ? 1 : 0)),
  [samples, 2],
);
const weights = float32Tensor(
  Float32Array.from({ length: samples }, (_, index) => index + 1),
  [samples],
);
const given: Examples = {
  features: [tensorRows(features), tensorRows(second)],
  targets: [{ targets, weights }],
};
const targetsOf = (examples: Examples): Tensor => examples.targets[0]!.targets;

const mixed = async (epoch: number, seed = 0) =>
  (await mixup({ alpha: 0.4, seed }).examples?.(epoch, given)) ?? given;

/** The row of a tensor that a mixing makes. */
function averaged(tensor: Tensor, row: number, partner: number, kept: number): number[] {
  const values = toFloat32(tensor);
  const size = values.length / samples;
  return Array.from({ length: size }, (_, at) =>
    Math.fround(kept * values[row * size + at]! + (1 - kept) * values[partner * size + at]!),
  );
}

const rowOf = (tensor: Tensor, row: number): number[] => {
  const values = toFloat32(tensor);
  const size = values.length / tensor.shape[0]!;
  return [...values.subarray(row * size, (row + 1) * size)];
};

describe("mixup", () => {
  test("averages every feature, the target and the weight of a sample by one share", async () => {
    const { partners, kept } = drawnMixing(samples, { alpha: 0.4, seed: 0, epoch: 3 });
    const examples = await mixed(3);
    const [first, other] = await Promise.all(examples.features.map(wholeTensor));
    for (let row = 0; row < samples; row++) {
      const [partner, share] = [partners[row]!, kept[row]!];
      expect(rowOf(first!, row)).toEqual(averaged(features, row, partner, share));
      expect(rowOf(other!, row)).toEqual(averaged(second, row, partner, share));
      expect(rowOf(targetsOf(examples), row)).toEqual(averaged(targets, row, partner, share));
      expect(rowOf(examples.targets[0]!.weights!, row)).toEqual(averaged(weights, row, partner, share));
    }
  });

  test("keeps the sum of a one-hot target", async () => {
    const soft = targetsOf(await mixed(1));
    for (let row = 0; row < samples; row++) {
      expect(rowOf(soft, row).reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 6);
    }
  });

  test("picks rows in any order as they are in the whole", async () => {
    const { features: rows } = await mixed(1);
    const whole = await wholeTensor(rows[0]!);
    const picked = await rows[0]!.pick([5, 0, 5]);
    expect([0, 1, 2].map((row) => rowOf(picked, row))).toEqual([5, 0, 5].map((row) => rowOf(whole, row)));
  });

  test("is the same for the same seed and epoch, and another for others", async () => {
    const values = async (epoch: number, seed?: number) =>
      String([...toFloat32(targetsOf(await mixed(epoch, seed)))]);
    expect(await values(1)).toBe(await values(1));
    expect(new Set([await values(1), await values(2), await values(1, 1)]).size).toBe(3);
  });

  test("leaves what it is given as it was", async () => {
    const before = [...toFloat32(features), ...toFloat32(targets)];
    await wholeTensor((await mixed(1)).features[0]!);
    expect([...toFloat32(features), ...toFloat32(targets)]).toEqual(before);
  });
});

test("a mixing of targets alone leaves the features", () => {
  const mixing = { partners: [1, 0, 2, 3, 4, 5, 6, 7], kept: new Float32Array(samples).fill(0.25) };
  const examples = withMixedTargets(given, mixing);
  expect(examples.features).toBe(given.features);
  expect(rowOf(targetsOf(examples), 0)).toEqual([0.25, 0.75]);
});
