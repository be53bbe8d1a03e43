import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hubArguments, withHubNetworks, withoutHub } from "../../../src/architectures/hub/hub-models.ts";
import type { Checkpoint, JsonObject } from "../../../src/checkpoint.ts";
import { loadImages } from "../../../src/data/images.ts";
import { imageInput } from "../../../src/data/model-files.ts";
import { preprocessPixels } from "../../../src/data/preprocess.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { writingWarnings } from "../../../src/formats/formats.ts";
import { freezeUntil } from "../../../src/freeze/policy.ts";
import { replaceHead } from "../../../src/head/replace-head.ts";
import { predict } from "../../../src/inference/predict.ts";
import { planFinetune } from "../../../src/run/plan-finetune.ts";
import type { Tensor } from "../../../src/tensor.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import { editLayers } from "../../../src/topology/edit-config.ts";
import { stagesOf } from "../../../src/topology/stages.ts";
import { requireSupported } from "../../../src/topology/support.ts";
import { createTrainer } from "../../../src/training/trainer.ts";
import { oneIn } from "../../sample.ts";
import { hubPath, hubRecords, imagesOf, packedTensor, targetsOf } from "./hub-fixtures.ts";

const folder = mkdtempSync(join(tmpdir(), "hub-"));
beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Returns the model without random layers, which KerasHub's gradients were recorded without. */
function withoutDropout({ modelConfig, ...rest }: Checkpoint): Checkpoint {
  const edited = editLayers(modelConfig, ({ json }) => {
    const { rate, dropout, ...config } = json["config"] as JsonObject;
    const still = { ...(rate !== undefined && { rate: 0 }), ...(dropout !== undefined && { dropout: 0 }) };
    return { ...json, config: { ...config, ...still } };
  });
  return { ...rest, modelConfig: edited };
}

function difference(a: Tensor | undefined, b: Tensor): number {
  const values = b.data as Float32Array;
  const scale = Math.max(...values.map(Math.abs));
  return Math.max(...values.map((value, index) => Math.abs(value - Number(a?.data[index])))) / scale;
}

const onlyWeights = ({ weights }: Checkpoint) => [...weights].filter(([, layer]) => layer.length > 0);

const otherFiles = readdirSync(hubPath(".")).filter((name) => /\.h5$|-preset$/.test(name));

test.each(otherFiles)("%s holds what the .keras holds", async (file) => {
  const name = file.replace(/\.h5$|-preset$/, "");
  const [checkpoint, expected] = await Promise.all(
    [hubPath(file), hubPath(`${name}.keras`)].map((path) => readCheckpoint(path)),
  );
  expect(new Map(onlyWeights(checkpoint!))).toEqual(new Map(onlyWeights(expected!)));
  expect(checkpoint?.notes).toEqual(expected?.notes);
  const images = imagesOf(new Map(hubRecords()).get(name)!.shape);
  const [output] = await predict(checkpoint!, images);
  expect(output).toEqual((await predict(expected!, images))[0]);
  const again = join(folder, "again.keras");
  await writeCheckpoint(again, checkpoint!);
  expect((await readCheckpoint(again)).modelConfig["class_name"]).toBe(expected?.modelConfig["class_name"]);
});

test("a preset folder is written as KerasHub writes it, file by file", async () => {
  const original = hubPath("resnet-preset");
  const again = join(folder, "preset");
  await writeCheckpoint(again, await readCheckpoint(original), { format: "hub" });
  expect(readdirSync(again).sort()).toEqual(readdirSync(original).sort());
  for (const name of readdirSync(original).filter(
    (file) => file.endsWith(".json") && file !== "metadata.json",
  )) {
    const [ours, theirs] = [again, original].map((each) =>
      JSON.parse(readFileSync(join(each, name), "utf8")),
    );
    expect(ours, name).toEqual(theirs);
  }
  const reread = await readCheckpoint(again);
  expect(onlyWeights(reread)).toEqual(onlyWeights(await readCheckpoint(original)));
});

test("a preset whose weights are in shards holds what the .keras holds", async () => {
  const sharded = await readCheckpoint(hubPath("resnet-sharded"));
  const whole = await readCheckpoint(hubPath("resnet.keras"));
  const backbone = onlyWeights(whole).flatMap(([path, layer]) =>
    path.startsWith("res_net_backbone/") ? [[path.replace("res_net_backbone/", ""), layer] as const] : [],
  );
  expect(readdirSync(hubPath("resnet-sharded"))).toContain("model_00001.weights.h5");
  expect(new Map(onlyWeights(sharded))).toEqual(new Map(backbone));
});

