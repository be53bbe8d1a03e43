import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imageFolder } from "../../src/data/class-folders.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { DataError, UsageError } from "../../src/errors.ts";
import type { Shard } from "../../src/features/shard.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import type { ExtractOptions } from "../../src/run/extract-features.ts";
import { extractFeatures } from "../../src/run/extract-features.ts";
import { extractRun } from "../../src/run/extract-run.ts";
import { planFinetune } from "../../src/run/plan-finetune.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const model = join(fixtures, "cli", "small_resnet.keras");
const scratch = mkdtempSync(join(tmpdir(), "shards-"));
const data = join(scratch, "photos");
const files = 8;
const count = 3;
let caches = 0;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  for (const name of ["brick", "grass"]) {
    for (const index of [0, 1, 2, 3]) {
      const file = `${name}-0${index}.jpg`;
      cpSync(join(fixtures, "demo", "photos", "train", name, file), join(data, name, file));
    }
  }
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const newCache = (): string => join(scratch, `cache-${caches++}`);

describe("shards", () => {
  test("extract each sample once between them, and a run then extracts nothing", async () => {
    const cache = newCache();
    const shards = [];
    for (let index = 0; index < count; index++) {
      shards.push(await extractRun({ model, data, cache }, { index, count }));
    }
    expect(shards.map(({ shard }) => shard.index)).toEqual([0, 1, 2]);
    expect(shards.reduce((sum, { samples }) => sum + samples, 0)).toBe(files);
    for (const { samples, extracted, cached, bytes } of shards) {
      expect(extracted + cached).toBe(samples);
      expect(bytes % Math.max(samples, 1)).toBe(0);
    }
    const again = await extractRun({ model, data, cache }, { index: 1, count });
    expect(again).toMatchObject({ extracted: 0, cached: shards[1]!.samples });
    const { features } = await finetune({ model, data, cache, epochs: 1 });
    expect(features).toMatchObject({ extracted: 0, cached: files });
  });

  test("extract the views of a run with views too", async () => {
    const cache = newCache();
    const options = { model, data, cache, augment: "flip", views: 3, epochs: 2 };
    for (let index = 0; index < 2; index++) await extractRun(options, { index, count: 2 });
    expect((await finetune(options)).features.extracted).toBe(0);
  });

  test("leave a manifest each, and tell of shards that saw other files", async () => {
    const cache = newCache();
    const copy = join(scratch, "growing");
    cpSync(data, copy, { recursive: true });
    const warnings: string[] = [];
    const run = (index: number) =>
      extractRun(
        {
          model,
          data: copy,
          cache,
          onProgress: (event) => event.kind === "warning" && warnings.push(event.message),
        },
        { index, count: 2 },
      );
    const first = await run(0);
    const path = readdirSync(cache, { recursive: true, encoding: "utf8" }).find((name) =>
      name.endsWith("shard-0-of-2.json"),
    );
    const manifest = JSON.parse(readFileSync(join(cache, path!), "utf8"));
    expect(manifest).toMatchObject({
      shard: first.shard,
      samples: first.samples,
      listing: { files },
      bad: 0,
    });
    cpSync(join(copy, "brick", "brick-00.jpg"), join(copy, "brick", "another.jpg"));
    expect(warnings.filter((message) => message.startsWith("shard"))).toEqual([]);
    await run(1);
    expect(warnings.join()).toContain(
      "shard 1/2: expected the 9 files that it listed to be those of every shard, got other listings in 0/2",
    );
  });

  test("count a file that cannot be used, and go on", async () => {
    const copy = join(scratch, "broken");
    cpSync(data, copy, { recursive: true });
    writeFileSync(join(copy, "brick", "broken.jpg"), "no image");
    const result = await extractRun({ model, data: copy, cache: newCache() }, { index: 0, count: 1 });
    expect(result).toMatchObject({ samples: files, extracted: files });
    expect(result.bad.map(({ path }) => basename(path))).toEqual(["broken.jpg"]);
  });

  test("end with an error where the listing changed under them", async () => {
    const copy = join(scratch, "changing");
    cpSync(data, copy, { recursive: true });
    const changing = extractRun(
      {
        ...{ model, data: copy, cache: newCache() },
        onProgress: ({ kind }) => {
          if (kind === "extract") writeFileSync(join(copy, "grass", "late.jpg"), "");
        },
      },
      { index: 0, count: 1 },
    );
    await expect(changing).rejects.toThrow(DataError);
    await expect(changing).rejects.toThrow(
      "expected the 8 that the extraction began with, got another listing of 9",
    );
  });
});

describe("through extractFeatures", () => {
  test("a shard is figures alone, and is found again by what extracts the whole", async () => {
    const checkpoint = await readCheckpoint(model);
    const plan = planFinetune(checkpoint, { freeze: freezeUntil("conv3") });
    const dataset = await imageFolder(data);
    const cache = newCache();
    const shard = await extractFeatures(checkpoint, plan, dataset, { cache, shard: { index: 0, count: 2 } });
    expect(shard.shard).toEqual({ index: 0, count: 2 });
    expect("tensors" in shard).toBe(false);
    const whole = await extractFeatures(checkpoint, plan, dataset, { cache });
    expect(whole).toMatchObject({ samples: files, cached: shard.samples, extracted: files - shard.samples });
    expect(whole.bytes).toBe(whole.tensors.reduce((sum, { data: { byteLength } }) => sum + byteLength, 0));
  });

  test("a shard that is none, no cache, and nothing to extract are refused", async () => {
    const checkpoint = await readCheckpoint(model);
    const dataset = await imageFolder(data);
    const plan = planFinetune(checkpoint, { freeze: freezeUntil("conv3") });
    const refused = (options: ExtractOptions & { readonly shard: Shard }, of = plan) =>
      extractFeatures(checkpoint, of, dataset, options);
    await expect(refused({ shard: { index: 2, count: 2 } })).rejects.toThrow("shard: expected I/N");
    await expect(refused({ shard: { index: 0, count: 2 }, cache: false })).rejects.toThrow(
      /^cache: false: expected a folder/,
    );
    const nothing = planFinetune(checkpoint, { freeze: [] });
    await expect(refused({ shard: { index: 0, count: 2 }, cache: newCache() }, nothing)).rejects.toThrow(
      UsageError,
    );
  });
});
