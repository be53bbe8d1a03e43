/**
 * Our part in `npm run applications`, in a process of its own: `check NAME FOLDER` reads what Keras made, compares predictions,
 * splits at every stage, trains the last one and writes ours.keras and the step; `read PATH` tells seconds and peak bytes.
 */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { cutModel } from "../dist/features/cut.js";
import { createTrunk, staticProgram } from "../dist/features/trunk.js";
import { readCheckpoint, writeCheckpoint } from "../dist/formats/checkpoint-file.js";
import { freezeUntil } from "../dist/freeze/policy.js";
import { resolveFreeze } from "../dist/freeze/resolve.js";
import { inferenceProgram } from "../dist/model/inference-program.js";
import { disposeWeights, uploadWeights } from "../dist/model/layer-weights.js";
import { programBetween } from "../dist/model/program.js";
import { runProgram } from "../dist/model/run-program.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { headOf } from "../dist/topology/head-of.js";
import { stagesOf } from "../dist/topology/stages.js";
import { withTrainableFlags } from "../dist/topology/trainable-flags.js";
import { createTrainer } from "../dist/training/trainer.js";

function apart(ours, theirs) {
  let difference = 0;
  let largest = 0;
  theirs.forEach((value, index) => {
    const each = Math.abs(value - ours[index]);
    if (!(each <= difference)) difference = each;
    largest = Math.max(largest, Math.abs(value));
  });
  return ours.length === theirs.length ? difference / largest : Number.NaN;
}

function run(program, weights, feeds) {
  const uploaded = uploadWeights(
    weights,
    program.nodes.map((node) => node.layer),
  );
  const outputs = runProgram(program, feeds, uploaded);
  disposeWeights(uploaded);
  const values = outputs.map((output) => Float32Array.from(output.dataSync()));
  tf.dispose(outputs);
  return values;
}

/** The model's output as `predict` computes it, and what goes into the head `finetune` trains. */
function answersOf(graph, weights, inputs) {
  const whole = inferenceProgram(graph, weights);
  const [output] = run(whole.program, whole.weights, [inputs]);
  const [features] = trunkOf(graph, weights, inputs, headOf(graph).path).tensors;
  const values = Float32Array.from(features.dataSync());
  tf.dispose(features);
  return { output, features: values };
}

/** What is computed once if all before `stage` is frozen. */
function trunkOf(graph, weights, inputs, stage) {
  const cut = cutModel(graph, resolveFreeze(graph, freezeUntil(stage), { bnMode: "inference" }));
  const trunk = createTrunk(staticProgram(cut, weights));
  const tensors = trunk.run([inputs]);
  trunk.dispose();
  return { cut, tensors };
}

/** What the whole gives and what head and features of the cut at `stage` give, apart. */
function splitAt(stage, { graph, weights, inputs, whole }) {
  const { cut, tensors: features } = trunkOf(graph, weights, inputs, stage);
  const { frontier } = cut.partition;
  const outputs = cut.graph.outputs.map((output) => output.ref);
  const [joined] = run(programBetween(cut.graph, frontier, outputs), weights, features);
  tf.dispose(features);
  return { stage, frontier: frontier.length, apart: apart(joined, whole) };
}

/** Nothing random, so that a step can be compared. */
function withoutDropping(value) {
  if (Array.isArray(value)) return value.map(withoutDropping);
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutDropping(item)]));
  if (copy.class_name === "Dropout") copy.config.rate = 0;
  if (copy.class_name === "StochasticDepth") copy.config.drop_path_rate = 0;
  return copy;
}

