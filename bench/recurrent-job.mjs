/** One of our jobs of `recurrent.mjs`: recurrent-job.mjs MODEL. Prints its figures as JSON. */
import { finetune, readCheckpoint } from "../dist/index.js";
import { batch, samplesFor } from "./recurrent-data.mjs";

const [model] = process.argv.slice(2);
const { modelConfig } = await readCheckpoint(model, { weights: false });
const { history } = await finetune({
  model,
  data: { kind: "arrays", ...samplesFor(modelConfig) },
  freeze: [],
  keepHead: true,
  loss: "sparse_categorical_crossentropy",
  metrics: [],
  learningRate: 1e-3,
  epochs: 5,
  batchSize: batch,
  valFraction: 0,
});
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`\n${JSON.stringify({ epochs: history.map(({ seconds }) => seconds), peakBytes })}\n`);