test("a preset holds the backbone's weights apart from the head's, where a class has no name either", async () => {
  const preset = join(folder, "vgg-preset");
  await writeCheckpoint(preset, await readCheckpoint(hubPath("vgg.keras")), { format: "hub" });
  rmSync(join(preset, "task.json"));
  const backbone = await readCheckpoint(preset);
  expect(backbone.modelConfig["class_name"]).toBe("VGGBackbone");
  expect(onlyWeights(backbone).map(([path]) => path)).toContain("block3_conv1");
});

test("the blocks of a transformer are its stages", async () => {
  const graph = layerGraph(await readCheckpoint(hubPath("vit.keras")));
  expect(stagesOf(graph).labels).toEqual([
    "stem",
    "transformer_block_1",
    "transformer_block_2",
    "top",
    "head",
  ]);
  const freeze = freezeUntil("transformer_block_2");
  const { warnings } = planFinetune(await readCheckpoint(hubPath("vit.keras")), { freeze });
  expect(warnings.filter((warning) => warning.includes("matches"))).toEqual([]);
});

test("a new head is the class's own argument, and other changes make a plain functional model", async () => {
  const checkpoint = await readCheckpoint(hubPath("resnet.keras"));
  const pets = replaceHead(checkpoint, { classes: 7 });
  const path = join(folder, "pets.keras");
  expect(writingWarnings(pets, "keras")).toEqual([]);
  await writeCheckpoint(path, pets);
  const { modelConfig } = await readCheckpoint(path);
  expect(hubArguments(modelConfig)).toMatchObject({ num_classes: 7, activation: "softmax" });
  const masked = replaceHead(await readCheckpoint(hubPath("resnet-vd-backbone.keras")), { classes: 4 });
  expect(writingWarnings(masked, "keras")).toEqual([
    expect.stringMatching(/^Saved as \.keras, the model of KerasHub becomes a plain/),
  ]);
  await writeCheckpoint(path, masked);
  // MobileNet's classifier has no argument for the activation of its scores.
  const softmax = replaceHead(await readCheckpoint(hubPath("mobilenet.keras")), { classes: 3 });
  const plain = join(folder, "softmax.keras");
  await writeCheckpoint(plain, softmax);
  const reread = await readCheckpoint(plain);
  expect(JSON.stringify(reread.modelConfig)).not.toMatch(/keras_?hub/);
  expect(onlyWeights(reread)).toEqual(onlyWeights(softmax));
  const linear = replaceHead(softmax, { classes: 4, activation: "linear" });
  expect(writingWarnings(linear, "keras")).toEqual([]);
  expect((await readCheckpoint(path)).modelConfig["class_name"]).toBe("Functional");
});

test.each([
  ["wide", 40, 61],
  ["high", 53, 38],
] as const)(
  "a %s image is cropped, resized and scaled as by KerasHub's preprocessor",
  async (name, height, width) => {
    const checkpoint = await readCheckpoint(hubPath("resnet.keras"));
    const pixels = Uint8Array.from({ length: height * width * 3 }, (_, index) => (index * 7919) % 256);
    const path = join(folder, `${name}.png`);
    await sharp(pixels, { raw: { height, width, channels: 3 } }).toFile(path);
    const input = imageInput(layerGraph(checkpoint), checkpoint.notes, {});
    expect(input.crop).toBe(true);
    const { data } = await loadImages([path], input);
    const expected = packedTensor(new Map(hubRecords()).get("resnet")![name]!);
    expect(difference({ ...expected, data: (data as Float32Array).subarray(0, 96) }, expected)).toBeLessThan(
      1e-5,
    );
  },
);

test("a class that is not known is refused by name, with the way out", async () => {
  const { modelConfig } = await readCheckpoint(hubPath("resnet.keras"));
  const { kerashub_config: config, ...entry } = modelConfig;
  const unknown = { ...entry, config: config!, class_name: "SAMImageSegmenter" };
  expect(() => withHubNetworks(unknown)).toThrow(
    /KerasHub's SAMImageSegmenter is not known here\. .*keras\.Model\(m\.inputs, m\.outputs\)\.save/,
  );
});

test("a backbone of several outputs is refused alone, with the way out", async () => {
  const { modelConfig } = await readCheckpoint(hubPath("hgnetv2.keras"));
  const backbone = (hubArguments(modelConfig) as JsonObject)["backbone"] as JsonObject;
  expect(() => withHubNetworks(backbone)).toThrow(
    /HGNetV2Backbone alone .*keras\.Model\(m\.inputs, m\.outputs\[-1\]\)\.save/,
  );
});

