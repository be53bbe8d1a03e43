import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PreprocessMode } from "../../src/checkpoint.ts";
import { imageSizeOf } from "../../src/data/input-images.ts";
import { preprocessPixels } from "../../src/data/preprocess.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";
import type { WriteCheckpointOptions } from "../../src/inference/write-checkpoint.ts";
import { writeCheckpoint } from "../../src/inference/write-checkpoint.ts";
import type { Tensor } from "../../src/tensor.ts";
import { float32Tensor, toFloat32 } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { hubPath, hubRecords, imagesOf } from "../formats/hub/hub-fixtures.ts";
import { modelPath, modelRecords, unpacked } from "../formats/model-fixtures.ts";
import { relativeDifference } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";

/** Models without an ONNX form, by what the refusal says. */
const refusals: readonly (readonly [file: RegExp, reason: RegExp])[] = [
  [
    /translation/,
    /ONNX: expected an input of numbers with every size but the batch fixed, got \w+ \[None,None/,
  ],
  [
    /batch-in-prediction/,
    /ONNX: expected (?:the same operations for every batch size|operations that have an ONNX form)/,
  ],
  [
    /^k3-(?:decompositions|functions|more-operations)\./,
    /ONNX: expected operations that do not depend on values/,
  ],
];

let keras: Keras;
beforeAll(async () => {
  await ensureEngine();
  keras = startKeras();
});
afterAll(() => keras.close());

describe.each(modelRecords())("%s as ONNX", (file, record) => {
  test("passes ONNX's checker, and ONNX Runtime predicts what we predict, or a layer is named", async () => {
    const checkpoint = await readCheckpoint(modelPath(file));
    const path = join(keras.folder, `${file}.onnx`);
    const refusal = refusals.find(([name]) => name.test(file));
    if (refusal) {
      await expect(writeCheckpoint(path, checkpoint)).rejects.toThrow(refusal[1]);
      return;
    }
    await writeCheckpoint(path, checkpoint);
    const inputs = record.inputs.map(unpacked);
    const ours = await predict(checkpoint, inputs, { batchSize: inputs[0]?.shape[0] ?? 1 });
    const asFloats = inputs.map((input) => float32Tensor(toFloat32(input), input.shape));
    const answer = await keras.ask<{ outputs: Tensor[] }>("onnx_predict", { path, inputs: asFloats });
    expect(answer.outputs.length).toBe(ours.length);
    for (const [index, output] of answer.outputs.entries()) {
      expect(output.shape).toEqual(ours[index]?.shape);
      expect(relativeDifference(output, ours[index] as Tensor)).toBeLessThan(1e-5);
    }
  });
});

describe.each(hubRecords())("%s of KerasHub as ONNX", (name, { shape }) => {
  test("passes ONNX's checker, and ONNX Runtime predicts what we predict", async () => {
    const checkpoint = await readCheckpoint(hubPath(`${name}.keras`));
    const path = join(keras.folder, `${name}.onnx`);
    await writeCheckpoint(path, checkpoint, { imageSize: [shape[0] ?? 0, shape[1] ?? 0] });
    const images = imagesOf(shape);
    const [ours] = await predict(checkpoint, images);
    const { outputs } = await keras.ask<{ outputs: Tensor[] }>("onnx_predict", { path, inputs: [images] });
    expect(relativeDifference(outputs[0] as Tensor, ours as Tensor)).toBeLessThan(1e-5);
  });
});

test.each(["bert", "distilbert", "roberta", "albert", "deberta"])(
  "the text classifier %s of KerasHub takes token ids as ONNX, as many as its preprocessor makes",
  async (name) => {
    const checkpoint = await readCheckpoint(hubPath(join("..", "hub-texts", `${name}.keras`)));
    const path = join(keras.folder, `${name}.onnx`);
    await writeCheckpoint(path, checkpoint);
    const given = layerGraph(checkpoint).inputs.map(({ name: input }): [string, Tensor] => {
      const isMask = input === "padding_mask";
      const data = Int32Array.from({ length: 24 }, (_, at) => (isMask ? Number(at < 20) : (at * 7) % 2));
      return [input, { dtype: "int32", shape: [2, 12], data }];
    });
    const [ours] = await predict(checkpoint, Object.fromEntries(given));
    const inputs = given.map(([, tensor]) => float32Tensor(toFloat32(tensor), tensor.shape));
    const { outputs } = await keras.ask<{ outputs: Tensor[] }>("onnx_predict", { path, inputs });
    expect(relativeDifference(outputs[0] as Tensor, ours as Tensor)).toBeLessThan(1e-5);
  },
);

describe("ResNet50 as ONNX", async () => {
  const checkpoint = await readCheckpoint(modelPath("k215-resnet50.h5"));
  const [height, width] = imageSizeOf(layerGraph(checkpoint), checkpoint.notes);
  const pixels = float32Tensor(
    Float32Array.from({ length: 2 * height * width * 3 }, (_, index) => (index * 37) % 256),
    [2, height, width, 3],
  );
  const runtime = async (options: WriteCheckpointOptions, input: Tensor): Promise<Tensor> => {
    const path = join(keras.folder, "resnet.onnx");
    await writeCheckpoint(path, checkpoint, options);
    const { outputs } = await keras.ask<{ outputs: Tensor[] }>("onnx_predict", { path, inputs: [input] });
    return outputs[0]!;
  };
  const ours = async (mode: PreprocessMode): Promise<Tensor> => {
    const prepared = Float32Array.from(pixels.data as Float32Array);
    preprocessPixels(prepared, mode);
    return (await predict(checkpoint, float32Tensor(prepared, pixels.shape)))[0]!;
  };

  test.each(["auto", "tf", "torch", "unit", "none", "mean=120,110,100,std=50,60,70"] as const)(
    "with preprocessing %s inside takes pixels",
    async (mode) => {
      const answer = await runtime({ preprocess: mode, embedPreprocess: true }, pixels);
      expect(relativeDifference(answer, await ours(mode === "auto" ? "caffe" : mode))).toBeLessThan(1e-5);
    },
  );

  test("with weights of float16 predicts what the rounded weights predict", async () => {
    const answer = await runtime({ float16: true, embedPreprocess: true }, pixels);
    expect(relativeDifference(answer, await ours("caffe"))).toBeLessThan(5e-3);
  });
});
