/**
 * What a training step's forward and backward pass would take as one graph: graph-step-job.mjs MODEL BN_MODE SIDE ROWS ROUNDS. Everything is
 * trained; the gradient of the outputs is given, and a layer that draws draws the same each time. Prints JSON: medians of wall and processor
 * seconds one by one and as a graph in turn, the first run of the graph, and the gradients that are not the same bits.
 */
import { ensureEngine } from "../dist/engine/backend.js";
import { recordComputation } from "../dist/engine/graph/whole-graph.js";
import { nativeBackend } from "../dist/engine/native-engine.js";
import { tf } from "../dist/engine/tf.js";
import { trainableWeights } from "../dist/freeze/trainable-weights.js";
import { readCheckpoint, useEngine } from "../dist/index.js";
import { programBetween } from "../dist/model/program.js";
import { forward, trainingProgram } from "../dist/model/training-step.js";
import { uploadWeights } from "../dist/model/uploads.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { lossInputs } from "../dist/topology/layer-graph.js";
import { withLogitsOutputs } from "../dist/topology/rewrites/logits-output.js";
import { inTurn, timed } from "./graph-timing.mjs";

const [model, bnMode, side, batch, rounds] = process.argv.slice(2);
useEngine("native");
await ensureEngine();
const checkpoint = await readCheckpoint(model);
const { graph } = withLogitsOutputs(layerGraph(checkpoint));
const isNormalization = ({ className }) => bnMode === "follow" && className === "BatchNormalization";
const onBatch = new Set(graph.layers.filter(isNormalization).map(({ path }) => path));
const program = programBetween(
  graph,
  graph.inputs.map(({ ref }) => ref),
  lossInputs(graph),
);
const reached = new Set(program.nodes.map(({ layer }) => layer));
const trainable = trainableWeights(graph, { frozen: new Set(), bnMode, newLayers: new Set() });
const training = trainingProgram(
  program,
  new Map([...trainable].filter(([path]) => reached.has(path))),
  (path) => !onBatch.has(path),
);
const weights = uploadWeights(checkpoint.weights, reached);
const contextOf = (_node, { path, keras }) => ({
  training: true,
  statistics: onBatch.has(path) ? "batch" : "stored",
  random: { nextSeed: () => 1 },
  keras,
});
const images = tf.randomUniform([Number(batch), Number(side), Number(side), 3], -60, 60, "float32", 1);
let slopes;

/** Returns outputs, moving statistics and gradients. */
function step() {
  const pass = forward(training, [images], weights, contextOf);
  const found = pass.outputs.map((output) => output.clone());
  for (const state of pass.state.values()) found.push(...Object.values(state));
  slopes ??= tf.randomUniform(found[0].shape, -1, 1, "float32", 2);
  void pass.backward([slopes], (_path, _name, gradient) => {
    found.push(tf.keep(gradient.clone()));
  });
  return found;
}

tf.dispose(step());
const inputs = [images, slopes, ...[...weights.values()].flatMap((layer) => Object.values(layer))];
const { results, load } = recordComputation(nativeBackend(), inputs, step);
const loaded = load();
const asGraph = () => loaded.run(inputs);
const found = asGraph();
const others = found.filter((tensor, index) => {
  const expected = results[index].dataSync();
  return tensor.dataSync().some((value, place) => value !== expected[place]);
}).length;
tf.dispose([...found, ...results]);
const again = load();
const first = timed(() => again.run(inputs)).seconds;
again.dispose();
const figures = inTurn({ oneByOne: step, graph: asGraph }, Number(rounds));
process.stdout.write(`\n${JSON.stringify({ ...figures, first, others, results: results.length })}\n`);
