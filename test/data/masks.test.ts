import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encode } from "fast-png";
import { describe, expect, test } from "vitest";
import { resizeNearest } from "../../src/data/mask-coding.ts";
import { type MaskFolderOptions, maskFolder } from "../../src/data/mask-folder.ts";
import { pairByName } from "../../src/data/mask-names.ts";
import { loadMasks } from "../../src/data/mask-pairs.ts";
import { answers, folderWith, type PackedArray, unpack } from "./answers.ts";

interface MaskAnswers {
  readonly images: readonly string[];
  readonly classes: PackedArray;
  readonly masks: Readonly<Record<string, readonly string[]>>;
  readonly resized: readonly { readonly size: readonly [number, number]; readonly classes: PackedArray }[];
}

const { images, classes, masks, resized } = await answers<MaskAnswers>("masks.json.gz");
const [, height = 0, width = 0] = classes.shape;
const truth = unpack(classes) as Uint8Array;

/** Files `images/0.png` and `masks/0.png`, …, with the masks in one coding. */
async function folderOf(coding: string): Promise<string> {
  const extension = /\.(\w+)$/.exec(coding)?.[1] ?? "png";
  const files = images.flatMap((image, index) => [
    [`images/${index}.png`, Buffer.from(image, "base64")] as const,
    [`masks/${index}.${extension}`, Buffer.from(masks[coding]?.[index] ?? "", "base64")] as const,
  ]);
  return folderWith(Object.fromEntries(files));
}

/** The classes of all masks of a folder, as loaded, and what is said of them. */
async function read(folder: string, options: MaskFolderOptions = {}) {
  const dataset = await maskFolder(join(folder, "images"), join(folder, "masks"), {
    validationFraction: 0,
    ...options,
  });
  const [{ coding, classNames = [] }] = dataset.targetColumns;
  if (!coding) throw new Error("no coding");
  const paths = dataset.samples.map(({ targets }) => targets?.["mask"] as string);
  const { data, shape } = await loadMasks(paths, coding, [height, width]);
  return { classes: [...(data as Uint8Array)], shape, classNames, remarks: dataset.remarks };
}

async function refusal(coding: string, options: MaskFolderOptions = {}): Promise<string> {
  const folder = await folderOf(coding);
  const error = await read(folder, options).then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error?.name).toBe("DataError");
  return (error?.message ?? "").replaceAll(folder, "data");
}

describe("masks are read as classes", () => {
  test.each(["palette", "palette-2-bits", "gray", "gray-16-bits", "gray-alpha"])(
    "from indices: %s",
    async (coding) => {
      const found = await read(await folderOf(coding));
      expect(found.shape).toEqual(classes.shape);
      expect(found.classes).toEqual([...truth]);
      expect(found.classNames).toEqual(["0", "1", "2"]);
    },
  );

  test.each(["spread", "spread-rgb"])("from gray values that lie apart: %s", async (coding) => {
    const found = await read(await folderOf(coding));
    expect(found.classes).toEqual([...truth]);
    expect(found.classNames).toEqual(["0", "128", "255"]);
    expect(found.remarks?.[0]).toMatch(/masks read 0 as 0, 128 as 128, 255 as 255$/);
  });

  test.each(["binary", "binary-1-bit", "binary.gif", "binary.bmp", "binary.jpg"])(
    "from black and white: %s",
    async (coding) => {
      const found = await read(await folderOf(coding));
      expect(found.classes).toEqual(Array.from(truth, (label) => Number(label > 0)));
      if (coding !== "binary-1-bit") expect(found.classNames).toEqual(["background", "foreground"]);
    },
  );

  test("from colors with the palette that says what they are", async () => {
    const palette = { ground: "#000000", road: [128, 64, 128], sky: "4682b4" } as const;
    const found = await read(await folderOf("color"), { palette });
    expect(found.classes).toEqual([...truth]);
    expect(found.classNames).toEqual(["ground", "road", "sky"]);
  });

  test("from colors with class_dict.csv beside them", async () => {
    const folder = await folderOf("color");
    const table = await folderWith({
      "class_dict.csv": "name,r,g,b\nground,0,0,0\nroad,128,64,128\nsky,70,130,180\n",
    });
    await rename(join(table, "class_dict.csv"), join(folder, "class_dict.csv"));
    expect((await read(folder)).classes).toEqual([...truth]);
  });

  test("from values that begin at one, for a model of as many classes", async () => {
    const folder = await folderOf("from-one");
    expect((await read(folder, { classes: 3 })).classes).toEqual([...truth]);
    const asTheyAre = await read(folder);
    expect(asTheyAre.classes).toEqual(Array.from(truth, (label) => label + 1));
    expect(asTheyAre.classNames).toEqual(["0", "1", "2", "3"]);
  });

  test("and 255 beside indices stays, for a loss that ignores it", async () => {
    const found = await read(await folderOf("void"));
    expect(found.classes).toEqual(Array.from(truth, (label) => (label === 2 ? 255 : label)));
    expect(found.classNames).toEqual(["0", "1"]);
  });

  test("with names that the caller gives", async () => {
    expect(
      (await read(await folderOf("gray"), { classNames: ["ground", "road", "sky"] })).classNames[1],
    ).toBe("road");
    expect(await refusal("spread", { classNames: ["a"] })).toMatch(
      /classNames: expected 3 names, .* got 1\.$/,
    );
  });
});

