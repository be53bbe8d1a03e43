/**
 * One of our jobs of `extraction.mjs`: extraction-job.mjs MODEL PHOTOS PRECISION. Extracts what is before the head into memory, then times
 * reading and computing by themselves. Prints its figures as JSON.
 */

import { imageReader } from "../dist/data/images.js";
import { sampleBatches } from "../dist/data/sample-batches.js";
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { extractionBatch } from "../dist/features/extraction-batch.js";
import {
  extractFeatures,
  freezeUntil,
  imageFolder,
  planFinetune,
  readCheckpoint,
  useEngine,
} from "../dist/index.js";
import { inferenceProgram } from "../dist/model/inference-program.js";
import { graphTolerance, programRunner } from "../dist/model/program-runner.js";
import { uploadWeights } from "../dist/model/uploads.js";
import { layerGraph } from "../dist/topology/build-graph.js";

const [model, photos, precision] = process.argv.slice(2);
useEngine("native", { precision });
const begun = performance.now();
const engine = await ensureEngine();
const checkpoint = await readCheckpoint(model);
const data = await imageFolder(photos);
const plan = planFinetune(checkpoint, { freeze: freezeUntil("predictions") });
const [ready, before] = [performance.now(), process.cpuUsage()];
const { indices } = await extractFeatures(checkpoint, plan, data, { cache: false });
const extraction = (performance.now() - ready) / 1000;
const { user, system } = process.cpuUsage(before);
const peakBytes = process.resourceUsage().maxRSS * 1024;

const reader = imageReader({ imageSize: [224, 224], preprocess: "caffe" });
const rows = extractionBatch(engine);
const reading = await seconds(async () => {
  for await (const { input } of sampleBatches(data.samples, reader, { batchSize: rows })) void input;
});
const { program, weights, contextOf } = inferenceProgram(layerGraph(checkpoint), checkpoint.weights);
const uploaded = uploadWeights(weights, weights.keys());
const images = tf.randomUniform([rows, 224, 224, 3], -100, 100);
const runner = programRunner(program, contextOf, graphTolerance);
const compute = async (count) => {
  for (let done = 0; done < count; done += rows) {
    const { outputs } = runner.run([images], uploaded);
    await outputs[0].data();
    tf.dispose(outputs);
  }
};
// The fourth batch makes the graph, in extraction too.
await compute(4 * rows);
const computed = 96;
const computing = await seconds(() => compute(computed));
const figures = {
  images: indices.length,
  processor: (user + system) / 1e6,
  start: (ready - begun) / 1000,
  ...{ extraction, reading, computing: (computing * indices.length) / computed, peakBytes },
};
process.stdout.write(`\n${JSON.stringify(figures)}\n`);

async function seconds(job) {
  const started = performance.now();
  await job();
  return (performance.now() - started) / 1000;
}
