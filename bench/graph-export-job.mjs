/**
 * The TensorFlow graph of a training step as files: graph-export-job.mjs MODEL BN_MODE ROWS FOLDER. Everything is trained, by the loss that
 * the model implies. Writes `saved_model.pb`, the values that the first run is fed (`0.bin` and so on, float32), and `names.json`
 * with the names of what is fed and fetched, for step_profile.py.
 */
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { cutModel } from "../dist/features/cut.js";
import { readCheckpoint, useEngine } from "../dist/index.js";
import { objectiveOf } from "../dist/task/objective.js";
import { taskOf } from "../dist/task/task-of.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { optimizerConfig } from "../dist/training/optimizer-config.js";
import { createTail } from "../dist/training/tail.js";

const [model, bnMode, batch, folder] = process.argv.slice(2);
const rows = Number(batch);
useEngine("native");
await ensureEngine();
const backend = tf.backend();
const { binding } = backend;
let latest;
let isExported = false;
const loadSavedModel = (place, tags) => {
  cpSync(place, folder, { recursive: true });
  latest = binding.loadSavedModel(place, tags);
  return latest;
};
const runSavedModel = (id, ids, inputs, outputs) => {
  // The graph of a step is the last that is loaded; those before it are trials of what TensorFlow can.
  if (id === latest) {
    ids.forEach((each, index) => {
      writeFileSync(join(folder, `${index}.bin`), Float32Array.from(binding.tensorDataSync(each)));
    });
    const names = { inputs: inputs.split(","), outputs: outputs.split(",") };
    writeFileSync(join(folder, "names.json"), JSON.stringify(names));
    isExported = true;
  }
  return binding.runSavedModel(id, ids, inputs, outputs);
};
backend.binding = Object.create(binding, {
  loadSavedModel: { value: loadSavedModel },
  runSavedModel: { value: runSavedModel },
});
const checkpoint = await readCheckpoint(model);
const whole = layerGraph(checkpoint);
const { graph, partition } = cutModel(whole, { frozen: new Set(), bnMode, newLayers: new Set() });
const task = taskOf(checkpoint, undefined, { loss: "sparse_categorical_crossentropy" });
const tail = createTail({
  ...{ graph, partition, weights: checkpoint.weights, plannedSteps: new Map([[rows, 1e6]]), seed: 1 },
  optimizer: optimizerConfig("SGD", undefined, 0),
  objective: objectiveOf(task, graph, checkpoint.kerasVersion),
});
// A layer without weights at the start, as padding, is no part of the step.
const [{ node, output }] = partition.frontier;
const shape = [rows, ...graph.nodes[node].outputs[output].shape.slice(1)];
const images = tf.randomUniform(shape, -60, 60, "float32", 1);
const data = Float32Array.from({ length: rows }, (_, row) => row % 10);
await tail.trainOnBatch({ features: [images], targets: [{ targets: { shape: [rows], data } }] });
if (!isExported || tail.graphs !== 1) throw new Error("the step is no graph");
