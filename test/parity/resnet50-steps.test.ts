import { afterAll, beforeAll, describe, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { expectSameTraining, makeModel } from "./training-case.ts";

const network = { network: "resnet50", options: { size: 64, classes: 10, branch: 0.1 }, logits: 1 };
const sgd = { class_name: "SGD", config: { learning_rate: 2e-4, momentum: 0.9 } };
const adam = { class_name: "Adam", config: { learning_rate: 0.001, epsilon: 1e-3 } };

let keras: Keras;
let layers: readonly string[];
beforeAll(async () => {
  keras = startKeras();
  const { path } = await makeModel(keras, network);
  layers = [...(await readCheckpoint(path, { weights: false })).weights.keys()];
});
afterAll(() => keras.close());

describe("whole ResNet-50 at 64x64 takes Keras's steps", () => {
  const cases: readonly (readonly [frozen: string, RegExp, "follow" | "inference", JsonObject])[] = [
    ["up to conv5", /^conv[1-4]/, "inference", adam],
    ["up to conv4", /^conv[1-3]/, "inference", sgd],
    ["up to conv4", /^conv[1-3]/, "follow", sgd],
    ["in the middle", /^conv3/, "follow", sgd],
    ["nowhere", /^$/, "follow", sgd],
  ];
  test.each(cases)("frozen %s (%s), %s, %j", async (_where, pattern, bnMode, optimizer) => {
    const frozen = layers.filter((layer) => pattern.test(layer));
    const limits = { tolerance: 2e-4, relative: true, moveTolerance: 5e-3 };
    const case_ = { ...network, ...limits, optimizer, frozen, bnMode, samples: 8 };
    await expectSameTraining(keras, case_, `${bnMode}, ${frozen.length} layers frozen`);
  });
});
