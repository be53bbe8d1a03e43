/** One of our jobs of `prediction.mjs`: predict.mjs MODEL. Prints its figures as JSON. */

import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { readCheckpoint } from "../dist/index.js";
import { inferenceProgram } from "../dist/model/inference-program.js";
import { runProgram } from "../dist/model/run-program.js";
import { uploadWeights } from "../dist/model/uploads.js";
import { layerGraph } from "../dist/topology/build-graph.js";

await ensureEngine();
const checkpoint = await readCheckpoint(process.argv[2]);
const { program, weights } = inferenceProgram(layerGraph(checkpoint), checkpoint.weights);
const uploaded = uploadWeights(weights, weights.keys());
const images = tf.randomUniform([32, 224, 224, 3], 0, 255);
const batches = [];
for (let batch = 0; batch < 12; batch++) {
  const started = performance.now();
  const [scores] = runProgram(program, [images], uploaded);
  scores.dataSync();
  scores.dispose();
  batches.push((performance.now() - started) / 1000);
}
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`\n${JSON.stringify({ batches: batches.slice(2), peakBytes })}\n`);
