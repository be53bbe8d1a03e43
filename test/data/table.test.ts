import { join, posix, win32 } from "node:path";
import { describe, expect, test } from "vitest";
import type { ArrayDataset, FileDataset } from "../../src/data/dataset.ts";
import { table } from "../../src/data/table.ts";
import { pathsOfCell } from "../../src/data/table-paths.ts";
import type { TableOptions } from "../../src/data/table-plan.ts";
import { folderWith } from "./answers.ts";

const images = Object.fromEntries(
  ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"].map((name) => [`img/${name}`, `bytes of ${name}`]),
);

/** A folder with five images and a table `t.csv` of this text; returns the table's path. */
async function tableWith(text: string | Uint8Array, name = "t.csv", files = images): Promise<string> {
  return join(await folderWith({ ...files, [name]: text }), name);
}

async function read(text: string | Uint8Array, options: TableOptions = {}, name = "t.csv") {
  return table(await tableWith(text, name), { validationFraction: 0, ...options });
}

async function filesOf(
  text: string | Uint8Array,
  options: TableOptions = {},
  name = "t.csv",
): Promise<FileDataset> {
  const dataset = await read(text, options, name);
  if (dataset.kind === "arrays") throw new Error("arrays");
  return dataset;
}

async function arraysOf(text: string, options: TableOptions = {}, name = "t.csv"): Promise<ArrayDataset> {
  const dataset = await read(text, options, name);
  if (dataset.kind !== "arrays") throw new Error("files");
  return dataset;
}

async function refusal(
  text: string | Uint8Array,
  options: TableOptions = {},
  name = "t.csv",
): Promise<string> {
  const path = await tableWith(text, name);
  const error = await table(path, options).then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error?.name).toBe("DataError");
  return (error?.message ?? "").replaceAll(path, name).replaceAll(join(path, ".."), "data");
}

