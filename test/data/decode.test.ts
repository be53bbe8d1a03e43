import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodeImage, tryDecodeImage } from "../../src/data/decode.ts";
import { answers, folderWith, largestDifference, type PackedArray, unpack } from "./answers.ts";

interface PictureAnswer {
  readonly file: string;
  readonly rgb: PackedArray;
  readonly gray: PackedArray;
  readonly as_stored: readonly [number, number];
}

const pictures = await answers<Record<string, PictureAnswer>>("pictures.json");
const folder = await folderWith(
  Object.fromEntries(Object.entries(pictures).map(([name, { file }]) => [name, Buffer.from(file, "base64")])),
);

describe.each(Object.entries(pictures))("%s", (name, answer) => {
  test("has the RGB pixels that Pillow's convert gives, to the bit", async () => {
    const image = await decodeImage(join(folder, name));
    expect([image.height, image.width, image.channels]).toEqual(answer.rgb.shape);
    expect(largestDifference(image.pixels, unpack(answer.rgb))).toBe(0);
  });

  test("is gray as Pillow's convert makes it where the model has one channel", async () => {
    const image = await decodeImage(join(folder, name), { channels: 1 });
    expect(image.channels).toBe(1);
    expect(largestDifference(image.pixels, unpack(answer.gray))).toBe(0);
  });

  test("stays as it is stored where EXIF is not applied, and says when it is", async () => {
    const stored = await decodeImage(join(folder, name), { exif: false });
    expect([stored.height, stored.width]).toEqual(answer.as_stored);
    expect(stored.rotated).toBe(false);
    expect((await decodeImage(join(folder, name))).rotated).toBe(/exif-[2-8]/.test(name));
  });
});

async function fileOf(name: string, bytes: string | Uint8Array): Promise<string> {
  return join(await folderWith({ [name]: bytes }), name);
}

async function reasonOf(name: string, bytes: string | Uint8Array): Promise<string> {
  const outcome = await tryDecodeImage(await fileOf(name, bytes));
  if (!("reason" in outcome)) throw new Error(`${name} decodes`);
  return outcome.reason;
}

const noise = Uint8Array.from({ length: 40 * 30 * 3 }, (_, index) => (index * 7919 + (index >> 3)) % 251);
const raw = { raw: { width: 40, height: 30, channels: 3 } } as const;

test("16 bits a channel keep their upper 8", async () => {
  const deep = Uint16Array.from({ length: 20 * 10 * 3 }, (_, index) => (index * 7919) % 65536);
  const png = await sharp(deep, { raw: { width: 20, height: 10, channels: 3 } })
    .toColourspace("rgb16")
    .png()
    .toBuffer();
  expect((await sharp(png).metadata()).depth).toBe("ushort");
  const { pixels } = await decodeImage(await fileOf("deep.png", png));
  expect([...pixels]).toEqual([...deep].map((value) => value >> 8));
});

test("an embedded colour profile changes no pixel", async () => {
  const plain = await sharp(noise, raw).png().toBuffer();
  const profiled = await sharp(noise, raw).withIccProfile("p3", { attach: true }).png().toBuffer();
  expect((await sharp(profiled).metadata()).hasProfile).toBe(true);
  const stored = await sharp(profiled, { ignoreIcc: true }).raw().toBuffer();
  expect(largestDifference(stored, await sharp(plain).raw().toBuffer())).toBeGreaterThan(0);
  const { pixels } = await decodeImage(await fileOf("wide.png", profiled));
  expect(largestDifference(pixels, stored)).toBe(0);
});

test("alpha comes as a fourth channel where the model has four", async () => {
  const rgba = Uint8Array.from({ length: 6 * 5 * 4 }, (_, index) => (index * 37) % 256);
  const png = await sharp(rgba, { raw: { width: 6, height: 5, channels: 4 } })
    .png()
    .toBuffer();
  const image = await decodeImage(await fileOf("alpha.png", png), { channels: 4 });
  expect([...image.pixels]).toEqual([...rgba]);
  const opaque = await decodeImage(await fileOf("rgb.png", await sharp(noise, raw).png().toBuffer()), {
    channels: 4,
  });
  expect(opaque.pixels.filter((_, index) => index % 4 === 3).every((alpha) => alpha === 255)).toBe(true);
});

