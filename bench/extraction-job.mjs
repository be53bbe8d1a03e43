/**
 * One of our jobs of `extraction.mjs`: extraction-job.mjs MODEL PHOTOS PRECISION. Extracts what is before the head into memory, with the
 * seconds of its parts, then times reading and computing by themselves. Prints its figures as JSON.
 */

import { tryDecodeImage } from "../dist/data/decode.js";
import { imageReader } from "../dist/data/images.js";
import { resizeBilinear } from "../dist/data/resize.js";
import { sampleBatches } from "../dist/data/sample-batches.js";
import { ensureEngine } from "../dist/engine/backend.js";
import { nativeBackend } from "../dist/engine/native-engine.js";
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
const calls = timedCalls(nativeBackend());
const [ready, before] = [performance.now(), process.cpuUsage()];
const { indices } = await extractFeatures(checkpoint, plan, data, { cache: false });
const extraction = (performance.now() - ready) / 1000;
const { user, system } = process.cpuUsage(before);
const parts = partsOf(calls.end());
const peakBytes = process.resourceUsage().maxRSS * 1024;

const reader = imageReader({ imageSize: [224, 224], preprocess: "caffe" });
const rows = extractionBatch(engine);
const reading = await seconds(async () => {
  for await (const { release } of sampleBatches(data.samples, reader, { batchSize: rows })) release();
});
const [decoding, resizing] = await imageParts(data.samples.slice(0, 60));
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
  ...{ extraction, reading, computing: (computing * indices.length) / computed, peakBytes, parts },
  ...{ decoding, resizing },
};
process.stdout.write(`\n${JSON.stringify(figures)}\n`);

async function seconds(job) {
  const started = performance.now();
  await job();
  return (performance.now() - started) / 1000;
}

/** Returns the milliseconds of processor time to read and decode an image, one after the other, and to resize it. */
async function imageParts(samples) {
  const milliseconds = async (job) => {
    const times = [];
    for (let repeat = 0; repeat < 5; repeat++) {
      const begun = process.cpuUsage();
      for (const sample of samples) await job(sample);
      const { user, system } = process.cpuUsage(begun);
      times.push((user + system) / 1000 / samples.length);
    }
    return Math.min(...times);
  };
  const decoding = await milliseconds(({ path }) => tryDecodeImage(path));
  const image = await tryDecodeImage(samples[0].path);
  const into = new Float32Array(224 * 224 * 3);
  const resizing = await milliseconds(() => resizeBilinear(image.pixels, image, [224, 224], into));
  return [decoding, resizing];
}

/** Notes begin and end of each call of TensorFlow from here on, and how long this thread waits for nothing but images from the first one on. */
function timedCalls(backend) {
  const { binding } = backend;
  const noted = { executeOp: [], loadSavedModel: [], runSavedModel: [] };
  let idleBefore;
  const timed =
    (name) =>
    (...values) => {
      idleBefore ??= performance.eventLoopUtilization();
      const started = performance.now();
      const result = binding[name](...values);
      noted[name].push({ started, seconds: (performance.now() - started) / 1000 });
      return result;
    };
  const own = Object.keys(noted).map((name) => [name, { value: timed(name) }]);
  backend.binding = Object.create(binding, Object.fromEntries(own));
  return {
    end: () => {
      backend.binding = binding;
      return { ...noted, idle: performance.eventLoopUtilization(idleBefore).idle / 1000 };
    },
  };
}

/** Returns the seconds of the parts of the extraction, which add up to it. */
function partsOf({ executeOp, loadSavedModel, runSavedModel, idle }) {
  const sum = (calls) => calls.reduce((total, call) => total + call.seconds, 0);
  const [first, ...others] = runSavedModel;
  const parts = {
    before: (executeOp[0].started - ready) / 1000,
    oneByOne: sum(executeOp),
    graph: sum(loadSavedModel) + first.seconds,
    batches: sum(others),
    idle,
  };
  return { ...parts, rest: extraction - Object.values(parts).reduce((total, one) => total + one, 0) };
}
