import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import type { FinetuneOptions, ProgressEvent } from "../../src/index.ts";
import { evaluate, finetune, imageFolder, readCheckpoint } from "../../src/index.ts";
import { answers } from "../data/answers.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const model = join(fixtures, "cli", "stand_in.h5");
const scratch = mkdtempSync(join(tmpdir(), "data-runs-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let made = 0;

/** A folder with photos of the demo at these paths: `train/grass/1.jpg` is one of grass, another for each number. */
function photos(...paths: string[]): string {
  const folder = join(scratch, `photos-${++made}`);
  for (const path of paths) {
    const [, name = "brick", number = "0"] = /([a-z]+)(\d)\.jpg$/.exec(path) ?? [];
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(fixtures, "demo", "photos", "train", name, `${name}-0${number}.jpg`), join(folder, path));
  }
  return folder;
}

async function run(options: FinetuneOptions) {
  const events: ProgressEvent[] = [];
  const result = await finetune({
    epochs: 1,
    cache: false,
    ...options,
    onProgress: (event) => events.push(event),
  });
  const of = (kind: "warning" | "note") =>
    events.flatMap((event) => (event.kind === kind && "message" in event ? [event.message] : []));
  return { result, warnings: of("warning"), notes: of("note") };
}

describe("a table", () => {
  const folder = photos(
    ...["brick", "grass"].flatMap((name) => [0, 1, 2, 3].map((index) => `${name}${index}.jpg`)),
  );
  const rows = ["brick", "grass"].flatMap((name) =>
    [0, 1, 2, 3].map((index) => [
      `${name}${index}.jpg`,
      name,
      index < 3 ? "train" : "val",
      index + 0.5,
      index + 1,
    ]),
  );
  const path = join(folder, "photos.csv");
  writeFileSync(path, ["file_name,kind,split,size,weight", ...rows.map((row) => row.join(","))].join("\n"));

  test("of classes trains the head that its column asks for", async () => {
    const { result, notes } = await run({ model, data: path, targets: "kind", sampleWeight: "weight" });
    expect(result.checkpoint.notes.labels).toEqual(["brick", "grass"]);
    expect(result.features.samples).toBe(8);
    expect(notes[0]).toBe("data      2 classes, 6 + 2 images");
  });

  test("of numbers trains one value", async () => {
    const { result } = await run({ model, data: path, targets: "size" });
    const { metrics, samples } = await evaluate(result.checkpoint, {
      ...(await imageFolder(photos("brick/brick0.jpg", "grass/grass1.jpg"))),
      targetColumns: [{ name: "size", kind: "numbers" }],
      classNames: [],
      samples: [{ path: join(folder, "brick0.jpg"), split: "train", targets: { size: 1 } }],
    });
    expect(samples).toBe(1);
    expect(Object.keys(metrics)).not.toContain("accuracy");
  });

  test("is refused with options of folders, and a folder with options of tables", async () => {
    await expect(run({ model, data: path, targets: "kind", masks: folder })).rejects.toThrow(
      /^masks: expected a folder of images, got the table .*photos\.csv\. Leave it out\.$/,
    );
    await expect(run({ model, data: photos("brick/brick0.jpg"), targets: "kind" })).rejects.toThrow(
      /^targets: expected a table \(\.csv, \.tsv, \.jsonl\), got .*\. Leave it out\.$/,
    );
  });
});

test("a table with a column of texts trains a model that takes texts", async () => {
  const folder = join(scratch, "reviews");
  mkdirSync(folder, { recursive: true });
  const rows = Array.from(
    { length: 8 },
    (_, index) =>
      `"the film was ${index % 2 ? "dull" : "a delight"}, ${index}",${index % 2 ? "dull" : "fine"}`,
  );
  writeFileSync(join(folder, "reviews.csv"), ["text,label", ...rows].join("\n"));
  const { result, notes } = await run({
    model: join(fixtures, "texts", "k3-reviews.keras"),
    data: join(folder, "reviews.csv"),
    valFraction: 0.25,
  });
  expect(notes[0]).toBe("data      2 classes, 6 + 2 samples");
  expect(result.checkpoint.notes.labels).toEqual(["dull", "fine"]);
});

test("samples of test are evaluated at the end and reported apart, also in plan.json", async () => {
  const names = ["brick", "grass"];
  const data = photos(
    ...names.flatMap((name) => [0, 1, 2].map((index) => `Training/${name}/${name}${index}.jpg`)),
    ...names.map((name) => `Testing/${name}/${name}4.jpg`),
  );
  const out = join(scratch, "tested");
  const { result } = await run({ model, data, out });
  const { test: figures, checkpoint } = result;
  expect(figures?.samples).toBe(2);
  const again = await evaluate(checkpoint, await imageFolder(data), { split: "test" });
  expect(figures?.loss).toBeCloseTo(again.loss, 6);
  expect(figures?.confusion).toEqual(again.confusion);
  const plan = JSON.parse(readFileSync(join(out, "plan.json"), "utf8"));
  expect(plan.test.samples).toBe(2);
  const { result: without } = await run({
    model,
    data: photos(...names.flatMap((name) => [0, 1].map((index) => `${name}/${name}${index}.jpg`))),
  });
  expect(without.test).toBeUndefined();
});

test("the same bytes in train and val, and in two classes, are warned of by name", async () => {
  const data = photos(
    ...[
      "train/brick/brick0.jpg",
      "train/brick/brick1.jpg",
      "train/grass/grass0.jpg",
      "train/grass/brick1.jpg",
    ],
    ...["val/brick/brick0.jpg", "val/grass/grass2.jpg"],
  );
  const { warnings } = await run({ model, data });
  const told = warnings
    .map((warning) => warning.replaceAll(data, "data"))
    .filter((warning) => warning.includes("byte for byte"));
  expect(told).toEqual([
    "1 of 2 images of val are also in train, byte for byte: data/val/brick/brick0.jpg is data/train/brick/brick0.jpg. The figures of val are not those of new images.",
    "1 images are in two classes, byte for byte: data/train/grass/brick1.jpg (grass) is data/train/brick/brick1.jpg (brick).",
  ]);
});

test("images with masks train a model that tells a class for each pixel", async () => {
  const { images, masks, models } = await answers<{
    images: string[];
    masks: Record<string, string[]>;
    models: Record<string, { file: string }>;
  }>("masks.json.gz");
  const folder = join(scratch, "masked");
  for (const [name, files] of [
    ["images", images],
    ["masks", masks["palette"] ?? []],
  ] as const) {
    mkdirSync(join(folder, name), { recursive: true });
    files.forEach(
      (file, index) => void writeFileSync(join(folder, name, `${index}.png`), Buffer.from(file, "base64")),
    );
  }
  const path = join(folder, "model.keras");
  writeFileSync(path, gunzipSync(Buffer.from(models["classes"]?.file ?? "", "base64")));
  const options: FinetuneOptions = {
    ...{ model: path, data: join(folder, "images"), masks: join(folder, "masks") },
    ...{ epochs: 3, learningRate: 0.01, freeze: { kind: "freeze", patterns: ["none"] }, keepHead: true },
  };
  const { result, notes } = await run(options);
  expect(notes.join("\n")).toMatch(/masks hold class indices, 3 classes/);
  const before = await readCheckpoint(path);
  expect(result.history.at(-1)?.loss).toBeLessThan(result.history[0]?.loss ?? 0);
  expect(result.checkpoint.modelConfig["class_name"]).toBe(before.modelConfig["class_name"]);
  const flipped = await run({ ...options, augment: "flip,rotate=20,brightness", views: 2 });
  expect(flipped.result.history.at(-1)?.loss).toBeLessThan(flipped.result.history[0]?.loss ?? 0);
  expect(flipped.result.history[0]?.loss).not.toBe(result.history[0]?.loss);
  await expect(run({ ...options, augment: "randaugment" })).rejects.toThrow(
    "augment: expected transformations that targets can follow, because the model has a target for each position, got RandAugment.",
  );
});