describe("a table of files", () => {
  test("has a sample a row, with the classes of its label column in code-point order", async () => {
    const path = await tableWith("file_name,label\nimg/b.jpg,dog\nimg/a.jpg,cat\nimg/c.jpg,dog\n");
    const dataset = await table(path, { validationFraction: 0 });
    expect(dataset).toEqual({
      kind: "images",
      classNames: ["cat", "dog"],
      samples: [
        { path: join(path, "../img/b.jpg"), split: "train", label: 1 },
        { path: join(path, "../img/a.jpg"), split: "train", label: 0 },
        { path: join(path, "../img/c.jpg"), split: "train", label: 1 },
      ],
    });
  });

  test.each(["path", "filename", "image", "File Name", "IMAGE"])(
    "finds them in a column %s",
    async (name) => {
      expect((await filesOf(`label,${name}\nx,img/a.jpg\ny,img/b.jpg\n`)).samples).toHaveLength(2);
    },
  );

  test("finds them in the column that x names, and the target in the only one left", async () => {
    const dataset = await filesOf("id,species\nimg/a.jpg,x\nimg/b.jpg,y\n", { x: "id" });
    expect(dataset.classNames).toEqual(["x", "y"]);
  });

  test("finds them in a subfolder and without their extension, and says so", async () => {
    const path = await tableWith("image,breed\na,x\nb,y\n");
    const dataset = (await table(path, { targets: "breed", validationFraction: 0 })) as FileDataset;
    expect(dataset.samples.map((sample) => sample.path)).toEqual([
      join(path, "../img/a.jpg"),
      join(path, "../img/b.jpg"),
    ]);
    expect(dataset.remarks).toEqual([`${path}: files lie in ${join(path, "../img")}`]);
  });

  test("reads numbers, a vector, labels and classes beside each other", async () => {
    const text =
      "path,price,box,tags,color\nimg/a.jpg,1.5,1 2 3,x|y,red\nimg/b.jpg,-2e1,4 5 6,,blue\nimg/c.jpg,3,7 8 9.5,y,red\n";
    const dataset = await filesOf(text, { targets: ["price", "box", "tags", "color"] });
    expect(dataset.classNames).toEqual([]);
    expect(dataset.targetColumns).toEqual([
      { name: "price", kind: "numbers", whole: false },
      { name: "box", kind: "vector", size: 3, whole: false },
      { name: "tags", kind: "labels", classNames: ["x", "y"] },
      { name: "color", kind: "classes", classNames: ["blue", "red"] },
    ]);
    expect(dataset.samples.map(({ targets }) => targets)).toEqual([
      { price: 1.5, box: [1, 2, 3], tags: [0, 1], color: 1 },
      { price: -20, box: [4, 5, 6], tags: [], color: 0 },
      { price: 3, box: [7, 8, 9.5], tags: [1], color: 1 },
    ]);
  });

  test("leaves numbers as numbers, and reads them as classes in their order where the task says so", async () => {
    const text = "path,stars\nimg/a.jpg,10\nimg/b.jpg,9\nimg/c.jpg,1\n";
    expect((await filesOf(text, { targets: "stars" })).targetColumns).toEqual([
      { name: "stars", kind: "numbers", whole: true },
    ]);
    const classes = await filesOf(text, { targets: "stars", task: "single-label" });
    expect(classes.classNames).toEqual(["1", "9", "10"]);
    expect(classes.samples.map(({ label }) => label)).toEqual([2, 1, 0]);
    const labels = await filesOf(text, { targets: "stars", task: "multi-label" });
    expect(labels.samples[0]?.targets).toEqual({ stars: [2] });
  });

  test("has splits, weights and groups", async () => {
    const text =
      "path,label,split,w,patient\nimg/a.jpg,x,Training,2,p1\nimg/b.jpg,y,train,0.5,p1\nimg/c.jpg,x,valid,1,p2\nimg/d.jpg,y,TEST,1,p3\n";
    const { samples } = await filesOf(text, { sampleWeight: "w", group: "patient" });
    expect(samples.map(({ split, weight, group }) => [split, weight, group])).toEqual([
      ["train", 2, "p1"],
      ["train", 0.5, "p1"],
      ["val", 1, "p2"],
      ["test", 1, "p3"],
    ]);
  });

  test("holds out whole groups of train where no row is in val", async () => {
    const rows = ["a", "b", "c", "d", "e"].map(
      (name, index) => `img/${name}.jpg,${index % 2 ? "x" : "y"},g${index % 3}`,
    );
    const path = await tableWith(`path,label,g\n${rows.join("\n")}\n`);
    const { samples } = (await table(path, {
      group: "g",
      targets: "label",
      validationFraction: 0.4,
    })) as FileDataset;
    const sides = new Map(samples.map(({ group, split }) => [group, split]));
    expect(samples.every(({ group, split }) => sides.get(group) === split)).toBe(true);
    expect(new Set(sides.values())).toEqual(new Set(["train", "val"]));
  });

  test("warns of files that do not exist, and of one in two classes", async () => {
    const path = await tableWith("path,label\nimg/a.jpg,x\nimg/none.jpg,y\nimg/a.jpg,y\n");
    const { warnings = [] } = await table(path, { validationFraction: 0 });
    expect(warnings.map((warning) => warning.replaceAll(join(path, ".."), "data"))).toEqual([
      "data/t.csv: 1 of 3 files do not exist: data/img/none.jpg (line 3).",
      "data/t.csv: 1 rows name a file again with another class: data/img/a.jpg (lines 2 and 4). For samples of several labels write one row, with | between them.",
    ]);
  });
});

