import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { arrayDataset } from "../../src/data/arrays.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { UsageError } from "../../src/errors.ts";
import { finetune } from "../../src/finetune.ts";
import { freezeAllButHead } from "../../src/freeze/policy.ts";
import type { FinetuneOptions, FinetuneResult } from "../../src/run/options.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { resolveOptions } from "../../src/run/settings.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { isWhole } from "../sample.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const resnet = join(fixtures, "cli", "small_resnet.keras");
const ownLayers = join(fixtures, "models", "k3-preprocessing.keras");
const scratch = mkdtempSync(join(tmpdir(), "view-runs-"));
const data = join(scratch, "photos");
const [train, val] = [6, 4];
let folders = 0;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  for (const name of ["brick", "grass"]) {
    for (const [split, count] of [
      ["train", train / 2],
      ["val", val / 2],
    ] as const) {
      for (let index = 0; index < count; index++) {
        const file = join(split, name, `${name}-0${split === "train" ? index : index + 3}.jpg`);
        cpSync(join(fixtures, "demo", "photos", "train", name, basename(file)), join(data, file));
      }
    }
  }
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const newCache = (): string => join(scratch, String(folders++));
const run = (options: Partial<FinetuneOptions> = {}): Promise<FinetuneResult> =>
  finetune({ model: resnet, data, epochs: 4, batchSize: 4, cache: false, ...options });
const losses = ({ history }: FinetuneResult) => history.map(({ loss }) => loss);

