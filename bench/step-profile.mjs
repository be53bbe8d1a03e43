/**
 * Where a step on the native engine goes: step-profile.mjs MODEL BN_MODE SIZE STEPS. Everything is trained, on a batch of 32 images of random pixels,
 * sparse categorical cross-entropy, Adam. Prints JSON: medians of the seconds of a step, of its kernels by name, and of processor time.
 */
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { createTrainer, readCheckpoint, useEngine } from "../dist/index.js";
import { median } from "./side-by-side.mjs";

const [model, bnMode, side, steps] = process.argv.slice(2);
const [batch, size] = [32, Number(side)];
useEngine("native");
await ensureEngine();
const backend = tf.backend();
const { binding } = backend;
let kernels = new Map();
const executeOp = (name, ...call) => {
  const began = performance.now();
  const results = binding.executeOp(name, ...call);
  kernels.set(name, (kernels.get(name) ?? 0) + (performance.now() - began) / 1000);
  return results;
};
backend.binding = Object.create(binding, { executeOp: { value: executeOp } });

const data = Float32Array.from({ length: batch * size * size * 3 }, (_, index) => Math.sin(index) * 60);
const inputs = { dtype: "float32", shape: [batch, size, size, 3], data };
const labels = Int32Array.from({ length: batch }, (_, index) => index % 10);
const targets = { dtype: "int32", shape: [batch], data: labels };
const trainer = await createTrainer(await readCheckpoint(model), {
  freeze: [],
  bnMode,
  loss: "sparse_categorical_crossentropy",
  optimizer: "adam",
});
await trainer.trainOnBatch(inputs, targets);
const taken = [];
for (let step = 0; step < Number(steps); step++) {
  kernels = new Map();
  const [began, before] = [performance.now(), process.cpuUsage()];
  await trainer.trainOnBatch(inputs, targets);
  const { user, system } = process.cpuUsage(before);
  taken.push({
    seconds: (performance.now() - began) / 1000,
    processor: (user + system) / 1e6,
    kernels,
  });
}
trainer.dispose();
const middle = (figure) => median(taken.map(figure));
const names = [...taken[0].kernels.keys()];
const figures = {
  seconds: middle(({ seconds }) => seconds),
  processor: middle(({ processor }) => processor),
  inKernels: middle(({ kernels: own }) => [...own.values()].reduce((sum, value) => sum + value, 0)),
  kernels: Object.fromEntries(
    names
      .map((name) => [name, middle(({ kernels: own }) => own.get(name) ?? 0)])
      .sort((a, b) => b[1] - a[1])
      .slice(0, 8),
  ),
};
process.stdout.write(`\n${JSON.stringify(figures)}\n`);
