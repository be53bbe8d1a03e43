/** Models that take texts, beside Keras on the same ones: predictions, training steps, and files that it opens again. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";
import type { InputTensor, StringTensor, Tensor } from "../../src/tensor.ts";
import { difference } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";
import { expectSameTraining, makeModel } from "./training-case.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

interface TextNetwork {
  readonly network: string;
  readonly options?: JsonObject;
  /** Whether Keras opens its own .h5 of it: not one with the operation that a mask is. */
  readonly h5?: boolean;
}

const networks: readonly TextNetwork[] = [
  { network: "texts" },
  { network: "texts", options: { mask: false }, h5: true },
  { network: "texts", options: { summary: "lstm" } },
  { network: "texts", options: { summary: "convolution", mask: false }, h5: true },
  { network: "counted", h5: true },
  { network: "counted", options: { mode: "multi_hot", ngrams: 1 }, h5: true },
  { network: "counted", options: { mode: "count", ngrams: 3 }, h5: true },
  { network: "hashed_columns", h5: true },
];

describe.each(networks)("$network $options", (network) => {
  test("we predict what Keras predicts, and it predicts the same of what we write", async () => {
    const { name, path } = await makeModel(keras, network);
    const { inputs, outputs } = await answerOf(name, { samples: 12, seed: 3 });
    const checkpoint = await readCheckpoint(path);
    const [ours] = await predict(checkpoint, inputs);
    measured("texts: predictions", difference(ours!, outputs[0]!));
    expect(difference(ours!, outputs[0]!)).toBeLessThan(2e-5);
    for (const ending of network.h5 ? ["keras", "h5"] : ["keras"]) {
      const written = join(keras.folder, `written.${ending}`);
      await writeCheckpoint(written, ending === "h5" ? { ...checkpoint, format: "h5" } : checkpoint);
      await keras.ask("open", { name: "written", path: written });
      const again = await answerOf("written", { inputs });
      expect(difference(again.outputs[0]!, outputs[0]!), ending).toBeLessThan(1e-6);
      const [back] = await predict(await readCheckpoint(written), inputs);
      expect(back, ending).toEqual(ours);
    }
  });

  test("Keras and we take the same steps, of all weights and behind a frozen layer", async () => {
    const frozen = [firstWeighted[network.network]!];
    await expectSameTraining(keras, { ...network, optimizer: sgd, samples: 8 }, "texts");
    await expectSameTraining(keras, { ...network, optimizer: adam, samples: 8, frozen }, "texts");
  });
});

const firstWeighted: Readonly<Record<string, string>> = {
  texts: "words",
  counted: "hidden",
  hashed_columns: "buckets",
};
const sgd = { class_name: "SGD", config: { learning_rate: 0.1, momentum: 0.9 } };
const adam = { class_name: "Adam", config: { learning_rate: 0.01, epsilon: 1e-3 } };

test("two classes by one sigmoid", async () => {
  const network = { network: "texts", options: { binary: true }, loss: "binary_crossentropy", samples: 8 };
  await expectSameTraining(keras, { ...network, optimizer: sgd }, "texts");
});

test("the names that a model gives are Keras's, also from what we write", async () => {
  const { name, path } = await makeModel(keras, { network: "named", scale: 4 });
  const { inputs, outputs } = await answerOf<StringTensor>(name, { samples: 12, seed: 5 });
  const checkpoint = await readCheckpoint(path);
  expect(await predict<StringTensor>(checkpoint, inputs)).toEqual(outputs);
  expect(new Set(outputs[0]!.data).size).toBeGreaterThan(1);
  const written = join(keras.folder, "written.keras");
  await writeCheckpoint(written, checkpoint);
  await keras.ask("open", { name: "written", path: written });
  expect((await answerOf<StringTensor>("written", { inputs })).outputs).toEqual(outputs);
});

function answerOf<Output extends InputTensor = Tensor>(
  name: string,
  question: Readonly<Record<string, unknown>>,
): Promise<{ inputs: InputTensor[]; outputs: Output[] }> {
  return keras.ask("predict", { name, ...question });
}
