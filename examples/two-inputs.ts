// Trains a model of two inputs on arrays: which of two small images is the brighter?
//
//     node examples/two-inputs.ts [MODEL]
//
// MODEL takes `left` and `right`, [8, 8, 3] each, and gives two classes. Without it: a small model whose inputs share a network.
import { arrayDataset, evaluate, finetune, freeze, type Tensor } from "keras-finetune";

const [model = "fixtures/models/k3-nested-shared.keras"] = process.argv.slice(2);

/** Returns numbers from 0 to 1, the same ones for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Returns pairs of noisy gray images, and 1 where the right one is the brighter. */
function pairs(count: number, seed: number): { inputs: Record<string, Tensor>; targets: Tensor } {
  const random = generator(seed);
  const shape = [count, 8, 8, 3] as const;
  const left = new Float32Array(count * 192);
  const right = new Float32Array(count * 192);
  const brighter = new Int32Array(count);
  for (let pair = 0; pair < count; pair++) {
    const [leftGray, rightGray] = [random(), random()];
    brighter[pair] = rightGray > leftGray ? 1 : 0;
    for (let index = pair * 192; index < (pair + 1) * 192; index++) {
      left[index] = leftGray + 0.1 * random();
      right[index] = rightGray + 0.1 * random();
    }
  }
  return {
    inputs: {
      left: { dtype: "float32", shape, data: left },
      right: { dtype: "float32", shape, data: right },
    },
    targets: { dtype: "int32", shape: [count], data: brighter },
  };
}

// The model ends in two linear units, so the loss is told that it is given logits.
const loss = { class_name: "SparseCategoricalCrossentropy", config: { from_logits: true } };
const train = pairs(256, 1);
const held = pairs(64, 2);
const { checkpoint, history } = await finetune({
  model,
  data: arrayDataset(train.inputs, train.targets),
  freeze: freeze("none"),
  loss,
  epochs: 20,
  batchSize: 16,
  learningRate: 0.003,
});
console.log(`loss ${history[0]?.loss.toFixed(4)} -> ${history.at(-1)?.loss.toFixed(4)}`);

const { samples, metrics } = await evaluate(checkpoint, arrayDataset(held.inputs, held.targets), { loss });
console.log(`accuracy ${Number(metrics["accuracy"]).toFixed(4)} on ${samples} pairs it did not train on`);
