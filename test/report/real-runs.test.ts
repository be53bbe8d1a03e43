/** The reports of six kinds of real run, opened in Chromium. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { Checkpoint, FinetuneOptions, JsonObject } from "../../src/index.ts";
import {
  arrayDataset,
  finetune,
  freezeAllButHead,
  freezeUntil,
  maskFolder,
  readCheckpoint,
  replaceHead,
} from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { writeReport } from "../../src/run/saved-runs.ts";
import { float32Tensor } from "../../src/tensor.ts";
import type { Page } from "../browser.ts";
import { chromium, openPage } from "../browser.ts";
import { answers } from "../data/answers.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const resnet = join(fixtures, "cli", "small_resnet.keras");
const photos = join(fixtures, "demo", "photos");
const scratch = mkdtempSync(join(tmpdir(), "real-reports-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const always = ["Curves", "Validation", "What trained", "Plan and cost", "Proof", "Repeat this run"];
const ofClasses = ["Confusion matrix", "Classes", "Precision, recall and ROC", "Calibration"];

/** A folder of photos in `names`, ten for training and five held out; some of them in both. */
function photosOf(...names: string[]): string {
  const folder = mkdtempSync(join(scratch, "photos-"));
  for (const name of names) {
    for (const split of ["train", "val"])
      cpSync(join(photos, split, name), join(folder, split, name), { recursive: true });
    cpSync(join(photos, "train", name, `${name}-00.jpg`), join(folder, "val", name, "again.jpg"));
  }
  writeFileSync(join(folder, "train", names[0] ?? "", "broken.jpg"), "no image");
  return folder;
}

function table(header: string, row: (name: string, index: number) => string): string {
  const folder = mkdtempSync(join(scratch, "table-"));
  const lines = ["brick", "grass"].flatMap((name) =>
    (["train", "val"] as const).flatMap((split) =>
      readdirSync(join(photos, split, name)).map((file, index) => {
        cpSync(join(photos, split, name, file), join(folder, file));
        return `${file},${row(name, index)},${split}`;
      }),
    ),
  );
  writeFileSync(join(folder, "table.csv"), [`file_name,${header},split`, ...lines].join("\n"));
  return join(folder, "table.csv");
}

interface PackedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly base64: string;
}

/** A model of three outputs that Keras made. */
function severalOutputs(): Checkpoint {
  const bytes = readFileSync(join(fixtures, "situations", "keras-3.15.1.json.gz"));
  const all = JSON.parse(gunzipSync(bytes).toString()) as readonly {
    readonly name: string;
    readonly modelConfig: JsonObject;
    readonly trainingConfig: JsonObject;
    readonly weights: Readonly<Record<string, readonly PackedWeight[]>>;
  }[];
  const { modelConfig, trainingConfig, weights } = all.filter(
    ({ name }) => name === "three-outputs-by-name",
  )[0]!;
  const unpacked = ({ name, shape, base64 }: PackedWeight) => ({
    name,
    ...float32Tensor(new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer), shape),
  });
  return {
    ...{ format: "keras", kerasVersion: "3.15.1", modelConfig, trainingConfig, notes: {} },
    weights: new Map(Object.entries(weights).map(([path, layer]) => [path, layer.map(unpacked)])),
  };
}

interface Kind {
  readonly options: () => Promise<FinetuneOptions> | FinetuneOptions;
  /** Headings beside those that every page has. */
  readonly parts: readonly string[];
}

const kinds: Readonly<Record<string, Kind>> = {
  "single-label photos": {
    options: () => ({
      model: resnet,
      data: photosOf("brick", "grass", "gravel"),
      freeze: freezeUntil("head"),
    }),
    parts: [...ofClasses, "Worst mistakes", "Duplicates", "Skipped samples"],
  },
  "binary logits": {
    options: async () => ({
      model: replaceHead(await readCheckpoint(resnet), { units: 1, activation: "linear" }),
      data: photosOf("brick", "grass"),
      loss: { class_name: "BinaryCrossentropy", config: { from_logits: true } },
      freeze: freezeAllButHead(),
    }),
    parts: [...ofClasses, "Duplicates"],
  },
  "a table of several labels": {
    options: () => ({
      model: resnet,
      data: table("label", (name, index) => (index % 3 === 0 ? `${name}|dry` : name)),
      targets: "label",
      task: "multi-label",
      freeze: freezeAllButHead(),
    }),
    parts: ["Classes", "Precision, recall and ROC", "Calibration", "Worst mistakes"],
  },
  "a table of numbers": {
    options: () => ({
      model: resnet,
      data: table("width,depth", (name, index) => `${name.length + index / 10},${index * 30}`),
      targets: ["width", "depth"],
      freeze: freezeAllButHead(),
    }),
    parts: ["Predicted against true", "Largest errors"],
  },
  masks: {
    options: async () => {
      const { images, masks, models } = await answers<{
        images: readonly string[];
        masks: Readonly<Record<string, readonly string[]>>;
        models: { readonly classes: { readonly file: string } };
      }>("masks.json.gz");
      const folder = mkdtempSync(join(scratch, "masks-"));
      for (const name of ["images", "masks"]) mkdirSync(join(folder, name));
      for (const [index, image] of images.entries()) {
        writeFileSync(join(folder, "images", `${index}.png`), Buffer.from(image, "base64"));
        writeFileSync(
          join(folder, "masks", `${index}.png`),
          Buffer.from(masks["palette"]?.[index] ?? "", "base64"),
        );
      }
      const model = join(folder, "model.keras");
      writeFileSync(model, gunzipSync(Buffer.from(models.classes.file, "base64")));
      return { model, data: await maskFolder(folder, undefined, { validationFraction: 0.5 }), freeze: [] };
    },
    parts: ["Confusion matrix", "Classes", "Masks"],
  },
  "several outputs": {
    options: () => {
      const random = randomGenerator(1);
      const count = 60;
      const draw = (size: number, of: (value: number, index: number) => number) =>
        float32Tensor(
          Float32Array.from({ length: count * size }, (_, index) => of(random.nextFloat(), index)),
          [count, size],
        );
      const kind = draw(3, (_, index) => Number(index % 3 === Math.floor(index / 3) % 3));
      const targets = {
        kind,
        age: draw(1, (value) => 10 * value),
        marks: draw(2, (value) => Math.round(value)),
      };
      const data = arrayDataset(
        draw(3, (value) => value),
        targets,
        { validationFraction: 0.3 },
      );
      return { model: severalOutputs(), data, freeze: [], batchSize: 16 };
    },
    parts: ["kind: Confusion matrix", "age: Predicted against true", "marks: Precision, recall and ROC"],
  },
  "phases on augmented photos": {
    options: () => ({
      model: resnet,
      data: photosOf("brick", "gravel"),
      augment: "flip",
      views: 2,
      phases: [
        { freeze: freezeAllButHead(), epochs: 1 },
        { freeze: freezeUntil("conv3"), epochs: 2, learningRate: 1e-4 },
      ],
    }),
    parts: [...ofClasses],
  },
};