/** One step of SGD at rate 1, which moves each weight by its gradient; the moves go to step.bin. */
async function trainStep(checkpoint, inputs, classes, stage, folder) {
  const samples = inputs.shape[0];
  const targets = new Float32Array(samples * classes);
  for (let row = 0; row < samples; row++) targets[row * classes + (row % classes)] = 1;
  const still = { ...checkpoint, modelConfig: withoutDropping(checkpoint.modelConfig) };
  const optimizer = { class_name: "SGD", config: { learning_rate: 1 } };
  const trainer = await createTrainer(still, { freeze: freezeUntil(stage), optimizer });
  const { loss } = await trainer.trainOnBatch(inputs, {
    dtype: "float32",
    shape: [samples, classes],
    data: targets,
  });
  const after = trainer.checkpoint().weights;
  trainer.dispose();
  const places = {};
  let place = 0;
  const file = openSync(join(folder, "step.bin"), "w");
  for (const [path, layer] of checkpoint.weights) {
    layer.forEach((weight, index) => {
      const value = after.get(path)[index].data;
      if (value === weight.data) return;
      const moved = value.map((number, at) => number - weight.data[at]);
      places[`${path}/${index}`] = place;
      place += moved.length;
      writeSync(file, new Uint8Array(moved.buffer));
    });
  }
  closeSync(file);
  writeFileSync(join(folder, "step.json"), JSON.stringify({ loss, places }));
  return loss;
}

/** Weights that a file without a model does not give as the one with it does. */
async function lostFrom(path, arch, { weights }) {
  const alone = await readCheckpoint(path, { arch });
  const paths = new Set([...weights.keys(), ...alone.weights.keys()]);
  const same = (layer, index, { name, data }) => {
    const other = alone.weights.get(layer)?.[index];
    return other?.name === name && Buffer.compare(bytesOf(data), bytesOf(other.data)) === 0;
  };
  return [...paths].filter(
    (layer) => !(weights.get(layer) ?? []).every((weight, index) => same(layer, index, weight)),
  );
}

const bytesOf = (data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

async function check(name, folder) {
  const engine = await ensureEngine();
  const record = JSON.parse(readFileSync(join(folder, "record.json"), "utf8"));
  const floats = (key) => new Float32Array(Uint8Array.from(readFileSync(join(folder, `${key}.bin`))).buffer);
  const given = { dtype: "float32", shape: record.inputs, data: floats("inputs") };
  const inputs = tf.tensor(given.data, given.shape);
  const answers = {};
  let checkpoint;
  let graph;
  let whole;
  for (const format of ["h5", "keras"]) {
    checkpoint = await readCheckpoint(join(folder, `${name}.${format}`));
    graph = layerGraph(checkpoint);
    const { output, features } = answersOf(graph, checkpoint.weights, inputs);
    whole = output;
    answers[format] = Math.max(apart(features, floats("features")), apart(output, floats("outputs")));
  }
  const lost = [];
  for (const file of ["named.h5", "numbered.weights.h5"])
    lost.push(...(await lostFrom(join(folder, file), name, checkpoint)));
  const stages = stagesOf(graph);
  const named = stages.labels;
  const aliases = Array.from({ length: 9 }, (_, index) => `stage${index + 1}`).filter(
    (alias) => !named.includes(alias) && graph.layers.some(({ path }) => stages.matches(alias, path)),
  );
  const splits = [...named, ...aliases].map((stage) =>
    splitAt(stage, { graph, weights: checkpoint.weights, inputs, whole }),
  );
  const last = named.findLast((label) => label !== "head" && label !== "top");
  const { frozen } = resolveFreeze(graph, freezeUntil(last), { bnMode: "inference" });
  await writeCheckpoint(join(folder, "ours.keras"), withTrainableFlags(checkpoint, frozen));
  const loss = await trainStep(checkpoint, given, record.outputs.at(-1), last, folder);
  return {
    engine: engine.name,
    keras: answers.keras,
    h5: answers.h5,
    lost,
    stages: named,
    splits,
    last,
    lossValue: loss,
  };
}

async function read(path) {
  const started = performance.now();
  layerGraph(await readCheckpoint(path));
  return {
    seconds: (performance.now() - started) / 1000,
    bytes: process.resourceUsage().maxRSS * 1024,
  };
}

const [command, ...rest] = process.argv.slice(2);
const answer = command === "read" ? await read(rest[0]) : await check(rest[0], rest[1]);
process.stdout.write(`${JSON.stringify(answer)}\n`);
