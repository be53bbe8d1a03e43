// Finds a learning rate for a cut, then compares cuts and rates around it on one extraction of features.
//
//     node examples/sweep.ts [MODEL PHOTOS OUT]
//
// PHOTOS holds train/ and val/, each with one folder per class. Without arguments: the model and photos of the demo, in runs/sweep-example.
import { findLearningRate, freezeAllButHead, freezeDepth, sweep } from "keras-finetune";

const [
  model = "fixtures/demo/efficientnet_lite0.keras",
  data = "fixtures/demo/photos",
  out = "runs/sweep-example",
] = process.argv.slice(2);
const shared = { model, data, batchSize: 8 } as const;

// A hundred steps with a rising rate, on the features that the sweep will find in the cache.
const { suggestion, curve, diverged } = await findLearningRate({ ...shared, freeze: freezeAllButHead() });
const rate = Number((suggestion ?? 1e-3).toPrecision(2));
console.log(
  `suggested rate ${rate}, from ${curve.length} steps${diverged ? ", the last of which diverged" : ""}`,
);

const { runs, features } = await sweep({
  ...shared,
  epochs: 3,
  grid: { freeze: [freezeAllButHead(), freezeDepth(-8)], learningRate: [rate, rate / 10] },
  out,
  overwrite: true,
});
for (const { number, learningRate, metrics, seconds } of runs) {
  console.log(
    `run ${number}: rate ${learningRate}, val_loss ${metrics["val_loss"]?.toFixed(4)}, ` +
      `val_accuracy ${metrics["val_accuracy"]?.toFixed(4)}, ${seconds.toFixed(1)} s`,
  );
}
console.log(`${features.extracted} features computed; the best is ${runs[0]?.out}`);
