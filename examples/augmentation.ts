// Compares a plain run with one on augmented images: four cached views of each, and mixup at the cut.
//
//     node examples/augmentation.ts [MODEL PHOTOS]
//
// PHOTOS holds train/ and val/, each with one folder per class. Without arguments: the model and photos of the demo.
import type { FinetuneOptions } from "keras-finetune";
import { finetune, freezeUntil } from "keras-finetune";

const [model = "fixtures/demo/efficientnet_lite0.keras", data = "fixtures/demo/photos"] =
  process.argv.slice(2);

const runs: Readonly<Record<string, Partial<FinetuneOptions>>> = {
  plain: {},
  // View 0 is the image itself: its features are those that the plain run has cached.
  "light, 4 views": { augment: "light", views: 4 },
  // The average of two samples' features and targets needs no new features.
  "light, 4 views, mixup": { augment: "light,mixup=0.2", views: 4 },
};

for (const [name, options] of Object.entries(runs)) {
  const { history, bestEpoch, features } = await finetune({
    model,
    data,
    freeze: freezeUntil("head"),
    epochs: 4,
    batchSize: 8,
    ...options,
  });
  const best = history[bestEpoch - 1];
  console.log(
    `${name}: val_accuracy ${best?.val_accuracy?.toFixed(4)}, val_loss ${best?.val_loss?.toFixed(4)}; ` +
      `${features.extracted} features computed, ${features.cached} from the cache`,
  );
}
