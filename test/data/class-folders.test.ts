import { createHash } from "node:crypto";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { type ImageFolder, imageFolder } from "../../src/data/class-folders.ts";
import { folderWith } from "./answers.ts";

/** Split, label and path of each sample, as text. */
function listing({ directory, samples }: ImageFolder): string[] {
  return samples.map(({ split, label, path }) => `${split} ${label} ${relative(directory, path)}`);
}

function pictures(...paths: string[]): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, `bytes of ${path}`]));
}

describe("a folder of class folders", () => {
  test("has its classes in code-point order, digits and capitals first", async () => {
    const names = ["b", "a", "B", "10", "9", "é", "\u{1f41d}", "～"];
    const folder = await folderWith(pictures(...names.map((name) => `${name}/1.jpg`)));
    const { classNames } = await imageFolder(folder, { validationFraction: 0 });
    expect(classNames).toEqual(["10", "9", "B", "a", "b", "é", "～", "\u{1f41d}"]);
  });

  test("gives every image by its extension, in any case, at any depth, and decodes nothing", async () => {
    const folder = await folderWith(
      pictures(
        "a/1.JPG",
        "a/2.jfif",
        "a/deep/er/3.webp",
        "a/4.tiff",
        "a/5.heic",
        "b/6.png",
        "b/7.Bmp",
        "b/8.gif",
      ),
    );
    expect(listing(await imageFolder(folder, { validationFraction: 0 }))).toEqual([
      "train 0 a/1.JPG",
      "train 0 a/2.jfif",
      "train 0 a/4.tiff",
      "train 0 a/5.heic",
      "train 0 a/deep/er/3.webp",
      "train 1 b/6.png",
      "train 1 b/7.Bmp",
      "train 1 b/8.gif",
    ]);
  });

  test("ignores and lists hidden files, other files, and images outside the classes", async () => {
    const folder = await folderWith(
      pictures(
        "a/1.jpg",
        "a/._1.jpg",
        "a/Thumbs.db",
        "a/.cache/2.jpg",
        "b/3.jpg",
        "b/notes.txt",
        "loose.jpg",
        ".git/x.jpg",
      ),
    );
    await mkdir(join(folder, "__MACOSX"));
    const dataset = await imageFolder(folder, { validationFraction: 0 });
    expect(listing(dataset)).toEqual(["train 0 a/1.jpg", "train 1 b/3.jpg"]);
    expect(dataset.ignored.map((path) => relative(folder, path))).toEqual([
      "loose.jpg",
      ".git",
      "__MACOSX",
      "a/._1.jpg",
      "a/.cache",
      "a/Thumbs.db",
      "b/notes.txt",
    ]);
  });

  test("takes links to files and class folders that are links, and follows no link further in", async () => {
    const elsewhere = await folderWith(pictures("1.jpg", "deeper/2.jpg"));
    const folder = await folderWith(pictures("a/own.jpg"));
    await symlink(join(elsewhere, "1.jpg"), join(folder, "a", "linked.jpg"));
    await symlink(elsewhere, join(folder, "a", "linked-folder"));
    await symlink(join(folder, "a"), join(folder, "a", "loop"));
    await symlink("nowhere", join(folder, "a", "dangling.jpg"));
    await symlink(elsewhere, join(folder, "b"));
    const dataset = await imageFolder(folder, { validationFraction: 0 });
    expect(listing(dataset)).toEqual([
      "train 0 a/linked.jpg",
      "train 0 a/own.jpg",
      "train 1 b/1.jpg",
      "train 1 b/deeper/2.jpg",
    ]);
    expect(dataset.ignored).toHaveLength(3);
  });

  test("may have a class called train", async () => {
    const folder = await folderWith(pictures("bus/1.jpg", "train/2.jpg", "train/steam/3.jpg"));
    expect((await imageFolder(folder)).classNames).toEqual(["bus", "train"]);
  });
});

