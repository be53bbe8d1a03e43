import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { type ImageOptions, imageReader, loadImages, tallyImages } from "../../src/data/images.ts";
import {
  type BatchOptions,
  type SampleBatch,
  type SampleOutcome,
  sampleBatches,
} from "../../src/data/sample-batches.ts";
import { folderWith } from "./answers.ts";

/** Image k is all of the value 10 * k, so that a tensor tells which images are in it. */
let paths: readonly string[];

async function flat(value: number): Promise<Buffer> {
  return sharp({ create: { width: 5, height: 4, channels: 3, background: { r: value, g: value, b: value } } })
    .png()
    .toBuffer();
}

beforeAll(async () => {
  const files = await Promise.all(
    [...Array(20).keys()].map(async (index) => [`${index}.png`, await flat(10 * index)] as const),
  );
  const folder = await folderWith(Object.fromEntries(files));
  paths = files.map(([name]) => join(folder, name));
});

type ImageBatchOptions = ImageOptions & BatchOptions;

const options: ImageBatchOptions = { imageSize: [3, 2], preprocess: "none", batchSize: 6 };

async function collect(
  samplePaths: readonly string[],
  own: Partial<ImageBatchOptions> = {},
): Promise<SampleBatch[]> {
  const batches: SampleBatch[] = [];
  const asked = { ...options, ...own };
  const samples = samplePaths.map((path) => ({ path }));
  for await (const batch of sampleBatches(samples, imageReader(asked), asked)) batches.push(batch);
  return batches;
}

/** For each image of the batch, which it is. */
function pictureNumbers({ input }: Pick<SampleBatch, "input">): number[] {
  const [count, ...size] = input.shape as number[];
  const each = size.reduce((product, side) => product * side, 1);
  const data = input.data as Float32Array;
  return [...Array(count).keys()].map((row) => {
    const own = data.subarray(row * each, (row + 1) * each);
    expect(new Set(own).size).toBe(1);
    return own[0]! / 10;
  });
}

const numbers = (from: number, to: number) => [...Array(to - from).keys()].map((index) => index + from);

describe("batches of images", () => {
  test("keeps the order, and the last batch holds what is left", async () => {
    const batches = await collect(paths);
    expect(batches.map(({ input }) => input.shape)).toEqual([
      [6, 3, 2, 3],
      [6, 3, 2, 3],
      [6, 3, 2, 3],
      [2, 3, 2, 3],
    ]);
    expect(batches.flatMap(pictureNumbers)).toEqual(numbers(0, 20));
    expect(batches.flatMap(({ indices }) => indices)).toEqual(numbers(0, 20));
  });

  test("fills a batch with the next image where one does not decode", async () => {
    const broken = join(await folderWith({ "broken.jpg": "no image" }), "broken.jpg");
    const mixed = [broken, ...paths.slice(0, 5), broken, ...paths.slice(5, 8), broken];
    const outcomes: SampleOutcome[] = [];
    const batches = await collect(mixed, { onSample: (outcome) => outcomes.push(outcome) });
    expect(batches.map(pictureNumbers)).toEqual([numbers(0, 6), [6, 7]]);
    expect(batches.map(({ indices }) => indices)).toEqual([
      [1, 2, 3, 4, 5, 7],
      [8, 9],
    ]);
    expect(outcomes.map(({ path }) => path)).toEqual(mixed);
    expect(outcomes.filter(({ reason }) => reason !== undefined)).toHaveLength(3);
  });

  test("fails at the first bad image where strict, naming it and why", async () => {
    const broken = join(await folderWith({ "broken.jpg": "no image" }), "broken.jpg");
    await expect(collect([...paths, broken], { strict: true })).rejects.toThrow(
      new RegExp(`1 of 21 images cannot be used:\n${broken}: not an image`),
    );
  });

  test("fails where no image is left, listing five and counting the rest", async () => {
    const folder = await folderWith(Object.fromEntries(numbers(0, 7).map((index) => [`${index}.jpg`, ""])));
    const broken = numbers(0, 7).map((index) => join(folder, `${index}.jpg`));
    const error = await collect(broken).catch((reason: Error) => reason);
    expect(error).toMatchObject({ name: "DataError" });
    const lines = (error as Error).message.split("\n");
    expect(lines[0]).toBe("7 of 7 images cannot be used:");
    expect(lines.slice(1, 6)).toEqual(broken.slice(0, 5).map((path) => `${path}: the file is empty.`));
    expect(lines.slice(6)).toEqual(["and 2 more"]);
  });

  test("has no batch for no samples", async () => {
    expect(await collect([])).toEqual([]);
  });

  test("decodes two batches ahead and no more, and stops when its reader stops", async () => {
    const told: string[] = [];
    const samples = Array.from({ length: 500 }, (_, index) => ({
      get path() {
        told.push(paths[index % 20]!);
        return paths[index % 20]!;
      },
    }));
    for await (const batch of sampleBatches(samples, imageReader(options), options)) {
      expect(batch.indices).toHaveLength(6);
      await new Promise((resolve) => setTimeout(resolve, 50));
      break;
    }
    expect(new Set(told).size).toBeGreaterThan(6);
    expect(told.length).toBeLessThan(100);
  });

  test("prepares pixels, and gray ones for one channel", async () => {
    const [gray] = await collect(paths.slice(0, 2), { channels: 1, preprocess: "tf" });
    expect(gray!.input.shape).toEqual([2, 3, 2, 1]);
    expect((gray!.input.data as Float32Array)[0]).toBe(-1);
    const [caffe] = await collect(paths.slice(10, 11), { preprocess: "caffe" });
    const [blue, green, red] = caffe!.input.data as Float32Array;
    expect([blue! + 103.939, green! + 116.779, red! + 123.68].map((value) => value.toFixed(3))).toEqual([
      "100.000",
      "100.000",
      "100.000",
    ]);
  });

  test("gives with each image the hash of the bytes that it decoded", async () => {
    const { createHash } = await import("node:crypto");
    const { readFile } = await import("node:fs/promises");
    const [batch] = await collect(paths.slice(3, 5));
    const hashes = await Promise.all(
      paths.slice(3, 5).map(async (path) =>
        createHash("sha256")
          .update(await readFile(path))
          .digest("hex"),
      ),
    );
    expect(batch!.contentHashes).toEqual(hashes);
  });
});