describe("masks are refused", () => {
  test("in color without a palette", async () => {
    expect(await refusal("color")).toMatch(
      /^data\/masks: masks in color: expected a palette .* Colors: #000000, .*#804080/,
    );
  });

  test("with a color that the palette lacks", async () => {
    expect(await refusal("color", { palette: { ground: "#000000", road: "#804080" } })).toMatch(
      /masks\/\d\.png: expected one of 0, #804080, got #4682b4\.$/,
    );
  });

  test("in JPEG, where classes blur", async () => {
    expect(await refusal("jpeg.jpg")).toMatch(/expected a format that keeps every value, got JPEG/);
  });

  test("of other proportions than their images", async () => {
    const folder = await folderOf("gray");
    const square = encode({ width: 16, height: 16, channels: 1, data: new Uint8Array(256) });
    await writeFile(join(folder, "masks", "0.png"), square);
    await expect(read(folder)).rejects.toThrow(
      /masks\/0\.png: expected 22x17 as its image .*images\/0\.png has, or equal proportions, got 16x16\.$/,
    );
  });

  test("that promises more pixels than memory holds", async () => {
    const folder = await folderOf("gray");
    const bytes = Buffer.from(masks["gray"]?.[0] ?? "", "base64");
    bytes.writeUInt32BE(100_000, 16);
    bytes.writeUInt32BE(100_000, 20);
    await writeFile(join(folder, "masks", "0.png"), bytes);
    await expect(read(folder)).rejects.toThrow(/expected at most 178956970 pixels, got 10000000000\.$/);
  });

  test("that cannot be read", async () => {
    const folder = await folderOf("gray");
    await writeFile(
      join(folder, "masks", "0.png"),
      Buffer.from(masks["gray"]?.[0] ?? "", "base64").subarray(0, 60),
    );
    await expect(read(folder)).rejects.toThrow(/masks\/0\.png: PNG does not decode: /);
  });

  test("where an image has none", async () => {
    const folder = await folderOf("gray");
    await rename(join(folder, "masks", "3.png"), join(folder, "masks", "three.png"));
    await expect(read(folder)).rejects.toThrow(
      /1 of 6 images have no mask in .*masks: .*images\/3\.png\. Give each mask/,
    );
  });

  test("where all of them are one class", async () => {
    const blank = encode({ width, height, channels: 1, data: new Uint8Array(width * height) });
    const folder = await folderWith({
      "images/0.png": Buffer.from(images[0] ?? "", "base64"),
      "masks/0.png": blank,
    });
    await expect(read(folder)).rejects.toThrow(
      /masks: expected two classes or more, got 0 in every pixel\.$/,
    );
  });
});