describe("the text of a table", () => {
  const rows = (dataset: FileDataset) => dataset.samples.map(({ label }) => dataset.classNames[label ?? -1]);
  const plain = "path,label\r\nimg/a.jpg,K\u00e4fer\r\nimg/b.jpg,\u0411\u0443\u043a\r\n";

  test.each([
    ["UTF-8 with a byte order mark", Buffer.from(`\ufeff${plain}`)],
    ["UTF-16", Buffer.from(`\ufeff${plain}`, "utf16le")],
    ["big-endian UTF-16", Buffer.from(`\ufeff${plain}`, "utf16le").swap16()],
  ])("may be %s", async (_, bytes) => {
    expect(rows(await filesOf(bytes))).toEqual(["K\u00e4fer", "\u0411\u0443\u043a"]);
  });

  test("is Windows-1252 where it is no UTF-8, with a warning", async () => {
    const dataset = await filesOf(Buffer.from("path;label\nimg/a.jpg;K\u00e4fer\nimg/b.jpg;x\n", "latin1"));
    expect(rows(dataset)).toEqual(["K\u00e4fer", "x"]);
    expect(dataset.warnings).toEqual([
      expect.stringMatching(/expected UTF-8, got other bytes, which are read as Windows-1252\.$/),
    ]);
  });

  test("may have semicolons and decimal commas, or tabs", async () => {
    const german = await filesOf('path;preis\nimg/a.jpg;1,5\nimg/b.jpg;"-0,25"\nimg/c.jpg;3\n', {
      targets: "preis",
    });
    expect(german.samples.map(({ targets }) => targets)).toEqual([
      { preis: 1.5 },
      { preis: -0.25 },
      { preis: 3 },
    ]);
    const commas = await filesOf("path;preis\nimg/a.jpg;9,560\nimg/b.jpg;0,566\n", { targets: "preis" });
    expect(commas.samples.map(({ targets }) => targets)).toEqual([{ preis: 9.56 }, { preis: 0.566 }]);
    const tabs = await filesOf("path\tlabel\nimg/a.jpg\ta, b\nimg/b.jpg\tc\n", {}, "t.tsv");
    expect(rows(tabs)).toEqual(["a, b", "c"]);
  });

  test("may have quoted separators, quotes and line ends", async () => {
    const dataset = await filesOf('path,label\nimg/a.jpg,"one, ""two""\nthree"\n\nimg/b.jpg, x \n');
    expect(rows(dataset)).toEqual(['one, "two"\nthree', "x"]);
  });

  test("may be JSON, one object per line", async () => {
    const lines = [
      { path: "img/a.jpg", tags: ["x", "y"], price: 1, box: [1, 2] },
      { path: "img/b.jpg", tags: [], price: 2.5, box: [3, 4] },
    ];
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    const dataset = await filesOf(text, { targets: ["tags", "price", "box"] }, "t.jsonl");
    expect(dataset.samples.map(({ targets }) => targets)).toEqual([
      { tags: [0, 1], price: 1, box: [1, 2] },
      { tags: [], price: 2.5, box: [3, 4] },
    ]);
  });
});

