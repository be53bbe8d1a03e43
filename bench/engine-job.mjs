/** One job of `engines.mjs`: engine-job.mjs MODEL CUT SAMPLES EPOCHS on the engine of the environment. Prints its figures as JSON. */
import { finetune, freezeUntil } from "../dist/index.js";

const [model, cut, samples, epochs] = process.argv.slice(2);
const count = Number(samples);
const pixels = Float32Array.from({ length: count * 224 * 224 * 3 }, (_, index) => Math.sin(index) * 60);
const { history, features, engine, threads } = await finetune({
  model,
  data: {
    kind: "arrays",
    inputs: { dtype: "float32", shape: [count, 224, 224, 3], data: pixels },
    targets: {
      dtype: "int32",
      shape: [count],
      data: Int32Array.from({ length: count }, (_, index) => index % 10),
    },
  },
  freeze: freezeUntil(cut),
  loss: "sparse_categorical_crossentropy",
  keepHead: true,
  epochs: Number(epochs),
  batchSize: 8,
  cache: false,
});
const asked = process.env.KERAS_FINETUNE_ENGINE;
if (engine !== asked) throw new Error(`expected the engine ${asked}, got ${engine}`);
const steps = Math.ceil(count / 8);
const figures = {
  threads,
  extraction: features.seconds / count,
  steps: history.slice(1).map(({ seconds }) => seconds / steps),
  peakBytes: process.resourceUsage().maxRSS * 1024,
};
process.stdout.write(`\n${JSON.stringify(figures)}\n`);
