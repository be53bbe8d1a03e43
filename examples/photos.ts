// Classifies photos: trains a new head and the last block of a pretrained network, then predicts.
//
//     node examples/photos.ts [MODEL PHOTOS [FILE...]]
//
// PHOTOS holds train/ and val/, each with one folder per class. Without arguments: the model and photos of the demo.
import { evaluate, finetune, freezeUntil, imageFolder, predictFiles } from "keras-finetune";

const [model = "fixtures/demo/efficientnet_lite0.keras", photos = "fixtures/demo/photos", ...files] =
  process.argv.slice(2);

const data = await imageFolder(photos);
const { checkpoint, history, bestEpoch } = await finetune({
  model,
  data,
  // Everything before block7 is frozen: it runs once per photo, and its output is cached.
  freeze: freezeUntil("block7"),
  epochs: 2,
  batchSize: 8,
});
for (const { epoch, loss, val_accuracy } of history) {
  console.log(`epoch ${epoch}  loss ${loss.toFixed(4)}  val_accuracy ${val_accuracy?.toFixed(4)}`);
}

const held = { ...data, samples: data.samples.filter(({ split }) => split === "val") };
const { samples, metrics } = await evaluate(checkpoint, held);
console.log(
  `epoch ${bestEpoch} is the best: accuracy ${Number(metrics["accuracy"]).toFixed(4)} on ${samples} photos`,
);

const some = files.length > 0 ? files : held.samples.slice(0, 2).map(({ path }) => path);
for (const found of await predictFiles(checkpoint, some, { top: 1 })) {
  if (!("predictions" in found)) continue;
  for (const { label, probability } of found.predictions) {
    console.log(`${found.path}: ${label} (${(100 * probability).toFixed(1)} %)`);
  }
}
