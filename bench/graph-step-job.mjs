/**
 * A training step as calls and as one graph: graph-step-job.mjs MODEL BN_MODE ROWS ROUNDS. Everything is trained, by the loss that the
 * model implies and by SGD with a rate of 0. Prints JSON: medians of wall and processor seconds of a whole step as calls and as a graph in
 * turn, and the seconds of the first step as a graph, which is computed both ways.
 */
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { cutModel } from "../dist/features/cut.js";
import { readCheckpoint, useEngine } from "../dist/index.js";
import { objectiveOf } from "../dist/task/objective.js";
import { taskOf } from "../dist/task/task-of.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { optimizerConfig } from "../dist/training/optimizer-config.js";
import { createTail } from "../dist/training/tail.js";
import { median } from "./side-by-side.mjs";

const [model, bnMode, batch, rounds] = process.argv.slice(2);
const rows = Number(batch);
useEngine("native");
await ensureEngine();
const checkpoint = await readCheckpoint(model);
const whole = layerGraph(checkpoint);
const { graph, partition } = cutModel(whole, { frozen: new Set(), bnMode, newLayers: new Set() });
const classes = whole.nodes[whole.outputs[0].ref.node].outputs[0].shape.at(-1);
const labels = Float32Array.from({ length: rows }, (_, row) => row % classes);
const targets = { shape: [rows], data: labels };
const tailWith = (plannedSteps) =>
  createTail({
    ...{ graph, partition, weights: checkpoint.weights, plannedSteps, seed: 1 },
    optimizer: optimizerConfig("SGD", undefined, 0),
    objective: objectiveOf(
      taskOf(checkpoint, undefined, { loss: "sparse_categorical_crossentropy" }),
      graph,
      checkpoint.kerasVersion,
    ),
  });
const tails = { oneByOne: tailWith(new Map()), graph: tailWith(new Map([[rows, 1e6]])) };
// A layer without weights at the start, as padding, is no part of the step.
const [{ node, output }] = partition.frontier;
const shape = [rows, ...graph.nodes[node].outputs[output].shape.slice(1)];
const images = tf.randomUniform(shape, -60, 60, "float32", 1);

/** Returns the wall and processor seconds of a step. */
async function timed(tail) {
  const [began, before] = [performance.now(), process.cpuUsage()];
  await tail.trainOnBatch({ features: [images], targets: [{ targets }] });
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - began) / 1000, processor: (user + system) / 1e6 };
}

await timed(tails.oneByOne);
const first = (await timed(tails.graph)).seconds;
if (tails.graph.graphs !== 1) throw new Error("the step is no graph");
const taken = { oneByOne: [], graph: [] };
for (let round = 0; round < Number(rounds); round++)
  for (const [name, tail] of Object.entries(tails)) taken[name].push(await timed(tail));
const middle = (all, figure) => median(all.map((each) => each[figure]));
const figures = Object.entries(taken).map(([name, all]) => [
  name,
  { seconds: middle(all, "seconds"), processor: middle(all, "processor") },
]);
process.stdout.write(`\n${JSON.stringify({ ...Object.fromEntries(figures), first })}\n`);
