/** One of our jobs of `dense-chains.mjs`: dense-chain.mjs MODEL DEPTH. Prints its figures as JSON. */
import { finetune, freezeDepth } from "../dist/index.js";

const [model, depth] = process.argv.slice(2);
const rows = 100;
const random = Float32Array.from({ length: rows * 5 }, (_, index) => Math.sin(index * 12.9898) % 1);
const sums = Float32Array.from({ length: rows }, (_, row) =>
  random.subarray(row * 5, row * 5 + 5).reduce((a, b) => a + b),
);
const { history } = await finetune({
  model,
  data: {
    kind: "arrays",
    inputs: { dtype: "float32", shape: [rows, 5], data: random },
    targets: { dtype: "float32", shape: [rows, 1], data: sums },
  },
  freeze: freezeDepth(Number(depth)),
  loss: "mean_squared_error",
  optimizer: "RMSprop",
  learningRate: 1e-3,
  epochs: 100,
  batchSize: 32,
});
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`\n${JSON.stringify({ epochs: history.map(({ seconds }) => seconds), peakBytes })}\n`);
