/** One of our jobs of `recurrent.mjs`: recurrent-job.mjs MODEL. Prints its figures as JSON. */
import { finetune, readCheckpoint } from "../dist/index.js";

const [model] = process.argv.slice(2);
const [words, steps, batch, batches] = [2000, 60, 32, 8];
const rows = batch * batches;
const { modelConfig } = await readCheckpoint(model, { weights: false });
const isMovie = JSON.stringify(modelConfig).includes("ConvLSTM2D");
const values = (count, of) => Array.from({ length: count }, (_, index) => of(index));
const inputs = isMovie
  ? {
      dtype: "float32",
      shape: [rows, 10, 24, 24, 3],
      data: Float32Array.from(values(rows * 10 * 24 * 24 * 3, (index) => Math.sin(index * 12.9898))),
    }
  : {
      dtype: "int32",
      shape: [rows, steps],
      data: Int32Array.from(
        values(rows * steps, (index) => Math.floor(Math.abs(Math.sin(index * 78.233)) * words)),
      ),
    };
const { history } = await finetune({
  model,
  data: {
    kind: "arrays",
    inputs,
    targets: { dtype: "int32", shape: [rows, 1], data: Int32Array.from(values(rows, (index) => index % 10)) },
  },
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
