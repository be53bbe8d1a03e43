import { afterAll, beforeAll, describe, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { expectSameTraining, makeModel } from "./training-case.ts";

const network = { network: "transfer", options: { size: 96, dropout: 0 }, logits: 1 };
const optimizer = { class_name: "SGD", config: { learning_rate: 2e-4, momentum: 0.9 } };

let keras: Keras;
let layers: readonly string[];
beforeAll(async () => {
  keras = startKeras();
  const { path } = await makeModel(keras, network);
  layers = [...(await readCheckpoint(path, { weights: false })).weights.keys()];
});
afterAll(() => keras.close());

/** `fit` overrides the `training=False` that the base was called with: `follow` moves its statistics once it trains. */
describe("the transfer-learning guide's model takes Keras's steps, its base called with training=False", () => {
  const cases: readonly (readonly [frozen: string, RegExp, "follow" | "inference"])[] = [
    ["all of the base", /^mobilenet/, "follow"],
    ["up to block 11", /^mobilenet.*(conv1|_([1-9]|10)(_bn)?$)/, "inference"],
    ["up to block 11", /^mobilenet.*(conv1|_([1-9]|10)(_bn)?$)/, "follow"],
    ["nothing", /^$/, "inference"],
  ];
  test.each(cases)("frozen: %s (%s), %s", async (_what, pattern, bnMode) => {
    const frozen = layers.filter((layer) => pattern.test(layer));
    const case_ = { ...network, optimizer, frozen, bnMode, moveTolerance: 5e-3 };
    await expectSameTraining(keras, case_, `${bnMode}, ${frozen.length} frozen`);
  });
});
