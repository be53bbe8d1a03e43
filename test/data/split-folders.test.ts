import { chmod, mkdir, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { classesInNames, imageFolder } from "../../src/data/class-folders.ts";
import { listingError } from "../../src/data/file-listing.ts";
import { splitNameOf, splitOfValue } from "../../src/data/split-names.ts";
import { folderWith } from "./answers.ts";

/** A folder with one file at each path, whose bytes are the path. */
async function filesAt(...paths: string[]): Promise<string> {
  return folderWith(Object.fromEntries(paths.map((path) => [path, path])));
}

/** Each sample as `split class path`. */
async function listing(folder: string): Promise<string[]> {
  const { samples, classNames } = await imageFolder(folder, { validationFraction: 0 });
  return samples.map(
    ({ split, label, path }) => `${split} ${classNames[label ?? -1]} ${relative(folder, path)}`,
  );
}

async function refusal(folder: string): Promise<string> {
  const error = await imageFolder(folder).then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error?.name).toBe("DataError");
  return (error?.message ?? "").replaceAll(folder, "data");
}

describe("the name of a split folder", () => {
  test.each([
    ...[
      "train",
      "Train",
      "TRAIN",
      "training",
      "Training",
      "training_set",
      "training-set",
      "Training Set",
      "TrainSet",
    ],
    ...[
      "trainset",
      "seg_train",
      "train_data",
      "traindata",
      "train_images",
      "images_train",
      "train2017",
      "train_1",
    ],
    ...["Train_Images", "trainingData", "dataset_train", "trainval"],
  ])("%s is train", (name) => {
    expect(splitNameOf(name)).toEqual({ split: "train", rest: "" });
  });

  test.each([
    "val",
    "valid",
    "validation",
    "Validation",
    "validation_set",
    "valset",
    "VAL",
    "dev",
    "val2017",
    "validate",
  ])("%s is val", (name) => {
    expect(splitNameOf(name)).toEqual({ split: "val", rest: "" });
  });

  test.each([
    "test",
    "testing",
    "Testing",
    "test_set",
    "seg_test",
    "test1",
    "TEST",
    "testset",
    "test_images",
  ])("%s is test", (name) => {
    expect(splitNameOf(name)).toEqual({ split: "test", rest: "" });
  });

  test.each([
    "cats",
    "trains",
    "trainers",
    "tester",
    "value",
    "invalid",
    "contest",
    "device",
    "restraint",
    "constructor",
  ])("%s is none", (name) => {
    expect(splitNameOf(name)).toBeUndefined();
  });

  test("has a rest where it says more, and is none where it names two splits", () => {
    expect(splitNameOf("asl_alphabet_train")).toEqual({ split: "train", rest: "asl_alphabet" });
    expect(splitNameOf("train_test")).toBeUndefined();
  });

  test("is the same as a value of a table's column, where it says no more", () => {
    expect(["Training", "valid", "TEST", "asl_train", "1", ""].map(splitOfValue)).toEqual([
      ...["train", "val", "test"],
      ...[undefined, undefined, undefined],
    ]);
  });
});

