import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { imageFolder } from "../../src/data/class-folders.ts";
import { loadImages } from "../../src/data/images.ts";
import { resizeBilinear } from "../../src/data/resize.ts";
import { answers, folderWith, largestDifference, type PackedArray, unpack } from "./answers.ts";

interface ResizeAnswers {
  readonly cases: readonly { readonly pixels: PackedArray; readonly resized: PackedArray }[];
  readonly directory: {
    readonly files: Readonly<Record<string, string>>;
    readonly class_names: readonly string[];
    readonly paths: readonly string[];
    readonly labels: readonly number[];
    readonly images: PackedArray;
  };
}

const { cases, directory } = await answers<ResizeAnswers>("resize.json");

describe("resizeBilinear gives what tf.image.resize gives", () => {
  test.each(cases)("$pixels.shape -> $resized.shape", ({ pixels, resized }) => {
    const [height, width, channels] = pixels.shape as [number, number, number];
    const [toHeight, toWidth] = resized.shape as [number, number, number];
    const destination = new Float32Array(toHeight * toWidth * channels);
    resizeBilinear(unpack(pixels), { height, width, channels }, [toHeight, toWidth], destination);
    expect(largestDifference(destination, unpack(resized))).toBeLessThanOrEqual(1e-4);
  });
});

test.each([
  [23, 40, 9, 31, 3],
  [5, 3, 12, 8, 4],
  [1, 1, 3, 2, 3],
  [70, 2000, 4, 5, 3],
])(
  "bytes give the bits of numbers: %i x %i to %i x %i, %i channels",
  (height, width, toHeight, toWidth, channels) => {
    const bytes = Uint8Array.from({ length: height * width * channels }, (_, index) => (index * 7919) % 251);
    const [fromBytes, fromNumbers] = [bytes, Array.from(bytes)].map((pixels) => {
      const destination = new Float32Array(toHeight * toWidth * channels);
      resizeBilinear(pixels, { height, width, channels }, [toHeight, toWidth], destination);
      return destination;
    });
    expect(fromBytes).toEqual(fromNumbers);
  },
);

describe("a folder of lossless images, beside image_dataset_from_directory:", async () => {
  const files = Object.entries(directory.files).map(([path, file]) => [path, Buffer.from(file, "base64")]);
  const folder = await folderWith(Object.fromEntries(files));
  const dataset = await imageFolder(folder, { validationFraction: 0 });

  test("the same classes in the same order, and the same images with the same labels", () => {
    expect(dataset.classNames).toEqual(directory.class_names);
    const labelOf = new Map(
      directory.paths.map((path, index) => [join(folder, path), directory.labels[index]]),
    );
    expect(new Map(dataset.samples.map(({ path, label }) => [path, label]))).toEqual(labelOf);
  });

  test("the same pixels", async () => {
    const paths = directory.paths.map((path) => join(folder, path));
    const images = await loadImages(paths, { imageSize: [8, 6], preprocess: "none" });
    expect(images.shape).toEqual(directory.images.shape);
    expect(largestDifference(images.data as Float32Array, unpack(directory.images))).toBeLessThanOrEqual(
      1e-4,
    );
    expect(dirname(paths[0]!)).not.toBe(folder);
  });
});