describe("loadImages", () => {
  const { batchSize: _batchSize, ...ofImages } = options;

  test("gives one tensor in the order of the paths", async () => {
    const images = await loadImages([...paths].reverse(), ofImages);
    expect(images.dtype).toBe("float32");
    expect(pictureNumbers({ input: images })).toEqual(numbers(0, 20).reverse());
  });

  test("fails on any picture that does not decode, so that rows and paths agree", async () => {
    const folder = await folderWith({ "empty.png": "" });
    await expect(loadImages([...paths, join(folder, "empty.png")], ofImages)).rejects.toThrow(
      /^1 of 21 images cannot be used:\n.*empty\.png: the file is empty\.$/,
    );
    await expect(loadImages([join(folder, "empty.png")], ofImages)).rejects.toThrow(
      /^\/.*: the file is empty\.$/,
    );
  });

  test("one number is height and width", async () => {
    const square = await loadImages(paths.slice(0, 1), { ...ofImages, imageSize: 5 });
    expect(square).toEqual(await loadImages(paths.slice(0, 1), { ...ofImages, imageSize: [5, 5] }));
  });

  test.each([
    [{ imageSize: 0 }, /^imageSize: expected pixels such as 224/],
    [{ imageSize: undefined }, /^imageSize: expected pixels such as 224/],
    [{ preprocess: undefined }, /^preprocess: expected one of/],
    [{ preprocess: "auto" }, /^preprocess: expected a mode/],
    [{ channels: 2 }, /^channels: expected one of 1, 3, 4, got 2/],
    [{ size: 3 }, /^size: unknown option/],
  ])("refuses %j by the option's name", async (strange, message) => {
    await expect(loadImages(paths, { ...ofImages, ...strange } as never)).rejects.toThrow(message);
  });

  test("of no paths is an empty tensor", async () => {
    expect((await loadImages([], ofImages)).shape).toEqual([0, 3, 2, 3]);
  });
});

test("tallyImages counts an image once, however often it is seen", async () => {
  const turned = await sharp(await flat(50))
    .jpeg()
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const folder = await folderWith({ "turned.jpg": turned, "named.jpg": await flat(1), "empty.jpg": "" });
  const own = ["turned.jpg", "named.jpg", "empty.jpg"].map((name) => join(folder, name));
  const counter = tallyImages();
  await collect(own, { onSample: counter.add });
  await collect(own, { onSample: counter.add });
  expect(counter.tally()).toEqual({
    used: 2,
    rotated: 1,
    mislabelled: [own[1]],
    bad: [{ path: own[2], reason: "the file is empty." }],
  });
});
