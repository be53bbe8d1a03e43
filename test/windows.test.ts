/** Whole runs under Windows's rules for paths, on files that lie on a drive. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runsBelow, writeReport } from "../src/cli-api.ts";
import { ensureEngine, useEngine } from "../src/engine/backend.ts";
import type { FinetuneResult } from "../src/index.ts";
import {
  finetune,
  freezeUntil,
  imageFolder,
  maskFolder,
  predictFiles,
  readCheckpoint,
  table,
} from "../src/index.ts";
import { drive, followWindowsRules, placeOf } from "./windows-files.ts";

vi.mock("node:path", async () => (await import("./windows-files.ts")).pathModule());
vi.mock("node:fs", async (original) => (await import("./windows-files.ts")).filesModule(await original()));
vi.mock("node:fs/promises", async (original) =>
  (await import("./windows-files.ts")).filesModule(await original()),
);
vi.mock("sharp", async (original) => {
  const { default: sharp } = await original<{ default: (...given: unknown[]) => unknown }>();
  const ofWindows = (image: unknown, ...options: unknown[]): unknown =>
    sharp(typeof image === "string" ? placeOf(image) : image, ...options);
  return { default: Object.assign(ofWindows, sharp) };
});

const photos = "fixtures/demo/photos";

beforeAll(async () => {
  useEngine("wasm");
  await ensureEngine();
  for (const split of readdirSync(photos)) {
    for (const label of readdirSync(join(photos, split))) {
      const from = join(photos, split, label);
      mkdirSync(join(drive, "data", split, label), { recursive: true });
      for (const name of readdirSync(from).slice(0, 3))
        cpSync(join(from, name), join(drive, "data", split, label, name));
    }
  }
  cpSync("fixtures/cli/small_resnet.keras", join(drive, "models", "small resnet.keras"));
});
afterAll(() => rmSync(drive, { recursive: true }));

const runOn = (data: string, cache: string, out: string): Promise<FinetuneResult> =>
  finetune({
    model: join(data, "..", "models", "small resnet.keras"),
    ...{ data, cache, out, freeze: freezeUntil("conv3"), epochs: 1 },
  });

describe("a run under Windows's rules", () => {
  let here: FinetuneResult;
  let there: FinetuneResult;
  beforeAll(async () => {
    here = await runOn(join(drive, "data"), join(drive, "cache"), join(drive, "runs", "here"));
    followWindowsRules();
    there = await runOn("C:\\data", "C:\\cache", "C:\\runs\\there");
  });

  it("finds in the cache what a run under others has computed, and gives the same weights", () => {
    expect(here.features).toMatchObject({ extracted: 18, cached: 0 });
    expect(there.features).toMatchObject({ extracted: 0, cached: 18 });
    const losses = (run: FinetuneResult): unknown =>
      run.history.map(({ loss, val_loss }) => [loss, val_loss]);
    expect(losses(there)).toEqual(losses(here));
    expect(there.proof).toEqual(here.proof);
  });

  it("leaves the same files, and a report with the same names, on the drive that it was told", () => {
    const names = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();
    expect(names(join(drive, "runs", "there"))).toEqual(names(join(drive, "runs", "here")));
    expect(there.files[0]).toBe("C:\\runs\\there\\model.keras");
    const report = (run: string): { misclassified?: unknown; labels?: unknown } =>
      JSON.parse(readFileSync(join(drive, "runs", run, "report.json"), "utf8"));
    expect(Object.keys(report("there"))).toEqual(Object.keys(report("here")));
    const pagesOf = (run: string): string[] =>
      [...readFileSync(join(drive, "runs", run, "report.html"), "utf8").matchAll(/[\w/\\]+\.jpg/g)].map(
        ([name]) => name,
      );
    expect(pagesOf("there")).not.toEqual([]);
    expect(pagesOf("there")).toEqual(pagesOf("here"));
    expect(readFileSync(join(drive, "runs", "there", "labels.json"), "utf8")).toBe(
      readFileSync(join(drive, "runs", "here", "labels.json"), "utf8"),
    );
  });

  it("is found again below a folder, compared, and predicts", async () => {
    expect(runsBelow("C:\\runs").map(({ path }) => path)).toEqual(["C:\\runs\\here", "C:\\runs\\there"]);
    const page = await writeReport(["C:\\runs\\here", "C:\\runs\\there"], "C:\\compared.html");
    expect(page).toBe("C:\\compared.html");
    expect(readFileSync(page, "utf8")).toMatch(/>here<[\s\S]*>there</);
    const [first] = await predictFiles(await readCheckpoint("C:\\runs\\there\\model.keras"), [
      "C:\\data\\val\\grass",
    ]);
    expect(first?.path).toMatch(/^C:\\data\\val\\grass\\.*jpg$/);
  });

  it("takes labels from the names of folders", async () => {
    const data = await imageFolder("C:\\data");
    expect(data.kind === "images" && data.classNames).toEqual(["brick", "grass", "gravel"]);
  });

  it("takes the paths of a table with either slash", async () => {
    const rows = [
      "path,label",
      "train\\brick\\brick-00.jpg,brick",
      "train/grass/grass-00.jpg,grass",
      "C:\\data\\train\\gravel\\gravel-00.jpg,gravel",
    ];
    writeFileSync("C:\\data\\rows.csv", rows.join("\r\n"));
    const data = await table("C:\\data\\rows.csv", { targets: ["label"] });
    expect(data.kind === "images" && data.samples.map(({ path }) => path)).toEqual([
      "C:\\data\\train\\brick\\brick-00.jpg",
      "C:\\data\\train\\grass\\grass-00.jpg",
      "C:\\data\\train\\gravel\\gravel-00.jpg",
    ]);
  });

  it("finds the mask of each image in folders below both", async () => {
    for (const part of ["images", "masks"]) mkdirSync(join("C:\\pairs", part, "north"), { recursive: true });
    for (const number of [0, 1]) {
      const image = readFileSync(`C:\\data\\train\\brick\\brick-0${number}.jpg`);
      writeFileSync(`C:\\pairs\\images\\north\\${number}.jpg`, image);
      const { width = 1, height = 1 } = await sharp(image).metadata();
      const mask = sharp(Buffer.alloc(width * height, number), { raw: { width, height, channels: 1 } });
      writeFileSync(`C:\\pairs\\masks\\north\\${number}.png`, await mask.png().toBuffer());
    }
    const data = await maskFolder("C:\\pairs\\images", "C:\\pairs\\masks");
    expect(data.kind === "images" && data.samples.map(({ path }) => path)).toEqual([
      "C:\\pairs\\images\\north\\0.jpg",
      "C:\\pairs\\images\\north\\1.jpg",
    ]);
  });
});
