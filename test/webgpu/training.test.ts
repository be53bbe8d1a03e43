import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { tf } from "../../src/engine/tf.ts";
import type { WebgpuBackend } from "../../src/engine/webgpu/gpu-types.ts";
import type { Tensor, Trainer } from "../../src/index.ts";
import { createTrainer, engineInfo, freezeUntil, readCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { missing } from "./missing.ts";

const model = "fixtures/cli/small_resnet.keras";
const folder = mkdtempSync(join(tmpdir(), "keras-finetune-webgpu-"));
afterAll(() => rmSync(folder, { recursive: true }));

function samples(): { images: Tensor; classes: Tensor } {
  const random = randomGenerator(7);
  const data = Float32Array.from({ length: 4 * 32 * 32 * 3 }, () => random.nextFloat() * 2 - 1);
  return {
    images: { dtype: "float32", shape: [4, 32, 32, 3], data },
    classes: { dtype: "float32", shape: [4], data: Float32Array.of(0, 1, 2, 3) },
  };
}

/** Takes three steps and returns their losses. */
async function losses(trainer: Trainer): Promise<number[]> {
  const { images, classes } = samples();
  const taken: number[] = [];
  for (let step = 0; step < 3; step++) {
    const { loss } = await trainer.trainOnBatch(images, classes);
    taken.push(loss);
  }
  return taken;
}

const options = { freeze: freezeUntil("conv3"), learningRate: 1e-3, bnMode: "follow" } as const;

/** The file that another process reads has been written by this one; the losses are those of wasm. */
const onWasm = `
import { readFileSync } from "node:fs";
import { createTrainer, freezeUntil, predict, readCheckpoint } from "./dist/index.js";
const { images, classes, options, model, tuned } = JSON.parse(readFileSync(process.env.GIVEN, "utf8"));
const tensor = ({ shape, data }) => ({ dtype: "float32", shape, data: Float32Array.from(data) });
const trainer = await createTrainer(await readCheckpoint(model), { ...options, freeze: freezeUntil("conv3") });
const losses = [];
for (let step = 0; step < 3; step++) losses.push((await trainer.trainOnBatch(tensor(images), tensor(classes))).loss);
const [same] = await predict(trainer.checkpoint(), tensor(images));
const [read] = await predict(await readCheckpoint(tuned), tensor(images));
console.log(JSON.stringify({ losses, same: [...same.data], read: [...read.data] }));
`;

describe.skipIf(missing !== undefined)("fine-tuning on the GPU", () => {
  it("submits a whole step before the loss has come back, and takes the same steps to the bit again", async () => {
    const runs: number[][] = [];
    const events: ("submitted" | "read")[][] = [];
    for (const _run of [1, 2]) {
      const trainer = await createTrainer(await readCheckpoint(model), options);
      runs.push(await losses(trainer));
      const backend = tf.backend() as WebgpuBackend;
      const { runWebGPUProgram, getBufferData } = backend;
      const step: ("submitted" | "read")[] = [];
      backend.runWebGPUProgram = (...call) => {
        step.push("submitted");
        return runWebGPUProgram.apply(backend, call);
      };
      backend.getBufferData = async (buffer) => {
        const bytes = await getBufferData.call(backend, buffer);
        step.push("read");
        return bytes;
      };
      const { images, classes } = samples();
      await trainer.trainOnBatch(images, classes);
      Object.assign(backend, { runWebGPUProgram, getBufferData });
      events.push(step);
      trainer.dispose();
    }
    expect(runs[1]).toEqual(runs[0]);
    for (const step of events) {
      expect(step).toContain("read");
      expect(step.indexOf("read")).toBeGreaterThan(step.lastIndexOf("submitted"));
    }
  });

  it("takes the steps that wasm takes, and writes a file of weights that predicts what wasm's does", async () => {
    const trainer = await createTrainer(await readCheckpoint(model), options);
    expect(engineInfo()?.name).toBe("webgpu");
    const own = await losses(trainer);
    expect(() => trainer.checkpoint()).toThrow(/Await fetch\(\) of the trainer first/);
    await trainer.fetch();
    const tuned = join(folder, "tuned.keras");
    await writeCheckpoint(tuned, trainer.checkpoint());
    trainer.dispose();
    const { images, classes } = samples();
    const plain = ({ shape, data }: Tensor): object => ({ shape, data: Array.from(data, Number) });
    const given = join(folder, "given.json");
    const values = JSON.stringify({
      ...{ model, tuned, images: plain(images), classes: plain(classes) },
      options: { learningRate: 1e-3, bnMode: "follow" },
    });
    writeFileSync(given, values);
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", onWasm], {
      env: { ...process.env, KERAS_FINETUNE_ENGINE: "wasm", GIVEN: given },
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    const { losses: expected, same, read } = JSON.parse(output) as Record<string, number[]>;
    own.forEach((loss, step) => {
      expect(Math.abs(loss - (expected?.[step] ?? Number.NaN))).toBeLessThan(1e-4);
    });
    read?.forEach((value, index) => {
      expect(Math.abs(value - (same?.[index] ?? Number.NaN))).toBeLessThan(1e-3);
    });
  });
});