describe("a run with views", () => {
  test("extracts each view once, the val split as it is, and a second run nothing", async () => {
    const cache = newCache();
    const first = await run({ augment: "light", cache });
    expect(first.features).toMatchObject({ samples: 4 * train + val, extracted: 4 * train + val, cached: 0 });
    const second = await run({ augment: "light", cache });
    expect(second.features).toMatchObject({ extracted: 0, cached: 4 * train + val });
    expect(losses(second)).toEqual(losses(first));
    expect(first.plan.augmentation).toMatchObject({ views: 4, layers: [] });
    const plain = await run({ cache });
    expect(plain.features).toMatchObject({ extracted: 0, cached: train + val });
  });

  test("extracts the views that its epochs use, and never one of a val sample", async () => {
    const cache = newCache();
    expect((await run({ augment: "flip", views: 4, epochs: 1, cache })).features.extracted).toBe(train + val);
    expect((await run({ epochs: 1, cache })).features).toMatchObject({ cached: val, extracted: train });
  });

  test("trains on another view in each epoch, and is the same again with the same seed", async () => {
    const views = { augment: "medium", views: 2, epochs: 2 };
    const once = await run(views);
    expect(losses(await run(views))).toEqual(losses(once));
    expect(losses(await run({ ...views, seed: 1 }))).not.toEqual(losses(once));
    expect(losses(await run({ epochs: 2 }))).not.toEqual(losses(once));
  });

  test.runIf(isWhole)("leaves no tensor behind", async () => {
    await run({ augment: "flip", epochs: 1 });
    const before = tf.memory().numTensors;
    await run({ augment: "medium", views: 2, epochs: 2 });
    await run({ augment: "medium", views: 0, epochs: 2 });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("a run with fresh views", () => {
  test("keeps no view, and says what they cost", async () => {
    const cache = newCache();
    const lines: string[] = [];
    await run({
      ...{ augment: "light", views: 0, epochs: 2, cache },
      onProgress: (event) => event.kind === "plan" && lines.push(...event.lines),
    });
    expect(lines.join("\n")).toMatch(
      /augment {3}flip=horizontal.*\n {10}fresh views in every epoch, none of them cached: .* of each epoch/,
    );
    expect((await run({ epochs: 1, cache })).features).toMatchObject({ cached: val, extracted: train });
  });

  test.runIf(isWhole)("is the same again with the same seed", async () => {
    const once = await run({ augment: "light", views: 0, epochs: 2 });
    expect(losses(await run({ augment: "light", views: 0, epochs: 2 }))).toEqual(losses(once));
  });
});

describe("random layers that the model begins with", () => {
  const model = { model: ownLayers, freeze: freezeAllButHead(), epochs: 2 };

  test("draw views instead of being silent, and the plan names them", async () => {
    const silent = await run(model);
    expect(silent.plan.warnings.join()).toContain("not augment images in training");
    const drawing = await run({ ...model, views: 2 });
    expect(drawing.plan.augmentation?.layers.length).toBeGreaterThan(0);
    expect(drawing.plan.warnings.join()).not.toContain("not augment images");
    expect(losses(drawing)).not.toEqual(losses(silent));
    expect(losses(await run({ ...model, views: 2 }))).toEqual(losses(drawing));
  });
});

describe("mixed samples", () => {
  test.runIf(isWhole)(
    "are trained on with mixup, on features that are kept, with views or without",
    async () => {
      const cache = newCache();
      const plain = await run({ cache, epochs: 2 });
      const mixed = await run({ cache, epochs: 2, augment: "mixup=0.4" });
      expect(mixed.features.extracted).toBe(0);
      expect(mixed.plan.augmentation).toMatchObject({ views: null, mixup: 0.4 });
      expect(losses(mixed)).not.toEqual(losses(plain));
      expect(losses(await run({ cache, epochs: 2, augment: "mixup=0.4" }))).toEqual(losses(mixed));
      expect(losses(await run({ epochs: 2, augment: "flip,mixup", views: 2 }))).not.toEqual(losses(mixed));
    },
  );

  test("are trained on with cutmix, on fresh pixels", async () => {
    const options = { augment: "cutmix", views: 0, epochs: 2 };
    const mixed = await run(options);
    expect(losses(await run(options))).toEqual(losses(mixed));
    expect(losses(mixed)).not.toEqual(losses(await run({ epochs: 2 })));
  });

  const refused = (options: Partial<FinetuneOptions>) =>
    prepareRun(resolveOptions({ model: resnet, data, ...options }));

  test("need pixels for cutmix, and targets between classes", async () => {
    await expect(refused({ augment: "cutmix" })).rejects.toThrow("augment cutmix: expected views: 0, got 4");
    await expect(refused({ augment: "mixup", loss: "sparse_categorical_crossentropy" })).rejects.toThrow(
      "expected a loss that takes targets between two classes, got sparse_categorical_crossentropy. Pass loss",
    );
    await expect(refused({ augment: "mixup", loss: "categorical_hinge" })).rejects.toThrow(
      "Choose another loss",
    );
  });
});

describe("what cannot be augmented is refused", () => {
  const refused = (options: Partial<FinetuneOptions>) =>
    prepareRun(resolveOptions({ model: resnet, data, ...options }));

  test("views with nothing to draw them", async () => {
    await expect(refused({ views: 4 })).rejects.toThrow(UsageError);
    await expect(refused({ views: 4 })).rejects.toThrow(
      /^views: expected augment, or a model that begins with/,
    );
  });

  test("pixels of arrays", async () => {
    const inputs = float32Tensor(new Float32Array(2 * 32 * 32 * 3), [2, 32, 32, 3]);
    const targets = float32Tensor(Float32Array.of(0, 1), [2]);
    const arrays = arrayDataset(inputs, targets, { classNames: ["a", "b"] });
    await expect(refused({ data: arrays, augment: "flip" })).rejects.toThrow(
      'augment: expected image files, got "arrays"',
    );
  });

  test("an unknown transformation, before anything is read", () => {
    expect(() => resolveOptions({ model: "nowhere", data, augment: "flipp" })).toThrow("Did you mean flip");
  });

  test("layers of Keras that cannot run, or change the size", async () => {
    const layer = (className: string, config: JsonObject) => ({ augment: { class_name: className, config } });
    await expect(refused(layer("RandomRotation", {}))).rejects.toThrow(
      /^augment RandomRotation: no factor cannot be computed/,
    );
    await expect(refused(layer("RandomCrop", { height: 8, width: 8 }))).rejects.toThrow(
      "augment: expected layers that give images [32,32,3], got [8,8,3]. Add a Resizing layer at the end.",
    );
    await refused(layer("RandomRotation", { factor: 0.1 }));
  });

  test("one view is the image itself, which a warning says", async () => {
    expect((await refused({ augment: "flip", views: 1 })).warnings.join()).toContain("nothing is augmented");
  });
});
