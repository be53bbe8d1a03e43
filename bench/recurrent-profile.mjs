/**
 * Where a step of `recurrent.mjs` goes: recurrent-profile.mjs MODEL, under `KERAS_FINETUNE_GRAPH=always` as a graph. Prints JSON: medians
 * of milliseconds, and the number of calls into TensorFlow.
 */
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { createTrainer, readCheckpoint, useEngine } from "../dist/index.js";
import { batch, samplesFor } from "./recurrent-data.mjs";
import { median } from "./side-by-side.mjs";

const [model] = process.argv.slice(2);
const [warmups, count] = [10, 60];
useEngine("native");
await ensureEngine();
const backend = tf.backend();
const { binding } = backend;
const partOf = (name) => (/^Resource|Variable/.test(name) ? "update" : "others");
let spent = {};
let calls = 0;
const clocked =
  (partNamed, call) =>
  (...given) => {
    const began = performance.now();
    const results = call.apply(binding, given);
    const part = partNamed(given[0]);
    spent[part] = (spent[part] ?? 0) + performance.now() - began;
    calls++;
    return results;
  };
backend.binding = Object.create(binding, {
  executeOp: { value: clocked(partOf, binding.executeOp) },
  runSavedModel: { value: clocked(() => "graphs", binding.runSavedModel) },
});

const checkpoint = await readCheckpoint(model);
const { inputs, targets } = samplesFor(checkpoint.modelConfig);
const firstOf = ({ dtype, shape, data }) => ({
  ...{ dtype, shape: [batch, ...shape.slice(1)] },
  data: data.slice(0, (data.length / shape[0]) * batch),
});
const [x, y] = [inputs, targets].map(firstOf);
const trainer = await createTrainer(checkpoint, {
  freeze: [],
  loss: "sparse_categorical_crossentropy",
  metrics: [],
});
const taken = [];
for (let step = 0; step < warmups + count; step++) {
  [spent, calls] = [{}, 0];
  const began = performance.now();
  await trainer.trainOnBatch(x, y);
  taken.push({ ...spent, whole: performance.now() - began, calls });
}
trainer.dispose();
const parts = ["whole", "graphs", "update", "others", "calls"];
const figures = parts.map((part) => [part, median(taken.slice(warmups).map((step) => step[part] ?? 0))]);
process.stdout.write(`\n${JSON.stringify(Object.fromEntries(figures))}\n`);
