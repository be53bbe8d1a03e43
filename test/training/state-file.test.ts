import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { KerasFileError } from "../../src/errors.ts";
import { float32Tensor } from "../../src/tensor.ts";
import type { TrainingState } from "../../src/training/state.ts";
import { readState, writeState } from "../../src/training/state-file.ts";

const state: TrainingState = {
  weights: new Map([["dense", [{ name: "kernel", ...float32Tensor(Float32Array.of(1, 2, 3, 4), [2, 2]) }]]]),
  optimizer: { className: "SGD", iterations: 3, learningRate: null, slots: [] },
  counts: { phase: 1, epochs: 1, phaseEpochs: 1, iterations: 3, ended: null },
  random: { seed: 0, steps: 3 },
  history: [{ epoch: 1, phase: 1, loss: 1, lr: 1, seconds: 1 }],
  callbacks: {},
};

test("a state is read as it was written, and one that changed anywhere or ends early is refused by its path", async () => {
  const folder = mkdtempSync(join(tmpdir(), "state-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "training.state");
  await writeState(path, { belongsTo: { model: "a" }, state });
  expect(readState(path)).toEqual({ belongsTo: { model: "a" }, state });
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 1;
    for (const bytes of [changed, whole.subarray(0, at)]) {
      writeFileSync(path, bytes);
      expect(() => readState(path)).toThrow(KerasFileError);
    }
  }
  writeFileSync(path, Buffer.from(whole).fill(0, whole.length - 12));
  expect(() => readState(path)).toThrow(/training\.state: state: expected a whole training state/);
});