describe("a table of numbers or texts is arrays", () => {
  test("with inputs of the columns that x names, and targets by column", async () => {
    const text = "age,size,split,price,sort\n1,2,train,0.5,a\n3,4.5,val,1,b\n5,6,train,2,b\n7,8,test,3,a\n";
    const dataset = await arraysOf(text, { x: ["age", "size"], targets: ["price", "sort"] });
    expect(dataset.inputs).toEqual({ dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 5, 6) });
    expect(dataset.targets).toEqual({
      price: { dtype: "float32", shape: [2], data: Float32Array.of(0.5, 2) },
      sort: { dtype: "int32", shape: [2], data: Int32Array.of(0, 1) },
    });
    expect(dataset.validation?.inputs).toEqual({
      dtype: "float32",
      shape: [1, 2],
      data: Float32Array.of(3, 4.5),
    });
    expect(dataset.test?.targets).toMatchObject({ price: { data: Float32Array.of(3) } });
    expect(dataset.targetColumns?.map(({ kind }) => kind)).toEqual(["numbers", "classes"]);
  });

  test("with several columns of numbers as the values of a model's only output", async () => {
    const text = "a,u,v\n1,2,3.5\n4,5,6\n";
    const dataset = await arraysOf(text, { x: "a", targets: ["u", "v"], outputs: 1 });
    expect(dataset.targets).toEqual({ dtype: "float32", shape: [2, 2], data: Float32Array.of(2, 3.5, 5, 6) });
    expect(dataset.targetColumns).toEqual([
      { name: "u, v", kind: "vector", size: 2, whole: false, parts: ["u", "v"] },
    ]);
  });

  test("with columns by a pattern, and a column that lists numbers", async () => {
    const wide = await arraysOf("label,p1,p2,p3\nx,1,2,3\ny,4,5,6\n", { x: "p*" });
    expect(wide.inputs).toEqual({ dtype: "float32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
    expect(wide.classNames).toEqual(["x", "y"]);
    const listed = await arraysOf('emotion,pixels\n0,"70 80 82"\n3,"1 2 3"\n', { x: "pixels" });
    expect(listed.inputs).toEqual({
      dtype: "float32",
      shape: [2, 3],
      data: Float32Array.of(70, 80, 82, 1, 2, 3),
    });
    expect(listed.targets).toEqual({ dtype: "float32", shape: [2], data: Float32Array.of(0, 3) });
  });

  test("with texts of a column text, or of one that x names", async () => {
    const text = await arraysOf("label,text\npos,so good\nneg,so bad\n");
    expect(text.inputs).toEqual({ dtype: "string", shape: [2], data: ["so good", "so bad"] });
    const review = await arraysOf("sentiment,review\npos,so good\nneg,so bad\n", { x: "review" });
    expect(review.inputs).toEqual(text.inputs);
  });

  test("with weights, and a fifth of each class held out by what the rows hold", async () => {
    const rows = Array.from({ length: 20 }, (_, index) => `${index},${index % 2 ? "x" : "y"},${index}`);
    const dataset = (await table(await tableWith(`a,label,w\n${rows.join("\n")}\n`), {
      x: "a",
      targets: "label",
      sampleWeight: "w",
    })) as ArrayDataset;
    expect(dataset.validation?.inputs).toMatchObject({ shape: [4, 1] });
    const [inputs, weights] = [dataset.inputs, dataset.sampleWeights] as unknown as { data: Float32Array }[];
    expect([...(weights?.data ?? [])]).toEqual([...(inputs?.data ?? [])]);
    const labels = dataset.validation?.targets as unknown as { data: Int32Array } | undefined;
    expect([...(labels?.data ?? [])].sort()).toEqual([0, 0, 1, 1]);
  });

  test("of more rows than one piece of memory holds", async () => {
    const rows = Array.from({ length: 3000 }, (_, index) => `${index},${index + 0.5},${index % 7}`);
    const dataset = await arraysOf(`a,b,y\n${rows.join("\n")}\n`, { x: ["a", "b"], targets: "y" });
    const { shape, data } = dataset.inputs as unknown as { shape: number[]; data: Float32Array };
    expect(shape).toEqual([3000, 2]);
    expect([...data.subarray(5990)]).toEqual([
      2995, 2995.5, 2996, 2996.5, 2997, 2997.5, 2998, 2998.5, 2999, 2999.5,
    ]);
  });
});

describe("a table is refused by its file and line,", () => {
  test.each<[string, string, TableOptions, string]>([
    [
      "a column that does not exist",
      "path,lable\nimg/a.jpg,x\n",
      { targets: "label" },
      't.csv: no column "label". Did you mean lable? The columns are path, lable.',
    ],
    [
      "no column of files",
      "photo,label\nimg/a.jpg,x\n",
      {},
      "t.csv: expected a column file_name, path, filename, image or text, got photo, label. Name the input columns: x.",
    ],
    [
      "several columns that may be the target",
      "path,a,b\nimg/a.jpg,1,2\n",
      {},
      "t.csv: expected a column label, labels, class, target, targets, category, got a, b. Name the target columns: targets.",
    ],
    [
      "a target that is an input",
      "path,a\nimg/a.jpg,1\n",
      { x: "a", targets: "a" },
      't.csv: column "a": expected one purpose, got a target that is also an input, a weight, a split or a group.',
    ],
    [
      "an empty class",
      "path,label\nimg/a.jpg,x\nimg/b.jpg,\n",
      {},
      't.csv, line 3: column "label": expected a text, got an empty cell. Fill it in or remove the row.',
    ],
    [
      "an empty number",
      "path,n\nimg/a.jpg,1\nimg/b.jpg,\n",
      {},
      't.csv, line 3: column "n": expected a number, got an empty cell. Correct it or remove the row.',
    ],
    [
      "a number that is not finite",
      "path,n\nimg/a.jpg,1\nimg/b.jpg,NaN\n",
      {},
      't.csv, line 3: column "n": expected a finite number, got NaN.',
    ],
    [
      "an infinite input",
      "a,b,y\n1,2,3\n1,-inf,3\n",
      { x: ["a", "b"] },
      't.csv, line 3: column "b": expected a finite number, got -Infinity.',
    ],
    [
      "a text among numbers",
      "path,n\nimg/a.jpg,1\nimg/b.jpg,n/a\nimg/c.jpg,2\n",
      {},
      't.csv, line 3: column "n": expected a number, as in 2 of 3 rows, got "n/a". Correct it, remove the row, or say that the column names classes: task: "single-label".',
    ],
    [
      "a text where the task wants numbers",
      "path,n\nimg/a.jpg,x\n",
      { task: "regression" },
      't.csv, line 2: column "n": expected a number, got "x". Correct it or remove the row.',
    ],
    [
      "a number that may be of decimals or of thousands",
      'path,n\nimg/a.jpg,"9,560"\nimg/b.jpg,"1,200"\n',
      {},
      't.csv, line 2: column "n": expected a number with a decimal point and no separator of thousands, got "9,560".',
    ],
    [
      "a number with points of thousands",
      "path;n\nimg/a.jpg;1.200,5\nimg/b.jpg;0,5\n",
      {},
      't.csv, line 2: column "n": expected a number with a decimal point and no separator of thousands, got "1.200,5".',
    ],
    [
      "a decimal point among decimal commas",
      "path;n\nimg/a.jpg;1,5\nimg/b.jpg;1.200\n",
      {},
      't.csv, line 3: column "n": expected a decimal comma as in line 2, got "1.200".',
    ],
    [
      "vectors of two lengths",
      'path,v\nimg/a.jpg,"1 2 3"\nimg/b.jpg,"1 2"\n',
      {},
      't.csv, line 3: column "v": expected 3 numbers, as in the first row, got 2.',
    ],
    [
      "a cell too many",
      "path,label\nimg/a.jpg,x\nimg/b.jpg,y,z\n",
      {},
      "t.csv, line 3: expected 2 cells as in the first line, got 3. Quote cells that hold the separator.",
    ],
    [
      "a quote that does not close",
      'path,label\nimg/a.jpg,"x\n',
      {},
      't.csv, line 2: expected quotes around a whole cell, and "" for one inside, got others.',
    ],
    [
      "an unknown split",
      "path,label,split\nimg/a.jpg,x,train\nimg/b.jpg,y,holdme\n",
      {},
      't.csv, line 3: column "split": expected train, val or test, got "holdme".',
    ],
    [
      "no row of train",
      "path,label,split\nimg/a.jpg,x,val\n",
      {},
      "t.csv: expected rows of train, got none.",
    ],
    [
      "a class that train lacks",
      "path,label,split\nimg/a.jpg,horse,train\nimg/b.jpg,horsse,val\n",
      {},
      't.csv, line 3: column "label": "horsse" is no class of the rows of train. Did you mean horse?',
    ],
    [
      "a negative weight",
      "path,label,w\nimg/a.jpg,x,-1\n",
      { sampleWeight: "w", targets: "label" },
      't.csv, line 2: column "w": expected a sample weight of 0 or more, got -1.',
    ],
    [
      "files of which none exists",
      "path,label\nx.jpg,x\ny.jpg,y\n",
      {},
      't.csv: column "path": expected files, got none: data/x.jpg does not exist. Paths are relative to the table.',
    ],
    ["no rows", "path,label\n", {}, "t.csv: expected rows, got none."],
    ["nothing", "", {}, "t.csv: expected a first line of column names and rows, got nothing."],
    [
      "two columns of one name",
      "path,a,a\nimg/a.jpg,1,2\n",
      {},
      't.csv: two columns are called "a". Rename one.',
    ],
  ])("%s", async (_, text, options, message) => {
    expect(await refusal(text, options)).toBe(message);
  });

  test.each([
    [
      "a line that is no JSON",
      '{"path":"img/a.jpg","label":"x"}\n{"path"\n',
      't.jsonl, line 2: expected one JSON object per line, got "{\\"path\\"".',
    ],
    ["a list", "[1]\n", 't.jsonl, line 1: expected a JSON object, {"column": value, …}, got "[1]".'],
    ["NaN", '{"path":"img/a.jpg","n":NaN}\n', "t.jsonl, line 1: expected finite numbers, got NaN."],
    [
      "a value that a row lacks",
      '{"path":"img/a.jpg","n":1}\n{"path":"img/b.jpg"}\n',
      't.jsonl, line 2: column "n": expected a number, got an empty cell. Correct it or remove the row.',
    ],
  ])("%s", async (_, text, message) => {
    expect(await refusal(text, {}, "t.jsonl")).toBe(message);
  });

  test("a name in two subfolders", async () => {
    const path = await tableWith("path,label\na.jpg,x\n", "t.csv", { "one/a.jpg": "1", "two/a.jpg": "2" });
    await expect(table(path)).rejects.toThrow(
      /line 2: column "path": expected one file, got .*one\/a\.jpg and .*two\/a\.jpg\./,
    );
  });

  test("a file that does not exist, and a folder", async () => {
    const folder = await folderWith();
    await expect(table(join(folder, "none.csv"))).rejects.toThrow(/none\.csv: no such file\. Pass a table/);
    await expect(table(folder)).rejects.toThrow(/expected a table, got a folder/);
  });
});

describe("a path in a table", () => {
  test("starts at the table's folder, under the rules of each system", () => {
    expect(pathsOfCell("/data", "cats/1.jpg", posix)).toEqual(["/data/cats/1.jpg"]);
    expect(pathsOfCell("C:\\data", "cats/1.jpg", win32)).toEqual(["C:\\data\\cats\\1.jpg"]);
    expect(pathsOfCell("C:\\data", "..\\cats\\1.jpg", win32)).toEqual(["C:\\cats\\1.jpg"]);
  });

  test("that was written on Windows is found elsewhere too", () => {
    expect(pathsOfCell("/data", "cats\\1.jpg", posix)).toEqual(["/data/cats\\1.jpg", "/data/cats/1.jpg"]);
  });

  test("may be absolute", () => {
    expect(pathsOfCell("/data", "/photos/1.jpg", posix)).toEqual(["/photos/1.jpg"]);
    expect(pathsOfCell("C:\\data", "D:\\photos\\1.jpg", win32)).toEqual(["D:\\photos\\1.jpg"]);
    expect(pathsOfCell("C:\\data", "\\\\server\\photos\\1.jpg", win32)).toEqual([
      "\\\\server\\photos\\1.jpg",
    ]);
  });

  test("without an extension may be that of an image", () => {
    expect(pathsOfCell("/data", "000bec18", posix).slice(0, 3)).toEqual([
      "/data/000bec18",
      "/data/000bec18.jpg",
      "/data/000bec18.png",
    ]);
  });
});