test.each(hubRecords().filter(([, { losses }]) => losses !== undefined))(
  "%s trains as in KerasHub",
  async (name, { losses, shape }) => {
    const checkpoint = await readCheckpoint(hubPath(`${name}.keras`));
    const trainer = await createTrainer(checkpoint, {
      freeze: [],
      bnMode: "follow",
      optimizer: { class_name: "SGD", config: { learning_rate: 0.01 } },
      loss: { class_name: "SparseCategoricalCrossentropy", config: { from_logits: true } },
    });
    const classes = { dtype: "int32", shape: [2], data: Int32Array.of(0, 3) } as const;
    for (const expected of losses ?? []) {
      const { loss } = await trainer.trainOnBatch(imagesOf(shape), classes);
      expect(Math.abs(loss - expected) / expected).toBeLessThan(2e-4);
    }
    trainer.dispose();
  },
);

test.each(hubRecords().filter(([, { gradients }]) => gradients !== undefined))(
  "%s has the gradients of KerasHub",
  async (name, { gradients = [], shape, output }) => {
    const checkpoint = withoutDropout(await readCheckpoint(hubPath(`${name}.keras`)));
    const trainer = await createTrainer(checkpoint, {
      freeze: [],
      bnMode: "inference",
      optimizer: { class_name: "SGD", config: { learning_rate: 1024 } },
      loss: "MeanSquaredError",
    });
    await trainer.trainOnBatch(imagesOf(shape), targetsOf(output.shape));
    const after = (await trainer.checkpoint()).weights;
    trainer.dispose();
    const norms = [...checkpoint.weights].flatMap(([path, weights]) =>
      weights.map(({ data }, index) => {
        const moved = (after.get(path)?.[index]?.data ?? data) as Float32Array;
        const steps = (data as Float32Array).map((value, at) => (value - (moved[at] ?? 0)) / 1024);
        return Math.sqrt(steps.reduce((sum, step) => sum + step * step, 0));
      }),
    );
    const largest = gradients.at(-1) ?? 0;
    const significant = (values: readonly number[]): readonly number[] =>
      values.filter((value) => value > 1e-5 * largest).sort((a, b) => a - b);
    const [ours, theirs] = [significant(norms), significant(gradients)];
    expect(ours).toHaveLength(theirs.length);
    for (const [index, norm] of theirs.entries()) {
      expect(Math.abs(norm - (ours[index] ?? 0)) / norm).toBeLessThan(1e-3);
    }
  },
);

const written = oneIn(3, hubRecords()).map(([name]) => name);

test("a layer of KerasHub in a plain model is named as a custom class, not as an unknown model", async () => {
  const { modelConfig, ...rest } = await readCheckpoint(hubPath("vgg.keras"));
  const flat = withoutHub(modelConfig);
  const custom = editLayers(flat, ({ path, json }) =>
    path.endsWith("block1_conv1")
      ? { ...json, class_name: "ViTEncoder", module: "keras_hub.src.models.vit.vit_layers" }
      : json,
  );
  expect(withHubNetworks(custom)).toBe(custom);
  const graph = layerGraph({ ...rest, modelConfig: custom });
  expect(() => requireSupported(graph)).toThrow(/block1_conv1.*ViTEncoder/s);
});

describe.each(hubRecords())("%s of KerasHub", (name, record) => {
  const file = hubPath(`${name}.keras`);

  test("predicts what KerasHub predicts, and its preprocessor's numbers are noted", async () => {
    const checkpoint = await readCheckpoint(file);
    const [output] = await predict(checkpoint, imagesOf(record.shape));
    const expected = packedTensor(record.output);
    expect(output?.shape).toEqual(expected.shape);
    expect(difference(output, expected)).toBeLessThan(2e-5);
    const { preprocess } = checkpoint.notes;
    expect(preprocess === undefined).toBe(record.prepared === undefined);
    if (!record.prepared || !preprocess) return;
    const prepared = packedTensor(record.prepared);
    const pixels = Float32Array.from({ length: prepared.data.length }, (_, index) => (index * 7919) % 256);
    preprocessPixels(pixels, preprocess);
    expect(difference({ ...prepared, data: pixels }, prepared)).toBeLessThan(1e-5);
  });

  test.runIf(written.includes(name))(
    "is written as the class that it was, config and weights to the bit, or flat",
    async () => {
      const checkpoint = await readCheckpoint(file);
      const again = join(folder, `${name}.keras`);
      await writeCheckpoint(again, checkpoint);
      const reread = await readCheckpoint(again);
      expect(reread.modelConfig).toEqual(checkpoint.modelConfig);
      expect(onlyWeights(reread)).toEqual(onlyWeights(checkpoint));
      const flat = { ...checkpoint, modelConfig: withoutHub(checkpoint.modelConfig) };
      await writeCheckpoint(again, flat);
      const plain = await readCheckpoint(again);
      expect(JSON.stringify(plain.modelConfig)).not.toMatch(/keras_?hub/);
      expect(onlyWeights(plain)).toEqual(onlyWeights(checkpoint));
    },
  );
});