const folderOf = (kind: string): string => join(scratch, kind.replaceAll(" ", "-"));

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  for (const [kind, { options }] of Object.entries(kinds)) {
    const given = await options();
    const defaults = { epochs: given.phases ? 3 : 2, batchSize: 8, cache: join(scratch, "cache") };
    await finetune({ ...defaults, ...given, out: folderOf(kind) });
  }
}, 60_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Fails unless the page has the headings, every chart drawn, no error, nothing wider than the window, and nothing that axe finds. */
async function expectGood(page: Page, headings: readonly string[], name: string): Promise<void> {
  for (const width of [390, 1280]) {
    await page.resize(width, 900);
    await page.evaluate("new Promise((done) => setTimeout(done, 250))");
    const shown = JSON.parse(
      String(
        await page.evaluate(`JSON.stringify({
          headings: [...document.querySelectorAll("h2, h3")].map((one) => one.textContent),
          undrawn: [...document.querySelectorAll("[data-chart]")].filter((one) => !one.querySelector("canvas")).length,
          broken: [...document.images].filter((one) => one.loading !== "lazy" && one.naturalWidth === 0).length,
          tooWide: document.documentElement.scrollWidth > innerWidth,
        })`),
      ),
    );
    expect(shown.headings).toEqual(expect.arrayContaining([...headings]));
    expect(shown).toMatchObject({ undrawn: 0, broken: 0, tooWide: false });
    await photographed(page, `${name}-${width}`);
  }
  await page.evaluate(axe);
  const found = await page.evaluate(
    `axe.run().then(({ violations }) => JSON.stringify(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => id + ": " + nodes[0].html.slice(0, 200))))`,
  );
  expect(JSON.parse(String(found))).toEqual([]);
  expect(page.errors).toEqual([]);
}

/** Writes screenshots, light, dark and as printed, where `REPORT_SCREENSHOTS` names a folder for them. */
async function photographed(page: Page, name: string): Promise<void> {
  const folder = process.env["REPORT_SCREENSHOTS"];
  if (!folder) return;
  for (const [look, media] of [
    ["light", { scheme: "light" }],
    ["dark", { scheme: "dark" }],
    ["print", { media: "print" }],
  ] as const) {
    await page.emulate(media);
    await page.evaluate("new Promise((done) => setTimeout(done, 300))");
    const file = join(folder, `${name.replaceAll(" ", "-")}-${look}.png`);
    writeFileSync(file, Buffer.from(await page.screenshot(), "base64"));
  }
  await page.emulate({});
}

describe.skipIf(chromium === undefined && process.env["CI"] === undefined)("in Chromium", () => {
  let page: Page;
  beforeAll(async () => {
    page = await openPage(chromium ?? "chromium", "about:blank");
  });
  afterAll(() => page.close());

  test.each(Object.entries(kinds))(
    "the report of %s has every section and no fault",
    async (kind, { parts }) => {
      await page.open(pathToFileURL(join(folderOf(kind), "report.html")).href);
      await expectGood(page, [...always, ...parts], kind);
    },
  );

  test("a page of two runs has their results, curves, settings and the samples that changed sides", async () => {
    const runs = ["single-label photos", "binary logits"].map(folderOf);
    const path = await writeReport(runs, join(scratch, "comparison.html"));
    await page.open(pathToFileURL(path).href);
    const parts = ["Results", "Curves", "What differs in their settings", "Samples that changed sides"];
    await expectGood(page, parts, "comparison");
  });
});
