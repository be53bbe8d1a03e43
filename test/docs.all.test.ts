/** Runs what README and docs show, in a folder with the files that they name. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { fixture, lastingScratch, runCli, scratch } from "./cli/run-cli.ts";
import { blocksOf, commandsOf, pages, pageText, wordsOf } from "./docs-blocks.ts";

/** Files and folders that the pages name: a model with ResNet-50's stages, photos of two classes, weights alone, texts. */
async function playground(): Promise<string> {
  const folder = lastingScratch();
  cpSync(fixture("cli", "stand_in.h5"), join(folder, "resnet50.h5"));
  cpSync(fixture("texts", "k3-reviews.keras"), join(folder, "reviews.keras"));
  cpSync(fixture("models", "k3-preprocessing.keras"), join(folder, "augmenting.keras"));
  for (const [label, photo] of [
    ["cat", "brick"],
    ["dog", "grass"],
  ] as const) {
    for (const [split, first, count] of [
      ["train", 0, 5],
      ["val", 3, 2],
    ] as const) {
      mkdirSync(join(folder, "photos", split, label), { recursive: true });
      for (let index = 0; index < count; index++) {
        const source = fixture("demo", "photos", split, photo, `${photo}-${first}${index}.jpg`);
        cpSync(source, join(folder, "photos", split, label, `${index + 1}.jpg`));
      }
    }
  }
  cpSync(join(folder, "photos", "val", "cat"), join(folder, "new-photos"), { recursive: true });
  cpSync(fixture("cli", "small_resnet.h5"), join(folder, "model.h5"));
  cpSync(fixture("cli", "small_resnet.keras"), join(folder, "big.keras"));
  cpSync(fixture("hub", "resnet.keras"), join(folder, "resnet.keras"));
  cpSync(join(folder, "photos", "val", "cat", "1.jpg"), join(folder, "cat.jpg"));
  const texts = {
    fine: ["a delight", "the film was a delight", "best of all"],
    dull: ["a dull film", "dull", "never again"],
  };
  for (const [label, lines] of Object.entries(texts)) {
    mkdirSync(join(folder, "texts", label), { recursive: true });
    for (const [index, text] of lines.entries())
      writeFileSync(join(folder, "texts", label, `${index}.txt`), text);
  }
  const rows = ["cat", "dog"].flatMap((label) =>
    [1, 2, 3, 4, 5].map((index) => {
      const tags = index % 2 ? "indoor|young" : "outdoor";
      return `train/${label}/${index}.jpg,${label},${index + 0.5},${tags},${index < 4 ? "train" : "val"},owner${index}`;
    }),
  );
  const header = "file_name,animal,weight,tags,part,owner";
  writeFileSync(join(folder, "photos", "animals.csv"), [header, ...rows].join("\n"));
  writeScenes(folder);
  await runCli(["convert", "resnet50.h5", "my.weights.h5"], { cwd: folder });
  return folder;
}

/** Images with masks, and a model that tells a class for each of their pixels. */
function writeScenes(folder: string): void {
  const { images, masks, models } = JSON.parse(
    gunzipSync(readFileSync(fixture("data", "masks.json.gz"))).toString(),
  ) as { images: string[]; masks: { palette: string[] }; models: { classes: { file: string } } };
  for (const [name, files] of [
    ["images", images],
    ["masks", masks.palette],
  ] as const) {
    mkdirSync(join(folder, "scenes", name), { recursive: true });
    for (const [index, file] of files.entries()) {
      writeFileSync(join(folder, "scenes", name, `${index}.png`), Buffer.from(file, "base64"));
    }
  }
  writeFileSync(join(folder, "unet.keras"), gunzipSync(Buffer.from(models.classes.file, "base64")));
}

let folder: string;
beforeAll(async () => {
  folder = await playground();
});

describe("commands", () => {
  const commands = pages.flatMap(commandsOf).filter(({ command }) => command.startsWith("finetune "));
  /** A command that several pages show runs once: its run folder exists the second time. */
  const distinct = commands.filter(
    ({ command }, index) => commands.findIndex((other) => other.command === command) === index,
  );

  test.each(distinct)("$place: $command", async ({ command }) => {
    const { code, stderr } = await runCli(wordsOf(command).slice(1), { cwd: folder });
    expect([code, stderr.match(/^\s+at /m)], stderr).toEqual([0, null]);
  });
});

test("docs/api.md is what the doc comments say", () => {
  const check = ["scripts/docs.mjs", "api", "--check"];
  const { status, stderr } = spawnSync(process.execPath, check, { cwd: fixture(".."), encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

describe("programs", () => {
  const programs = pages
    .filter((page) => page !== "docs/api.md")
    .flatMap(blocksOf)
    .filter(({ language, marks }) => language === "ts" && !marks.includes("not-run"));

  test.each(programs)("$page:$line runs", async ({ lines, line }) => {
    const file = join(scratch(), `block-${line}.ts`);
    writeFileSync(file, lines.join("\n"));
    const before = process.cwd();
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    onTestFinished(() => {
      process.chdir(before);
      log.mockRestore();
    });
    process.chdir(folder);
    await import(file);
  });
});

describe("npm run demo", () => {
  const { scripts } = JSON.parse(readFileSync(fixture("..", "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };

  test("does well on images it did not train on, and prints what README shows, numbers aside", async () => {
    const [node, script, ...args] = String(scripts["demo"]).split(" ");
    expect([node, script]).toEqual(["node", "bin/finetune.js"]);
    expect(args).toContain("--overwrite");
    const cwd = scratch();
    const inRepository = args.map((word) => (word.startsWith("fixtures/") ? fixture("..", word) : word));
    // A cache of its own: what is there already is not in the plan.
    const env = { KERAS_FINETUNE_HOME: join(cwd, "home") };
    const { code, stdout } = await runCli(inRepository, { cwd, env });
    expect(code).toBe(0);
    const shown = /<!-- npm run demo -->\n```console\n(.*?)```\n<!-- end -->/s.exec(
      pageText("README.md"),
    )?.[1];
    const words = (text: string | undefined) =>
      String(text)
        .replaceAll(/\d[\d.,]*(?: ?(?:GB|MB|kB|B|s|m|h|x|%))?/g, "0")
        .replaceAll(/ in \S*\/features/g, " in CACHE")
        .replace(/(?: {2}best)?$/gm, "")
        .replace(/^hint .*\n/m, "")
        .replaceAll(/ +/g, " ")
        .split("\n");
    expect(words(stdout)).toEqual(words(shown));
    expect(Number(/^result +accuracy (\S+) /m.exec(stdout)?.[1])).toBeGreaterThanOrEqual(0.85);
    const predicted = await runCli([
      "predict",
      join(cwd, "runs", "demo"),
      fixture("demo", "photos", "val", "grass"),
      "--json",
    ]);
    const predictions = JSON.parse(predicted.stdout) as { predictions: { label: string }[] }[];
    const grass = predictions.filter(({ predictions: [best] }) => best?.label === "grass");
    expect(grass.length / predictions.length).toBeGreaterThanOrEqual(0.85);
  });
});
