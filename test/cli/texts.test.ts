/** Commands on models that take texts: class folders of .txt files. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/index.ts";
import { fixture, lastingScratch, photos, runCli, runFiles, scratch } from "./run-cli.ts";

const reviews = fixture("texts", "k3-reviews.keras");
const sentences = {
  fine: ["a delight from the first scene", "the film was a delight", "delight in the café", "best of all"],
  dull: ["a dull film", "dull, dull, dull again", "the last scene was dull", "never the film again"],
};

/** `{ fine: ["a text"] }` or `{ train: { fine: ["a text"] } }`, with what else lies there. */
function textsIn(classes: Readonly<Record<string, readonly string[]>>, folder = scratch()): string {
  for (const [name, texts] of Object.entries(classes)) {
    mkdirSync(join(folder, name), { recursive: true });
    texts.forEach((text, index) => {
      writeFileSync(join(folder, name, `${index}.txt`), text);
    });
  }
  return folder;
}

let data: string;
let out: string;
let run: readonly string[];

beforeAll(async () => {
  const folder = lastingScratch();
  data = textsIn(sentences, join(folder, "texts"));
  writeFileSync(join(data, "fine", "empty.txt"), "");
  writeFileSync(join(data, "dull", "latin.txt"), Buffer.from("caf\xe9", "latin1"));
  out = join(folder, "run");
  run = ["--model", reviews, "--data", data, "--freeze", "none", "--lr", "0.05", "--epochs", "8"];
});

