import { join } from "node:path";
import { expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { toFloat32 } from "../../../src/tensor.ts";
import { scratch } from "../../hdf5/temporary.ts";

function fixture(name: string): Promise<Checkpoint> {
  return readCheckpoint(new URL(`../../../fixtures/models/${name}`, import.meta.url).pathname);
}

test("an archive holds kernels with LoRA merged in, as Keras writes them", async () => {
  const path = join(scratch(), "merged.keras");
  await writeCheckpoint(path, await fixture("k3-lora-h5.h5"));
  const merged = await readCheckpoint(path);
  const keras = await fixture("k3-lora.keras");
  expect([...merged.weights.keys()]).toEqual([...keras.weights.keys()]);
  for (const [layer, weights] of keras.weights) {
    const own = merged.weights.get(layer)!;
    expect(own.map(({ name, shape }) => [name, shape])).toEqual(
      weights.map(({ name, shape }) => [name, shape]),
    );
    weights.forEach((weight, index) => {
      const expected = toFloat32(weight);
      const apart = toFloat32(own[index]!).map((value, at) => Math.abs(value - expected[at]!));
      expect(Math.max(...apart)).toBeLessThan(1e-6);
    });
  }
});

test("an int8 kernel is quantized again with LoRA merged in, as Keras writes it", async () => {
  const path = join(scratch(), "merged.keras");
  await writeCheckpoint(path, await fixture("k3-int8-lora-h5.h5"));
  const merged = await readCheckpoint(path);
  const { weights } = await fixture("k3-int8-lora.keras");
  for (const layer of ["words", "middle"]) {
    const [theirs, ours] = [weights.get(layer)!, merged.weights.get(layer)!];
    expect(ours.map(({ name, dtype }) => [name, dtype])).toEqual(
      theirs.map(({ name, dtype }) => [name, dtype]),
    );
    theirs.forEach((weight, index) => {
      const expected = toFloat32(weight);
      const apart = toFloat32(ours[index]!).map((value, at) => Math.abs(value - expected[at]!));
      expect(Math.max(...apart)).toBeLessThan(weight.dtype === "int8" ? 0.5 : 1e-4);
    });
  }
});

test("LoRA's matrices are read as zeros from an archive and unchanged from .h5", async () => {
  const thin = async (name: string): Promise<boolean[]> =>
    [...(await fixture(name)).weights.values()]
      .flat()
      .filter(({ name: weight }) => weight.startsWith("lora_"))
      .map((weight) => toFloat32(weight).some((value) => value !== 0));
  expect(await thin("k3-lora.keras")).toEqual(Array.from({ length: 8 }, () => false));
  expect(await thin("k3-lora-h5.h5")).toEqual(Array.from({ length: 8 }, () => true));
});
