import { afterAll, beforeAll, expect, test } from "vitest";
import type { BatchNormMode, JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";
import type { Tensor } from "../../src/tensor.ts";
import { relativeDifference } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";
import { expectSameTraining, makeModel } from "./training-case.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

const optimizers: readonly JsonObject[] = [
  { class_name: "SGD", config: { learning_rate: 0.05 } },
  { class_name: "SGD", config: { learning_rate: 0.02, momentum: 0.9, nesterov: true } },
  { class_name: "Adam", config: { learning_rate: 1e-3, epsilon: 1e-2 } },
  { class_name: "RMSprop", config: { learning_rate: 1e-3, epsilon: 1e-2, centered: true } },
];
const modes: readonly BatchNormMode[] = ["inference", "inference", "follow", "freeze", "train"];
const first = Number(process.env["PARITY_SEED"] ?? 0);
const seeds = Array.from({ length: 40 }, (_, index) => first + index);

test.each(seeds)("random graph %i predicts and trains as in Keras", async (seed) => {
  const random = randomNumbers(seed);
  const network = { network: "random_graph", options: { seed }, seed };
  const { name, path } = await makeModel(keras, network);
  const checkpoint = await readCheckpoint(path);
  const { inputs, outputs } = await keras.ask<{ inputs: Tensor[]; outputs: [Tensor] }>("predict", {
    name,
    samples: 5,
  });
  const [ours] = await predict(checkpoint, inputs, { batchSize: 3 });
  const apart = relativeDifference(ours!, outputs[0]);
  measured("predictions", apart);
  expect(apart).toBeLessThan(1e-5);

  const layers = [...checkpoint.weights.keys()].filter((layer) => layer !== "head");
  const share = pick(random, [0, 0.3, 0.7, 1]);
  const frozen = pick(random, [true, false])
    ? layers.slice(0, Math.round(share * layers.length))
    : layers.filter(() => random() < share);
  const sides = { frozen, bnMode: pick(random, modes), optimizer: pick(random, optimizers) };
  await expectSameTraining(keras, { ...network, ...sides }, "steps");
  await keras.ask("forget", { name });
});

/** Numbers in [0, 1) that follow from `seed` (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(random: () => number, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)]!;
}
