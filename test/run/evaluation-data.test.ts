import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { openEvaluationData } from "../../src/run/evaluation-data.ts";
import { folderWith } from "../data/answers.ts";

const checkpoint = await readCheckpoint(
  join(import.meta.dirname, "..", "..", "fixtures", "cli", "stand_in.h5"),
);

const files = (...paths: string[]) => folderWith(Object.fromEntries(paths.map((path) => [path, path])));
const ten = ["a", "b"].flatMap((name) => Array.from({ length: 10 }, (_, index) => `${name}/${index}.jpg`));

/** Split and number of the samples that are evaluated. */
async function evaluated(model: string, data: string, flags = {}): Promise<readonly [string, number]> {
  const { dataset, split } = await openEvaluationData(checkpoint, model, data, flags);
  if (dataset.kind === "arrays") throw new Error("arrays");
  return [split, dataset.samples.filter((sample) => split === "all" || sample.split === split).length];
}

/** A folder as a run leaves it, with these settings. */
async function runFolder(args: object): Promise<string> {
  const folder = await folderWith();
  writeFileSync(join(folder, "args.json"), JSON.stringify(args));
  return folder;
}

test("val is evaluated where there is one, another split where it is asked for", async () => {
  const data = await files(
    "train/a/1.jpg",
    "train/b/2.jpg",
    "Validation/b/3.jpg",
    "test/a/4.jpg",
    "test/b/5.jpg",
  );
  expect(await evaluated("model.h5", data)).toEqual(["val", 1]);
  expect(await evaluated("model.h5", data, { split: "test" })).toEqual(["test", 2]);
  expect(await evaluated("model.h5", data, { split: "all" })).toEqual(["all", 5]);
});

test("without val all samples are, also those of a folder without train or with one class", async () => {
  expect(await evaluated("model.h5", await files(...ten))).toEqual(["all", 20]);
  expect(await evaluated("model.h5", await files("test/a/1.jpg", "test/b/2.jpg"))).toEqual(["all", 2]);
  expect(await evaluated("model.h5", await files("a/1.jpg", "a/2.jpg"))).toEqual(["all", 2]);
});

test("a run folder evaluates what its run held out of the same data", async () => {
  const data = await files(...ten);
  expect(await evaluated(await runFolder({ data, valFraction: 0.3 }), data)).toEqual(["val", 6]);
  expect(await evaluated(await runFolder({ data, valFraction: 0 }), data)).toEqual(["all", 20]);
  expect(await evaluated(await runFolder({ data: "elsewhere", valFraction: 0.3 }), data)).toEqual([
    "all",
    20,
  ]);
  expect(await evaluated(await runFolder({ data: { sha256: "0" } }), data)).toEqual(["all", 20]);
});

test("a run folder remembers the columns of its table", async () => {
  const folder = await files(...ten.map((path) => path.replace("/", "")));
  const rows = ten.map((path, index) => `${path.replace("/", "")},${path[0]},p${index % 5}`);
  const data = join(folder, "t.csv");
  writeFileSync(data, `file_name,kind,patient\n${rows.join("\n")}\n`);
  const [split, count] = await evaluated(
    await runFolder({ data, targets: ["kind"], group: "patient", valFraction: 0.2, x: null }),
    data,
  );
  expect([split, count]).toEqual(["val", 4]);
  expect(await evaluated("model.h5", data, { targets: "kind" })).toEqual(["all", 20]);
  await expect(evaluated("model.h5", data)).rejects.toThrow(/Name the target columns: targets\./);
});