describe("a run on texts", () => {
  test("leaves labels, the tuned model with its vocabulary, and a list of what could not be read", async () => {
    const { code, stdout, stderr } = await runCli([...run, "--out", out]);
    expect([code, stderr.match(/^\s+at /m)]).toEqual([0, null]);
    expect(stdout).toContain("2 classes, 8 + 2 texts");
    expect(stdout).toMatch(/frontier {2}vectorize {2}9 .*\/text\n/);
    expect(stdout).toContain("skipped   2 texts that cannot be read, listed in bad-texts.csv");
    expect(
      readdirSync(out)
        .filter((name) => name !== "state")
        .sort(),
    ).toEqual([...runFiles, "bad-texts.csv"].sort());
    expect(readFileSync(join(out, "labels.json"), "utf8")).toContain('"dull",\n  "fine"');
    const bad = readFileSync(join(out, "bad-texts.csv"), "utf8");
    expect(bad).toMatch(/empty\.txt,the file is empty\./);
    expect(bad).toMatch(/latin\.txt,not a text in UTF-8: got other bytes\. Save it as UTF-8\./);
    const { notes } = await readCheckpoint(join(out, "model.keras"));
    expect(notes.labels).toEqual(["dull", "fine"]);
    expect(notes.imageSize).toBeUndefined();
  });

  test("again finds what the frozen part made of each text, by its bytes, and ends with the same weights", async () => {
    const again = join(scratch(), "again");
    const moved = textsIn(sentences);
    const { code, stdout } = await runCli([...run.with(3, moved), "--out", again, "--json"]);
    expect(code).toBe(0);
    const { features } = JSON.parse(stdout) as { features: { samples: number; cached: number } };
    expect([features.samples, features.cached]).toEqual([8, 8]);
    const [one, other] = await Promise.all(
      [out, again].map((run) => readCheckpoint(join(run, "model.keras"))),
    );
    expect([...other!.weights]).toEqual([...one!.weights]);
  });

  test("gets a head for the classes of the data, and freezes all before it", async () => {
    const three = textsIn({ ...sentences, odd: ["unknown words", "Über alles", "film film film"] });
    const folder = join(scratch(), "three");
    const { code, stdout } = await runCli([
      ...["--model", reviews, "--data", three, "--epochs", "1", "--out", folder],
    ]);
    expect([code, stdout.includes("(new, 3 classes)")]).toEqual([0, true]);
    expect(stdout).toContain("first trainable layer: verdict");
    const [before, after] = await Promise.all(
      [reviews, join(folder, "model.keras")].map((p) => readCheckpoint(p)),
    );
    expect(after!.weights.get("embedding")).toEqual(before!.weights.get("embedding"));
    expect(after!.weights.get("verdict")!.map(({ shape }) => shape)).toEqual([[5, 3], [3]]);
  });

  test("with strict data ends at the first text that cannot be read", async () => {
    const { code, stderr } = await runCli([
      ...run,
      "--strict-data",
      "--no-cache",
      "--out",
      join(scratch(), "x"),
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/(latin|empty)\.txt: /);
  });

  test("keeps whole numbers whole where the cache is to round", async () => {
    const { code, stderr } = await runCli([
      ...[...run, "--cache-dtype", "float16", "--cache", scratch(), "--out", join(scratch(), "x")],
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain(
      "vectorize gives whole numbers, which float16 would change: they are kept as float32.",
    );
  });
});

describe("a tuned classifier of texts", () => {
  test("predicts files and folders with its labels", async () => {
    const { code, stdout, stderr } = await runCli(["predict", out, join(data, "fine"), "--json"]);
    expect(code).toBe(0);
    const results = JSON.parse(stdout) as { path: string; predictions: { label: string }[] }[];
    expect(results.map(({ path }) => path)).toEqual(
      [0, 1, 2, 3].map((index) => join(data, "fine", `${index}.txt`)),
    );
    expect(results[1]!.predictions.map(({ label }) => label)).toEqual(["fine", "dull"]);
    expect(stderr).toContain("empty.txt: the file is empty. Skipped.");
    const one = await runCli(["predict", out, join(data, "dull", "0.txt"), "--top", "1"]);
    expect(one.stdout).toMatch(/0\.txt\n {2}dull {2}0\.\d{4}\n$/);
  });

  test("is evaluated on the texts that its run held out", async () => {
    const { code, stdout } = await runCli(["evaluate", out, "--data", data]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^2 texts of val in .*: loss 0\.\d{4} {2}accuracy (1\.0000|0\.\d{4})/);
  });
});

describe("what does not fit is refused by name, with what to do", () => {
  test.each<[string, () => readonly string[], RegExp]>([
    [
      "images for a model that takes texts",
      () => ["--model", reviews, "--data", photos({ brick: 2, grass: 2 })],
      /: expected texts, .*\*\.txt, got 4 images\. Pass a folder of texts, or a model that takes images\./,
    ],
    [
      "texts for a model that takes images",
      () => ["--model", fixture("cli", "small_resnet.keras"), "--data", data],
      /: expected images, .*\*\.jpg, got 10 texts\. Pass a folder of images, or a model that takes texts\./,
    ],
    [
      "texts for a model that takes the numbers of words",
      () => ["--model", fixture("models", "k215-text.h5"), "--data", data],
      /: expected images or texts, got \[None,\d+\], numbers that stand for words, .* Put the TextVectorization/,
    ],
    [
      "an image to predict by a model that takes texts",
      () => ["predict", out, fixture("demo", "photos", "val", "brick", "brick-30.jpg")],
      /brick-30\.jpg: not a text: expected UTF-8, got a JPEG image\./,
    ],
    [
      "a text to predict by a model that takes images",
      () => ["predict", fixture("cli", "small_resnet.keras"), join(data, "fine", "0.txt")],
      /0\.txt: not an image: expected JPEG, .* got a file starting with "a delight fr"/,
    ],
    [
      "an empty text to predict",
      () => ["predict", out, join(data, "fine", "empty.txt")],
      /empty\.txt: the file is empty\./,
    ],
    ["nothing to predict", () => ["predict", out, scratch()], /: expected texts, got none\./],
    [
      "one class",
      () => ["--model", reviews, "--data", textsIn({ fine: sentences.fine })],
      /: Only one class folder \(fine\)/,
    ],
    ["no text at all", () => ["evaluate", out, "--data", scratch()], /: no texts\. Expected .*\*\.txt/],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await runCli(args());
    expect([code, stdout]).toEqual([1, expect.not.stringMatching(/epoch/)]);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("a size of images", async () => {
    const { code, stderr } = await runCli(["predict", out, join(data, "fine"), "--image-size", "64"]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("--image-size: expected a model that takes images"),
    ]);
  });
});

describe("a model that names its answer", () => {
  test("says the name of each text", async () => {
    const model = fixture("texts", "k3-naming.keras");
    const { outputs, inputs } = JSON.parse(readFileSync(fixture("texts", "k3-naming.json"), "utf8")) as {
      inputs: { strings: string[] }[];
      outputs: { strings: string[] }[];
    };
    const given = inputs[0]!.strings.filter(Boolean);
    const folder = textsIn({ all: given });
    const paths = given.map((_, index) => join(folder, "all", `${index}.txt`));
    const names = outputs[0]!.strings.filter((_, index) => inputs[0]!.strings[index]);
    const printed = await runCli(["predict", model, ...paths]);
    expect(printed.stdout).toBe(paths.map((path, index) => `${path}\n  ${names[index]}\n`).join(""));
    const { stdout } = await runCli(["predict", model, ...paths, "--json"]);
    expect(JSON.parse(stdout)).toEqual(paths.map((path, index) => ({ path, answer: [names[index]] })));
  });

  test("is converted, with what both files say of words that it knows", async () => {
    const target = join(scratch(), "copy.keras");
    const { code, stdout } = await runCli(["convert", fixture("texts", "k3-naming.keras"), target]);
    expect([code, stdout.includes("largest difference 0 between the predictions of both files")]).toEqual([
      0,
      true,
    ]);
  });
});