describe("without a val folder", () => {
  const tenEach = pictures(
    ...["a", "b"].flatMap((name) => [...Array(10).keys()].map((index) => `${name}/${index}.jpg`)),
  );
  const held = (dataset: ImageFolder) => listing(dataset).filter((line) => line.startsWith("val"));

  test("a fifth of each class is held out", async () => {
    const dataset = await imageFolder(await folderWith(tenEach));
    expect(dataset.validation).toBe("content-hash");
    expect(held(dataset)).toHaveLength(4);
    expect(dataset.samples.filter(({ label, split }) => label === 0 && split === "val")).toHaveLength(2);
  });

  test("which ones depends on their bytes alone: not on names, and others are added without a change", async () => {
    const renamed = Object.entries(tenEach).map(([path, bytes]) => [
      path.replace(/(\d)\.jpg/, "x$1.png"),
      bytes,
    ]);
    const [before, after] = await Promise.all(
      [tenEach, Object.fromEntries(renamed)].map(async (files) =>
        held(await imageFolder(await folderWith(files))),
      ),
    );
    expect(after!.map((line) => line.replace("x", "").replace("png", "jpg"))).toEqual(before);
    const more = { ...tenEach, "a/new.jpg": "new", "b/new.jpg": "also new" };
    const grown = held(await imageFolder(await folderWith(more)));
    expect(before!.filter((line) => !grown.includes(line)).length).toBeLessThanOrEqual(2);
  });

  test("it is at least one a class, and at least one stays to train", async () => {
    const dataset = await imageFolder(await folderWith(pictures("a/1.jpg", "a/2.jpg", "b/3.jpg")));
    expect(
      dataset.samples
        .filter(({ label }) => label === 0)
        .map(({ split }) => split)
        .sort(),
    ).toEqual(["train", "val"]);
    expect(dataset.samples.filter(({ label }) => label === 1).map(({ split }) => split)).toEqual(["train"]);
  });

  test("copies of one image stay on one side", async () => {
    const copies = Object.fromEntries(
      [...Array(9).keys()].map((index) => [`a/${index}.jpg`, `bytes ${index % 3}`]),
    );
    const dataset = await imageFolder(await folderWith({ ...copies, ...pictures("b/1.jpg", "b/2.jpg") }));
    const sides = dataset.samples.filter(({ label }) => label === 0).map(({ split }) => split);
    for (const first of [0, 1, 2]) {
      expect(new Set([sides[first], sides[first + 3], sides[first + 6]]).size).toBe(1);
    }
    expect(new Set(sides)).toEqual(new Set(["train", "val"]));
  });

  test("an index of hashes spares reading the files", async () => {
    const asked: string[] = [];
    const hashFile = async (path: string) => {
      asked.push(path);
      return createHash("sha256").update(path).digest("hex");
    };
    const dataset = await imageFolder(await folderWith(tenEach), { hashFile });
    expect(asked.sort()).toEqual(dataset.samples.map(({ path }) => path).sort());
  });

  test("an image that cannot be read stays in train, to be counted when it is decoded", async () => {
    const folder = await folderWith(tenEach);
    const unreadable = join(folder, "a", "3.jpg");
    const hashFile = async (path: string) => {
      if (path === unreadable) throw new Error("EACCES");
      return createHash("sha256").update(path).digest("hex");
    };
    const dataset = await imageFolder(folder, { hashFile });
    expect(dataset.samples.find(({ path }) => path === unreadable)!.split).toBe("train");
  });
});

describe("a folder with train, val and test", () => {
  test("keeps its splits, and val may lack classes", async () => {
    const folder = await folderWith(
      pictures("train/a/1.jpg", "train/b/2.jpg", "val/b/3.jpg", "test/a/4.jpg"),
    );
    const dataset = await imageFolder(folder);
    expect(dataset.validation).toBe("folder");
    expect(dataset.classNames).toEqual(["a", "b"]);
    expect(listing(dataset)).toEqual([
      "train 0 train/a/1.jpg",
      "train 1 train/b/2.jpg",
      "val 1 val/b/3.jpg",
      "test 0 test/a/4.jpg",
    ]);
  });

  test.each(["val", "valid", "validation", "Val"])("knows val as %s", async (name) => {
    const folder = await folderWith(pictures("train/a/1.jpg", "train/b/2.jpg", `${name}/b/3.jpg`));
    expect((await imageFolder(folder)).samples.at(-1)).toMatchObject({ split: "val", label: 1 });
  });

  test("holds out part of train where there is no val, and never touches test", async () => {
    const train = ["a", "b"].flatMap((name) => [1, 2, 3, 4, 5].map((index) => `train/${name}/${index}.jpg`));
    const dataset = await imageFolder(await folderWith(pictures(...train, "test/a/9.jpg")));
    const splits = dataset.samples.map(({ split }) => split);
    expect(splits.filter((split) => split === "val")).toHaveLength(2);
    expect(splits.at(-1)).toBe("test");
  });

  test("passes over a test folder without classes, as competitions ship it", async () => {
    const folder = await folderWith(pictures("train/a/1.jpg", "train/b/2.jpg", "test/3.jpg"));
    const dataset = await imageFolder(folder, { validationFraction: 0 });
    expect(dataset.samples).toHaveLength(2);
    expect(dataset.ignored).toEqual([join(folder, "test", "3.jpg")]);
  });
});