test("a GIF named .jpg decodes and is called mislabelled; a JPEG named .JPEG is not", async () => {
  const gif = await sharp(noise, raw).gif().toBuffer();
  const jpeg = await sharp(noise, raw).jpeg().toBuffer();
  const named = await decodeImage(await fileOf("cat.jpg", gif));
  expect([named.format, named.mislabelled]).toEqual(["gif", true]);
  const honest = await decodeImage(await fileOf("cat.JPEG", jpeg));
  expect([honest.format, honest.mislabelled]).toEqual(["jpeg", false]);
});

test("the content hash is that of the bytes, whatever the name", async () => {
  const png = await sharp(noise, raw).png().toBuffer();
  const [a, b] = await Promise.all(
    ["a.png", "b.png"].map(async (name) => decodeImage(await fileOf(name, png))),
  );
  expect(a!.contentHash).toBe(b!.contentHash);
  const { createHash } = await import("node:crypto");
  expect(a!.contentHash).toBe(createHash("sha256").update(png).digest("hex"));
});

describe("a file that is no usable picture is refused with a reason:", () => {
  test("empty", async () => {
    expect(await reasonOf("a.jpg", "")).toBe("the file is empty.");
  });

  test("something else under an image's name, by its first bytes", async () => {
    expect(await reasonOf("a.jpg", "<!DOCTYPE html><html>")).toMatch(
      /not an image: .* starting with "<!DOCTYPE ht"/,
    );
  });

  test("a format that nothing here decodes, by the format's name", async () => {
    expect(await reasonOf("a.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')).toMatch(
      /^SVG/,
    );
    expect(await reasonOf("a.jpg", Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic", "latin1"))).toMatch(
      /^HEIC/,
    );
  });

  test.each(["jpeg", "png", "gif", "webp", "tiff"] as const)("a truncated %s", async (format) => {
    const whole = await sharp(noise, raw)[format]().toBuffer();
    const reason = await reasonOf("a.jpg", whole.subarray(0, Math.floor(whole.length * 0.6)));
    expect(reason).toMatch(new RegExp(`^${format.toUpperCase()} does not decode: .+\\.$`));
    expect(reason).not.toContain("\n");
  });

  test("a truncated BMP, with both sizes", async () => {
    const bmp = Buffer.from(pictures["rgb.bmp"]!.file, "base64");
    expect(await reasonOf("a.bmp", bmp.subarray(0, bmp.length - 1))).toBe(
      `BMP does not decode: truncated: expected ${bmp.length} bytes, got ${bmp.length - 1}.`,
    );
  });

  test("a pixel bomb, before any pixel is decoded", async () => {
    const bomb = Buffer.from(pictures["rgb.png"]!.file, "base64");
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    bomb.writeUInt32BE((await import("node:zlib")).crc32(bomb.subarray(12, 29)), 29);
    expect(await reasonOf("a.png", bomb)).toMatch(/expected at most 178956970 pixels, got 60000 x 60000/);
    const bmp = Buffer.from(pictures["rgb.bmp"]!.file, "base64");
    bmp.writeInt32LE(60_000, 18);
    bmp.writeInt32LE(60_000, 22);
    expect(await reasonOf("a.bmp", bmp)).toMatch(/pixels, got 60000 x 60000/);
  });

  test("nothing there, or a folder", async () => {
    const folder = await folderWith({ "sub.jpg/inside.txt": "" });
    expect(await tryDecodeImage(join(folder, "none.jpg"))).toEqual({
      path: join(folder, "none.jpg"),
      reason: "no such file.",
    });
    expect(await tryDecodeImage(join(folder, "sub.jpg"))).toMatchObject({ reason: "not a file." });
  });

  test("and decodeImage throws it behind the path", async () => {
    const path = await fileOf("a.jpg", "");
    await expect(decodeImage(path)).rejects.toMatchObject({
      name: "DataError",
      message: `${path}: the file is empty.`,
    });
  });
});

test("no bytes at all make the decoder do worse than refuse", async () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  for (const [name, { file }] of Object.entries(pictures)) {
    const bytes = Buffer.from(file, "base64");
    for (let round = 0; round < 4; round++) {
      const broken = Buffer.from(bytes);
      for (let edit = 0; edit < 3; edit++) {
        broken[Math.floor(random() * Math.min(broken.length, 120))] = Math.floor(random() * 256);
      }
      const outcome = await tryDecodeImage(await fileOf(name, broken));
      if ("reason" in outcome) expect(outcome.reason).toMatch(/\.$/);
      else expect(outcome.pixels.length).toBe(outcome.height * outcome.width * outcome.channels);
    }
  }
});