describe("splits are found", () => {
  test("in Training/ and Testing/, which are no classes", async () => {
    const folder = await filesAt("Training/glioma/1.jpg", "Training/none/2.jpg", "Testing/glioma/3.jpg");
    expect(await listing(folder)).toEqual([
      "train glioma Training/glioma/1.jpg",
      "train none Training/none/2.jpg",
      "test glioma Testing/glioma/3.jpg",
    ]);
    const held = await imageFolder(folder);
    expect(held.validation).toBe("content-hash");
  });

  test("in a folder that repeats its name, beside images to predict", async () => {
    const folder = await filesAt(
      ...["seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/forest/2.jpg"],
      ...["seg_test/seg_test/sea/3.jpg", "seg_pred/seg_pred/4.jpg"],
    );
    expect(await listing(folder)).toEqual([
      "train forest seg_train/seg_train/forest/2.jpg",
      "train sea seg_train/seg_train/sea/1.jpg",
      "test sea seg_test/seg_test/sea/3.jpg",
    ]);
  });

  test("in one folder around all, at any depth, and this is remarked", async () => {
    const folder = await filesAt(
      ...["dataset/dataset/train/a/1.jpg", "dataset/dataset/train/b/2.jpg", "dataset/dataset/val/a/3.jpg"],
      "dataset/README.md",
    );
    const dataset = await imageFolder(folder);
    expect(dataset.samples.map(({ split }) => split)).toEqual(["train", "train", "val"]);
    expect(dataset.remarks).toEqual([`${folder}: the data lies in ${join(folder, "dataset", "dataset")}`]);
    const classes = await filesAt("flowers/rose/1.jpg", "flowers/tulip/2.jpg");
    expect(await listing(classes)).toEqual([
      "train rose flowers/rose/1.jpg",
      "train tulip flowers/tulip/2.jpg",
    ]);
  });

  test("under a common name", async () => {
    const folder = await filesAt(
      ...["asl_alphabet_train/asl_alphabet_train/A/1.jpg", "asl_alphabet_train/asl_alphabet_train/B/2.jpg"],
      "asl_alphabet_test/asl_alphabet_test/A_test.jpg",
    );
    expect(await listing(folder)).toEqual([
      "train A asl_alphabet_train/asl_alphabet_train/A/1.jpg",
      "train B asl_alphabet_train/asl_alphabet_train/B/2.jpg",
    ]);
  });

  test("inside the class folders", async () => {
    const folder = await filesAt("cat/train/1.jpg", "cat/val/2.jpg", "dog/train/3.jpg", "dog/test/4.jpg");
    expect(await listing(folder)).toEqual([
      "train cat cat/train/1.jpg",
      "train dog dog/train/3.jpg",
      "val cat cat/val/2.jpg",
      "test dog dog/test/4.jpg",
    ]);
    expect(await refusal(await filesAt("cat/train/1.jpg", "cat/more/2.jpg", "dog/train/3.jpg"))).toMatch(
      /^data\/cat: expected train, val and test folders as in the other classes and nothing else, got more, train/,
    );
  });

  test("with a class in val that is spelled with other code points", async () => {
    const folder = await filesAt("train/caf\u00e9/1.jpg", "train/bar/2.jpg", "val/cafe\u0301/3.jpg");
    expect((await imageFolder(folder)).samples.map(({ label }) => label)).toEqual([0, 1, 1]);
  });

  test("beside folders without images, which are ignored", async () => {
    const folder = await filesAt("train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "annotations/a.xml");
    const { samples, ignored } = await imageFolder(folder);
    expect(samples).toHaveLength(3);
    expect(ignored).toEqual([join(folder, "annotations")]);
  });
});

describe("folders of which some look like splits and others do not", () => {
  test("are refused with both lists", async () => {
    const folder = await filesAt("train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "extra/a/4.jpg");
    expect(await refusal(folder)).toBe(
      "data: expected class folders, or split folders with class folders each, got both: train, val look like splits, extra do not. Move the others away, or, if all are classes, into data/train/.",
    );
    expect(await refusal(await filesAt("cat/1.jpg", "dog/2.jpg", "test/3.jpg"))).toMatch(
      /test look like splits, cat, dog do not/,
    );
  });

  test("are classes where one is called train and has images of its own", async () => {
    expect((await imageFolder(await filesAt("bus/1.jpg", "train/2.jpg"))).classNames).toEqual([
      "bus",
      "train",
    ]);
  });
});

describe("files that tell their classes by their names", () => {
  test("are refused with the folders that they belong into", async () => {
    const folder = await filesAt(
      "train/cat.0.jpg",
      "train/cat.1.jpg",
      "train/dog.0.jpg",
      "train/dog.1.jpg",
      "test1/1.jpg",
    );
    expect(await refusal(folder)).toBe(
      "data/train has 4 images but no class folders. Expected data/train/<class>/*.jpg. Found: data/train/cat.0.jpg, data/train/cat.1.jpg, data/train/dog.0.jpg, …. The names begin with cat, dog: move each class into a folder of its own (data/train/cat/, data/train/dog/), or list the files in a table with the columns file_name and label and pass that as the data.",
    );
  });

  test("are refused with the table that lies beside them", async () => {
    expect(await refusal(await filesAt("train/0a1.jpg", "train/3f2.jpg", "train/labels.csv"))).toMatch(
      /If data\/train\/labels\.csv has the labels, pass it as the data\.$/,
    );
  });

  test.each([
    [
      ["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"],
      ["cat", "dog"],
    ],
    [
      ["great_dane_1.jpg", "great_dane_2.jpg", "pug (1).jpg", "pug (2).jpg"],
      ["great_dane", "pug"],
    ],
    [["img1.jpg", "img2.jpg"], []],
    [["1.jpg", "2.jpg"], []],
    [["a1.jpg", "b1.jpg", "c1.jpg"], []],
  ])("%j tell %j", (files, names) => {
    expect(classesInNames(files)).toEqual(names);
  });
});

test("what systems and tools leave behind is ignored and counted", async () => {
  const folder = await filesAt(
    ...[
      "train/a/1.jpg",
      "train/b/2.jpg",
      "val/a/3.jpg",
      "train/a/.DS_Store",
      "train/a/Thumbs.db",
      "train/b/desktop.ini",
    ],
    ...[
      "train/b/.ipynb_checkpoints/2-checkpoint.jpg",
      "train/.ipynb_checkpoints/x.jpg",
      "__MACOSX/train/a/._1.jpg",
    ],
  );
  const { samples, ignored } = await imageFolder(folder);
  expect(samples).toHaveLength(3);
  expect(ignored.map((path) => relative(folder, path)).sort()).toEqual([
    "__MACOSX",
    "train/.ipynb_checkpoints",
    "train/a/.DS_Store",
    "train/a/Thumbs.db",
    "train/b/.ipynb_checkpoints",
    "train/b/desktop.ini",
  ]);
});

test("a class folder that is a link to where it lies is no class", async () => {
  const folder = await filesAt("a/1.jpg", "b/2.jpg");
  await symlink(folder, join(folder, "loop"));
  await mkdir(join(folder, "c"));
  await symlink(join(folder, "a"), join(folder, "c", "again"));
  expect((await imageFolder(folder).catch((error: Error) => error.message)) as string).toMatch(
    /class folders without images: .*\/c \(1 other files\)/,
  );
});

test("a folder that may not be read is named", async () => {
  expect(listingError("data/a", "EACCES").message).toBe(
    "data/a: cannot be listed: permission denied. Allow reading it, or move it out of the data.",
  );
  const folder = await filesAt("a/1.jpg", "b/2.jpg");
  await chmod(join(folder, "b"), 0);
  const outcome = await imageFolder(folder).catch((error: Error) => error.message);
  await chmod(join(folder, "b"), 0o700);
  // Root and Windows may list it all the same.
  if (typeof outcome === "string") expect(outcome).toMatch(/\/b: cannot be listed: permission denied/);
});