describe("what is no such folder is refused, with what is wrong and what to do:", () => {
  const refusal = async (files: Record<string, string>, ...folders: string[]) => {
    const folder = await folderWith(files);
    for (const path of folders) await mkdir(join(folder, path), { recursive: true });
    const error = await imageFolder(folder).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.name).toBe("DataError");
    return error!.message.replaceAll(folder, "data");
  };

  test("nothing there", async () => {
    const folder = await folderWith();
    await expect(imageFolder(join(folder, "none"))).rejects.toThrow(
      `${join(folder, "none")}: no such folder. Pass a folder with one subfolder per class.`,
    );
  });

  test("a file", async () => {
    const folder = await folderWith(pictures("data.zip"));
    await expect(imageFolder(join(folder, "data.zip"))).rejects.toThrow(/data\.zip: not a folder\./);
  });

  test("empty", async () => {
    expect(await refusal({})).toBe("data: no images. Expected data/<class>/*.jpg with two classes or more.");
  });

  test("images but no class folders", async () => {
    expect(await refusal(pictures("a.jpg", "b.jpg", "c.jpg", "d.jpg"))).toBe(
      "data has 4 images but no class folders. Expected data/<class>/*.jpg. Found: data/a.jpg, data/b.jpg, data/c.jpg, …",
    );
    expect(await refusal(pictures("train/a.jpg", "val/b.jpg"))).toMatch(
      /^data\/train has 1 image but no class folders/,
    );
  });

  test("one class", async () => {
    expect(await refusal(pictures("cats/1.jpg"))).toBe(
      "data: Only one class folder (cats). Two or more are needed.",
    );
  });

  test("a class without images", async () => {
    expect(await refusal(pictures("cats/1.jpg", "dogs/2.jpg", "notes/a.txt"), "birds")).toBe(
      "data: class folders without images: data/birds (0 other files), data/notes (1 other files). Add images or remove the folders.",
    );
  });

  test("a class in val that train lacks", async () => {
    expect(await refusal(pictures("train/a/1.jpg", "train/b/2.jpg", "val/wolf/3.jpg"))).toBe(
      'data/val: val has class "wolf" that train lacks. Classes: a, b.',
    );
  });

  test("val without images, val without train, two vals", async () => {
    expect(await refusal(pictures("train/a/1.jpg", "train/b/2.jpg"), "val/a")).toMatch(
      /^data\/val: no images/,
    );
    expect(await refusal(pictures("val/a/1.jpg", "test/b/2.jpg"))).toMatch(
      /has val and test but no train folder/,
    );
    expect(await refusal(pictures("train/a/1.jpg", "val/a/2.jpg", "valid/a/3.jpg"))).toMatch(
      /two val folders: val and valid/,
    );
  });
});

test("a thousand images are listed in one call", async () => {
  const folder = await folderWith(pictures("a/seed.jpg", "b/seed.jpg"));
  const names = [...Array(1000).keys()].map((index) => join(folder, index % 2 ? "a" : "b", `${index}.jpg`));
  await Promise.all(names.map((path) => writeFile(path, path)));
  const dataset = await imageFolder(folder);
  expect(dataset.samples).toHaveLength(1002);
  expect(dataset.samples.filter(({ split }) => split === "val")).toHaveLength(200);
});
