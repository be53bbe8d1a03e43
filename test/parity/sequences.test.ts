import { afterAll, beforeAll, describe, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { expectSameTraining } from "./training-case.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

/**
 * Where an Embedding trains: Keras on TensorFlow squares the gradient of a word that comes twice occurrence by occurrence, which
 * Keras elsewhere does not, and so do not we; optimizers that square nothing agree.
 */
const optimizer = { class_name: "SGD", config: { learning_rate: 0.1, momentum: 0.9 } };
const adam = { class_name: "Adam", config: { learning_rate: 0.01, epsilon: 1e-3 } };

describe("networks over words take Keras's steps, their padding masked", () => {
  const recurrent: readonly JsonObject[] = ["SimpleRNN", "GRU", "LSTM"].map((cell) => ({ cell }));
  test.each([...recurrent, { cell: "LSTM", wrapped: true }])("a class for all: %j", async (options) => {
    const network = { network: "sequence", options };
    await expectSameTraining(keras, { ...network, optimizer }, "sequences");
    await expectSameTraining(keras, { ...network, optimizer: adam, frozen: ["words"] }, "sequences");
  });

  test.each(["categorical_crossentropy", "sparse_categorical_crossentropy", "mean_squared_error"])(
    "a class a word, the loss over words alone: %s",
    async (loss) => {
      const options = { every: true };
      await expectSameTraining(keras, { network: "sequence", options, optimizer, loss }, "words");
    },
  );

  test.each([[[]], [["words"]], [["words", "block1_attention", "block1_norm", "block1_fc"]]])(
    "attention, frozen %j",
    async (frozen) => {
      const own = frozen.length > 0 ? adam : optimizer;
      await expectSameTraining(keras, { network: "attention", optimizer: own, frozen }, "attention");
    },
  );
});
