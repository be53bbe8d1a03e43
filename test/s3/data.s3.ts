import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { imageFolder } from "../../src/data/class-folders.ts";
import type { FileDataset } from "../../src/data/dataset.ts";
import { readFileBytes } from "../../src/data/file-bytes.ts";
import { imageReader } from "../../src/data/images.ts";
import { maskFolder } from "../../src/data/mask-folder.ts";
import { sampleBatches } from "../../src/data/sample-batches.ts";
import { table } from "../../src/data/table.ts";
import { bucketSegments } from "../../src/features/cache/bucket-segments.ts";
import { openFileIndex } from "../../src/features/cache/file-index.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predictFiles } from "../../src/inference/predict-files.ts";
import { openBucket } from "../../src/storage/s3-store.ts";
import { fixture } from "../cli/run-cli.ts";
import { startProxy } from "./faulty-proxy.ts";
import { type S3Server, serverProgram, startS3 } from "./s3-server.ts";

let server: S3Server;
let bucket: string;
const local = mkdtempSync(join(tmpdir(), "s3-data-"));

beforeAll(async () => {
  if (serverProgram) server = await startS3();
});
afterAll(async () => {
  await server?.stop();
  rmSync(local, { recursive: true, force: true });
});
beforeEach(() => {
  if (!server) return;
  Object.assign(process.env, server.env);
  process.env["KERAS_FINETUNE_HOME"] = join(local, "home");
  bucket = server.newBucket();
});

/** Puts every file below a folder into the bucket, and returns the address of the same folder there. */
async function uploaded(folder: string, prefix = "data"): Promise<string> {
  const store = await openBucket(bucket);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    await store.put(`${prefix}/${path.slice(folder.length + 1)}`, readFileSync(path));
  }
  return `s3://${bucket}/${prefix}`;
}

