import { expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freeze } from "../../src/freeze/policy.ts";
import type { Tensor } from "../../src/tensor.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";

function spectral(): Promise<Checkpoint> {
  return readCheckpoint(new URL("../../fixtures/models/k3-spectral.keras", import.meta.url).pathname);
}

const options = { optimizer: "sgd", loss: "mean_squared_error" } as const;

function filled(shape: readonly number[], value: (index: number) => number): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return float32Tensor(
    Float32Array.from({ length: size }, (_, index) => value(index)),
    [...shape],
  );
}

async function trained(checkpoint: Checkpoint, frozen: readonly string[], steps = 2): Promise<Checkpoint> {
  const trainer = await createTrainer(checkpoint, {
    ...options,
    freeze: frozen.length > 0 ? [freeze(...frozen)] : [],
  });
  const inputs = filled([2, 7, 6, 2], (index) => Math.sin(index));

  for (let step = 0; step < steps; step++) {
    await trainer.trainOnBatch(
      inputs,
      filled([2, 2], (index) => index / 8),
    );
  }
  const after = trainer.checkpoint();
  trainer.dispose();
  return after;
}

/** The largest singular value of a kernel as a matrix `[-1, outputs]`, by a hundred power iterations. */
function spectralNorm({ shape, data }: Tensor): number {
  const outputs = shape.at(-1)!;
  const rows = Array.from({ length: data.length / outputs }, (_, row) =>
    Array.from({ length: outputs }, (__, column) => Number(data[row * outputs + column])),
  );
  let vector = rows[0]!;
  let length = 1;
  for (let iteration = 0; iteration < 100; iteration++) {
    const images = rows.map((row) => row.reduce((sum, value, column) => sum + value * vector[column]!, 0));
    const back = vector.map((_, column) =>
      rows.reduce((sum, row, index) => sum + row[column]! * images[index]!, 0),
    );
    length = Math.hypot(...back);
    vector = back.map((value) => value / length);
  }
  return Math.sqrt(length);
}

test("a trained kernel comes near a norm of 1, its vector moves", async () => {
  const before = await spectral();
  const after = await trained(before, [], 20);
  const weight = (checkpoint: Checkpoint, name: string): Tensor =>
    checkpoint.weights.get("spectral_dense")!.find((each) => each.name === name)!;
  expect(Math.abs(spectralNorm(weight(after, "layer/kernel")) - 1)).toBeLessThan(0.1);
  expect(weight(after, "vector_u").data).not.toEqual(weight(before, "vector_u").data);
});

test("a frozen one keeps kernel and vector to the bit, where Keras renews both", async () => {
  const before = await spectral();
  const after = await trained(before, ["spectral_conv"]);
  expect(after.weights.get("spectral_conv")).toEqual(before.weights.get("spectral_conv"));
  expect(after.weights.get("spectral_dense")).not.toEqual(before.weights.get("spectral_dense"));
});

test("a frozen one behind a trained layer keeps them too", async () => {
  const before = await spectral();
  const after = await trained(before, ["spectral_dense"]);
  expect(after.weights.get("spectral_dense")).toEqual(before.weights.get("spectral_dense"));
});

test("a kernel of zeros stays finite, and its vector as it is", async () => {
  const before = await spectral();
  const layer = before.weights.get("spectral_conv")!;
  const zeros = layer.map((weight) =>
    weight.name === "layer/kernel" ? { ...weight, data: new Float32Array(weight.data.length) } : weight,
  );
  const start: Checkpoint = { ...before, weights: new Map(before.weights).set("spectral_conv", zeros) };
  const trainer = await createTrainer(start, { ...options, freeze: [] });
  await trainer.trainOnBatch(
    filled([2, 7, 6, 2], Math.sin),
    filled([2, 2], (index) => index),
  );
  const after = trainer.checkpoint().weights.get("spectral_conv")!;
  trainer.dispose();
  const named = (name: string): Tensor => after.find((weight) => weight.name === name)!;
  expect(Array.from(named("layer/kernel").data as Float32Array).every(Number.isFinite)).toBe(true);
  expect(named("vector_u").data).toEqual(layer.find(({ name }) => name === "vector_u")!.data);
});
