import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { textFolder } from "../../src/data/class-folders.ts";
import { loadSamples, sampleBatches } from "../../src/data/sample-batches.ts";
import { textReader } from "../../src/data/texts.ts";
import { folderWith } from "./answers.ts";

const reader = textReader([1]);

describe("texts of files", () => {
  test("are the bytes of each in UTF-8, line ends and byte order mark too, in the order asked for", async () => {
    const texts = ["Über alles\r\n", "\uFEFFthe film\n\n", " \u{1f41d}"];
    const folder = await folderWith(Object.fromEntries(texts.map((text, index) => [`${index}.txt`, text])));
    const paths = [2, 0, 1].map((index) => join(folder, `${index}.txt`));
    expect(await loadSamples(paths, reader)).toEqual({
      dtype: "string",
      shape: [3, 1],
      data: [2, 0, 1].map((index) => texts[index]),
    });
    expect((await loadSamples(paths, textReader([]))).shape).toEqual([3]);
  });

  test("come in batches, with the hash of the bytes; what cannot be used is told of and left out", async () => {
    const folder = await folderWith({ "a.txt": "one", "b.txt": "", "c.txt": "two", "d.txt": "three" });
    const samples = ["a", "b", "c", "d"].map((name) => ({ path: join(folder, `${name}.txt`) }));
    const reasons: (string | undefined)[] = [];
    const batches = [];
    for await (const batch of sampleBatches(samples, reader, {
      batchSize: 2,
      onSample: ({ reason }) => reasons.push(reason),
    })) {
      batches.push(batch);
    }
    expect(batches.map(({ input }) => [input.shape, input.data])).toEqual([
      [
        [2, 1],
        ["one", "two"],
      ],
      [[1, 1], ["three"]],
    ]);
    expect(batches.map(({ indices }) => indices)).toEqual([[0, 2], [3]]);
    expect(batches[0]!.contentHashes[0]).toBe(createHash("sha256").update("one").digest("hex"));
    expect(reasons).toEqual([undefined, "the file is empty.", undefined, undefined]);
  });

  test.each([
    ["empty", "", "the file is empty."],
    [
      "in Latin-1",
      Buffer.from("caf\xe9", "latin1"),
      "not a text in UTF-8: got other bytes. Save it as UTF-8.",
    ],
    ["in UTF-16", Buffer.from("\uFEFFtext", "utf16le"), "not a text in UTF-8: got UTF-16. Save it as UTF-8."],
    ["an image", Buffer.from("ffd8ffe000104a464946", "hex"), "not a text: expected UTF-8, got a JPEG image."],
  ])("%s: is refused by name, with why", async (_, bytes, reason) => {
    const path = join(await folderWith({ "x.txt": bytes }), "x.txt");
    await expect(loadSamples([path], reader)).rejects.toThrow(`${path}: ${reason}`);
  });

  test("that are not there are refused by name", async () => {
    const folder = await folderWith({ "a/b.txt": "x" });
    await expect(loadSamples([join(folder, "none.txt")], reader)).rejects.toThrow("none.txt: no such file.");
    await expect(loadSamples([join(folder, "a")], reader)).rejects.toThrow("a: not a file.");
  });
});

describe("a folder of texts", () => {
  test("has its classes and splits as one of images, and takes .txt files in any case alone", async () => {
    const folder = await folderWith({
      "train/fine/1.txt": "a",
      "train/fine/deep/2.TXT": "b",
      "train/dull/3.txt": "c",
      "train/dull/notes.md": "d",
      "train/dull/4.jpg": "e",
      "val/fine/5.txt": "f",
    });
    const { kind, classNames, samples, ignored, validation } = await textFolder(folder);
    expect([kind, classNames, validation]).toEqual(["texts", ["dull", "fine"], "folder"]);
    expect(samples.map(({ split, label, path }) => `${split} ${label} ${relative(folder, path)}`)).toEqual([
      "train 0 train/dull/3.txt",
      "train 1 train/fine/1.txt",
      "train 1 train/fine/deep/2.TXT",
      "val 1 val/fine/5.txt",
    ]);
    expect(ignored.map((path) => relative(folder, path))).toEqual([
      "train/dull/4.jpg",
      "train/dull/notes.md",
    ]);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ["empty", {}, /: no texts\. Expected .*\/<class>\/\*\.txt with two classes or more\.$/],
    ["without classes", { "a.txt": "a" }, / has 1 text but no class folders\. Expected .*\*\.txt\. Found: /],
    ["of one class", { "a/1.txt": "a" }, /: Only one class folder \(a\)\. Two or more are needed\.$/],
    [
      "with a class without texts",
      { "a/1.txt": "a", "b/1.md": "b" },
      /: class folders without texts: .*b \(1 other files\)\. Add texts or remove the folders\.$/,
    ],
    [
      "of images",
      { "a/1.jpg": "a", "b/1.png": "b" },
      /: expected texts, .*\*\.txt, got 2 images\. Pass a folder of texts, or a model that takes images\.$/,
    ],
    [
      "with a class that train lacks",
      { "train/a/1.txt": "a", "train/b/1.txt": "b", "val/c/1.txt": "c" },
      /val has class "c" that train lacks/,
    ],
  ])("%s: is refused, with what is wrong and what to do", async (_, files, message) => {
    await expect(textFolder(await folderWith(files))).rejects.toThrow(message);
  });
});