function treeOf(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(local, "tree-"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

/** Returns a dataset with paths below its folder. */
function below(dataset: FileDataset, folder: string): unknown {
  return JSON.parse(JSON.stringify(dataset).replaceAll(`${folder}/`, "").replaceAll(folder, ""));
}

const photos = fixture("demo", "photos");
const odd = {
  "train/b/10.jpg": "1",
  "train/b/9.jpg": "2",
  "train/b/deep/er/1.png": "3",
  "train/b/a.jpg": "4",
  "train/a b+c/é %41.jpg": "5",
  "train/a b+c/notes.md": "6",
  "train/a b+c/.hidden": "7",
  "train/𝔸/x.JPG": "8",
  "train/ｚ/x.jpg": "9",
  "test/b/1.jpg": "10",
  "README.md": "11",
};

describe.skipIf(!serverProgram)("a dataset in a bucket", () => {
  test("is listed as the same folder on a disk is: samples, order, labels, splits, and what is left out", async () => {
    for (const folder of [treeOf(odd), photos]) {
      const address = await uploaded(folder);
      const [one, other] = [await imageFolder(address), await imageFolder(folder)];
      expect(below(one, address)).toEqual(below(other, folder));
      expect(one.samples.length).toBeGreaterThan(4);
      bucket = server.newBucket();
    }
  });

  test("that is not there, or has no classes, is refused as a folder is", async () => {
    await expect(imageFolder(`s3://${bucket}/none`)).rejects.toThrow(
      /s3:.*none: no such folder\. Pass a folder/,
    );
    const address = await uploaded(treeOf({ "1.jpg": "1", "2.jpg": "2" }));
    await expect(imageFolder(address)).rejects.toThrow(/has 2 images but no class folders/);
  });

  test("is read object by object once, whatever is asked of it", async () => {
    const address = await uploaded(photos);
    const proxy = await startProxy(server.env["AWS_ENDPOINT_URL_S3"] ?? "");
    process.env["AWS_ENDPOINT_URL_S3"] = proxy.endpoint;
    const { samples } = await imageFolder(`${address}/train`);
    expect(samples.some(({ split }) => split === "val")).toBe(true);
    const reader = imageReader({ imageSize: [32, 32], preprocess: "none" });
    for (const _ of [1, 2]) {
      let read = 0;
      for await (const { indices } of sampleBatches(samples, reader, { batchSize: 8 }))
        read += indices.length;
      expect(read).toBe(45);
    }
    const gets = proxy.requests.filter((line) => /^GET .*\.jpg/.test(line));
    expect(gets).toHaveLength(45);
    expect(new Set(gets).size).toBe(45);
    expect(proxy.requests.length - gets.length).toBeLessThan(10);
  });

  test("gives the pixels that the same files on a disk give", async () => {
    const address = await uploaded(photos);
    const reader = imageReader({ imageSize: [24, 24], preprocess: "caffe" });
    const [one, other] = [await imageFolder(address), await imageFolder(photos)];
    const inputs = async ({ samples }: FileDataset) => {
      const all: unknown[] = [];
      for await (const { input, contentHashes } of sampleBatches(samples, reader, { batchSize: 16 }))
        all.push(input.data, contentHashes);
      return all;
    };
    expect(await inputs(one)).toEqual(await inputs(other));
  });

  test.skipIf(serverProgram?.name !== "versitygw")(
    "whose hashes another machine knows is not read again, and a changed object is",
    async () => {
      const address = await uploaded(treeOf({ "a/1.jpg": "one", "b/2.jpg": "two" }));
      const shared = bucketSegments(`s3://${bucket}/cache/files`);
      const { samples } = await imageFolder(address, { validationFraction: 0 });
      const first = await openFileIndex(join(local, "one.index"), shared);
      const hashes = await Promise.all(samples.map(({ path }) => first.hashOf(path)));
      await first.close();
      const proxy = await startProxy(server.env["AWS_ENDPOINT_URL_S3"] ?? "");
      process.env["AWS_ENDPOINT_URL_S3"] = proxy.endpoint;
      const other = await openFileIndex(join(local, "two.index"), shared);
      expect(await Promise.all(samples.map(({ path }) => other.hashOf(path)))).toEqual(hashes);
      expect(proxy.requests.filter((line) => line.includes(".jpg"))).toEqual([]);
      await (await openBucket(bucket)).put("data/a/1.jpg", Buffer.from("One"));
      await imageFolder(address, { validationFraction: 0 });
      const [changed, same] = await Promise.all(samples.map(({ path }) => other.hashOf(path)));
      expect(changed).not.toBe(hashes[0]);
      expect(same).toBe(hashes[1]);
      expect(Buffer.from((await readFileBytes(samples[0]?.path ?? "", 99)) as Buffer).toString()).toBe("One");
    },
  );

  test("may be a table, with paths beside it, in subfolders, and in another bucket", async () => {
    const rows = "file_name,label,split\n1.jpg,x,train\nsub/2.jpg,y,train\n3.jpg,x,val\n";
    const folder = treeOf({ "t.csv": rows, "1.jpg": "1", "sub/2.jpg": "2", "images/3.jpg": "3" });
    const address = await uploaded(folder);
    const [one, other] = [await table(`${address}/t.csv`), await table(join(folder, "t.csv"))];
    expect(below(one as FileDataset, address)).toEqual(below(other as FileDataset, folder));
    const here = treeOf({
      "t.csv": `file_name,label\n${address}/1.jpg,x\n${address}/sub/2.jpg,y\n`,
    });
    const mixed = await table(join(here, "t.csv"), { validationFraction: 0 });
    expect((mixed as FileDataset).samples.map(({ path }) => path)).toEqual([
      `${address}/1.jpg`,
      `${address}/sub/2.jpg`,
    ]);
    await expect(table(`${address}/none.csv`)).rejects.toThrow(/none\.csv: no such object\. Pass a table/);
  });

  test("may be images with masks", async () => {
    const image = (channels: 1 | 3, seed: number) =>
      sharp(
        Buffer.from(
          Array.from({ length: 64 * channels }, (_, pixel) => (channels === 1 ? pixel % 3 : seed + pixel)),
        ),
        { raw: { width: 8, height: 8, channels } },
      )
        .png()
        .toBuffer();
    const files: Record<string, Buffer> = {};
    for (const seed of [1, 2, 3, 4]) {
      files[`images/${seed}.png`] = await image(3, seed);
      files[`masks/${seed}.png`] = await image(1, seed);
    }
    const folder = treeOf(files);
    const address = await uploaded(folder);
    const [one, other] = [
      await maskFolder(`${address}/images`, `${address}/masks`),
      await maskFolder(join(folder, "images"), join(folder, "masks")),
    ];
    expect(below(one, address)).toEqual(below(other, folder));
  });

  test("is predicted as the same files on a disk are, one by one and as a folder", async () => {
    const address = await uploaded(join(photos, "val", "brick"));
    const model = await readCheckpoint(fixture("demo", "efficientnet_lite0.keras"));
    const names = readdirSync(join(photos, "val", "brick"))
      .sort()
      .slice(0, 2);
    const there = await predictFiles(
      model,
      names.map((name) => `${address}/${name}`),
    );
    const here = await predictFiles(
      model,
      names.map((name) => join(photos, "val", "brick", name)),
    );
    const plain = (all: typeof here) => all.map(({ path: _path, ...said }) => said);
    expect(plain(there)).toEqual(plain(here));
    expect((await predictFiles(model, [address])).map(({ path }) => path)).toHaveLength(
      readdirSync(join(photos, "val", "brick")).length,
    );
    await expect(predictFiles(model, [`${address}/none.jpg`])).rejects.toThrow(/none\.jpg/);
  });
});