describe("folders of images and masks", () => {
  const image = Buffer.from(images[0] ?? "", "base64");
  const mask = Buffer.from(masks["gray"]?.[0] ?? "", "base64");
  const layout = async (...paths: string[]) =>
    folderWith(Object.fromEntries(paths.map((path) => [path, /mask|label/i.test(path) ? mask : image])));
  const listed = async (folder: string, ...given: string[]) => {
    const [first = "", second] = given.map((path) => join(folder, path));
    const { samples } = await maskFolder(first, second, { validationFraction: 0 });
    return samples.map(({ split, path, targets }) =>
      `${split} ${path} ${targets?.["mask"] as string}`.replaceAll(`${folder}/`, ""),
    );
  };

  test("may hold split folders each", async () => {
    const folder = await layout(
      "images/train/1.jpg",
      "images/val/2.jpg",
      "masks/train/1.png",
      "masks/val/2.png",
    );
    expect(await listed(folder, "images", "masks")).toEqual([
      "train images/train/1.jpg masks/train/1.png",
      "val images/val/2.jpg masks/val/2.png",
    ]);
  });

  test("may lie in split folders, with images of test that have no masks", async () => {
    const folder = await layout(
      ...[
        "train/images/1.jpg",
        "train/masks/1.png",
        "valid/images/2.jpg",
        "valid/masks/2.png",
        "test/images/3.jpg",
      ],
    );
    const expected = [
      "train train/images/1.jpg train/masks/1.png",
      "val valid/images/2.jpg valid/masks/2.png",
    ];
    expect(await listed(folder, "")).toEqual(expected);
    expect((await maskFolder(folder)).ignored).toEqual([join(folder, "test/images/3.jpg")]);
  });

  test("may lie beside each other in one folder", async () => {
    const folder = await layout("JPEGImages/a.jpg", "SegmentationClass/a.png".replace("Class", "Masks"));
    expect(await listed(folder, "")).toEqual(["train JPEGImages/a.jpg SegmentationMasks/a.png"]);
  });

  test("hold out a fifth by content where there is no val", async () => {
    const folder = await folderOf("gray");
    const { samples, validation } = await maskFolder(folder);
    expect(validation).toBe("content-hash");
    expect(samples.filter(({ split }) => split === "val")).toHaveLength(1);
  });

  test("without both are refused", async () => {
    const folder = await layout("photos/1.jpg", "other/1.png");
    await expect(maskFolder(folder)).rejects.toThrow(
      /expected folders of images and of masks, images\/ and masks\//,
    );
  });
});

describe("a mask belongs to an image", () => {
  const pairs = (imageNames: string[], maskNames: string[]) => {
    const { pairs: found, left } = pairByName(imageNames, maskNames);
    return [
      ...found.map(([a, b]) => `${imageNames[a]}=${maskNames[b]}`),
      ...left.map((index) => `${imageNames[index]}=none`),
    ];
  };

  test.each([
    [
      ["a", "b"],
      ["b", "a"],
      ["a=a", "b=b"],
    ],
    [["IMG_1"], ["img_1"], ["IMG_1=img_1"]],
    [
      ["car_01", "car_02"],
      ["car_01_mask", "car_02_mask"],
      ["car_01=car_01_mask", "car_02=car_02_mask"],
    ],
    [
      ["1", "11"],
      ["1_L", "11_L"],
      ["1=1_L", "11=11_L"],
    ],
    [
      ["image_1", "image_2"],
      ["mask_1", "mask_2"],
      ["image_1=mask_1", "image_2=mask_2"],
    ],
    [
      ["ulm/ulm_0_leftImg8bit"],
      ["ulm/ulm_0_gtFine_color", "ulm/ulm_0_gtFine_labelIds"],
      ["ulm/ulm_0_leftImg8bit=ulm/ulm_0_gtFine_labelIds"],
    ],
    [
      ["a", "b"],
      ["a", "c"],
      ["a=a", "b=none"],
    ],
  ])("%j with %j: %j", (imageNames, maskNames, expected) => {
    expect(pairs(imageNames, maskNames)).toEqual(expected);
  });
});

test.each(resized)(
  "classes are resized to $size as Keras resizes to the nearest",
  ({ size, classes: expected }) => {
    const first = truth.subarray(0, height * width);
    expect([...resizeNearest(first, { height, width }, size)]).toEqual([...unpack(expected)]);
  },
);
