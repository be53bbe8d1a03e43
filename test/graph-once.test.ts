import { expect, test, vi } from "vitest";
import { arrayDataset } from "../src/data/arrays.ts";
import { finetune } from "../src/finetune.ts";
import { freezeUntil } from "../src/freeze/policy.ts";
import { randomGenerator } from "../src/random.ts";
import type { Tensor } from "../src/tensor.ts";

const read = vi.hoisted(() => [] as object[]);
vi.mock("../src/topology/dialects/read-model.ts", async (original) => {
  const module = await original<typeof import("../src/topology/dialects/read-model.ts")>();
  const readModel: typeof module.readModel = (checkpoint) => {
    read.push(checkpoint.modelConfig);
    return module.readModel(checkpoint);
  };
  return { ...module, readModel };
});

const random = randomGenerator(1);
const images: Tensor = {
  dtype: "float32",
  shape: [4, 32, 32, 3],
  data: Float32Array.from({ length: 4 * 32 * 32 * 3 }, () => random.nextFloat()),
};

test("a run builds a graph once for each model: the file's, the one with a new head, and the tuned one whose optimizer is written", async () => {
  const labels: Tensor = { dtype: "int32", shape: [4], data: Int32Array.of(0, 1, 0, 1) };
  const model = "fixtures/cli/small_resnet.keras";
  const data = arrayDataset(images, labels);
  await finetune({ model, data, freeze: freezeUntil("conv3"), epochs: 1 });
  expect(new Set(read).size).toBe(read.length);
  expect(read.length).toBe(3);
});
