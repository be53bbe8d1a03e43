// Trains a step at a time in a loop of its own: batches made on the way, and an end as soon as the loss is low enough.
//
//     node examples/own-loop.ts [MODEL OUT]
//
// MODEL takes images [32, 32, 3]. Without it: a small residual network.
import {
  createTrainer,
  freezeUntil,
  readCheckpoint,
  replaceHead,
  type Tensor,
  writeCheckpoint,
} from "keras-finetune";

const [model = "fixtures/cli/small_resnet.keras", out = "own-loop.keras"] = process.argv.slice(2);

/** Returns 16 images, half of them bright at the top and half at the bottom, and their classes. */
function nextBatch(step: number): { images: Tensor; classes: Tensor } {
  const images = new Float32Array(16 * 32 * 32 * 3);
  const classes = Int32Array.from({ length: 16 }, (_, index) => (index + step) % 2);
  for (let index = 0; index < images.length; index++) {
    const isTop = Math.floor(index / (32 * 3)) % 32 < 16;
    const isBright = isTop === (classes[Math.floor(index / (32 * 32 * 3))] === 0);
    images[index] = (isBright ? 100 : 0) + ((index * 31 + step * 17) % 50);
  }
  return {
    images: { dtype: "float32", shape: [16, 32, 32, 3], data: images },
    classes: { dtype: "int32", shape: [16], data: classes },
  };
}

const start = replaceHead(await readCheckpoint(model), { classes: 2 });
const trainer = await createTrainer(start, {
  freeze: freezeUntil("conv3"),
  optimizer: "Adam",
  learningRate: 0.01,
  loss: "sparse_categorical_crossentropy",
});

let loss = Number.POSITIVE_INFINITY;
let step = 0;
while (loss > 0.05 && step < 60) {
  const { images, classes } = nextBatch(step);
  const figures = await trainer.trainOnBatch(images, classes);
  loss = figures.loss;
  step++;
  if (step % 10 === 0) console.log(`step ${step}  loss ${loss.toFixed(4)}`);
}
console.log(`loss ${loss.toFixed(4)} after ${step} steps`);

await writeCheckpoint(out, trainer.checkpoint());
trainer.dispose();
console.log(`written to ${out}`);
