import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { strToU8, unzipSync, type Zippable, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { readZip, type ZipEntry } from "../../src/zip/reader.ts";
import { createZip, type ZipWriter } from "../../src/zip/writer.ts";
import { scratch } from "../hdf5/temporary.ts";

function at(bytes: Uint8Array): string {
  const path = join(scratch(), "archive.keras");
  writeFileSync(path, bytes);
  return path;
}

async function withEntries<T>(
  path: string,
  use: (entries: ReadonlyMap<string, ZipEntry>) => T | Promise<T>,
): Promise<T> {
  const descriptor = openSync(path, "r");
  try {
    return await use(readZip(descriptor, fstatSync(descriptor).size, "a.keras"));
  } finally {
    closeSync(descriptor);
  }
}

async function written(write: (zip: ZipWriter) => void | Promise<void>, wideFrom?: number): Promise<string> {
  const path = join(scratch(), "written.keras");
  const descriptor = openSync(path, "w+");
  const zip = createZip(descriptor, wideFrom === undefined ? {} : { wideFrom });
  await write(zip);
  zip.finish();
  closeSync(descriptor);
  return path;
}

const content = { "config.json": strToU8('{"a": 1}'), "model.weights.h5": new Uint8Array(3000).fill(7) };

test.each([0, 6] as const)(
  "entries that another tool packed at level %i are read whole, in part and to a file",
  async (level) => {
    await withEntries(at(zipSync(content, { level })), async (entries) => {
      expect([...entries.keys()]).toEqual(["config.json", "model.weights.h5"]);
      expect(new TextDecoder().decode(entries.get("config.json")!.read())).toBe('{"a": 1}');
      const file = entries.get("model.weights.h5")!.open(true);
      const part = new Uint8Array(10);
      expect([file.size(), file.read(part, 2995), part[0], part[4], part[5]]).toEqual([3000, 5, 7, 7, 0]);
      const target = join(scratch(), "weights");
      await entries.get("model.weights.h5")!.extractTo(target);
      expect(readFileSync(target)).toEqual(Buffer.from(content["model.weights.h5"]));
    });
  },
);

test.each([
  ["as plain entries", undefined],
  ["with every size and position in zip64 fields", 0],
  ["with the sizes of the larger entries in zip64 fields", 10],
  ["with the positions of the later entries in zip64 fields", 40],
])("an archive written %s is read by another tool and by the reader", async (_, wideFrom) => {
  const path = await written(async (zip) => {
    zip.add("größe.json", strToU8("[1]"));
    await zip.addFile("data", async (file) => {
      file.write(strToU8("later"), 5);
      file.write(strToU8("first"), 0);
    });
    zip.add("empty", new Uint8Array());
  }, wideFrom);
  const entries = unzipSync(readFileSync(path));
  expect(Object.keys(entries)).toEqual(["größe.json", "data", "empty"]);
  expect(new TextDecoder().decode(entries["data"])).toBe("firstlater");
  await withEntries(path, (own) => {
    expect([...own.values()].map((entry) => Buffer.from(entry.read()).toString())).toEqual([
      "[1]",
      "firstlater",
      "",
    ]);
  });
});

test("an archive of more entries than the plain format counts is written and read", async () => {
  const path = await written((zip) => {
    for (let index = 0; index < 65_536; index += 1) zip.add(`${index}`, new Uint8Array());
  });
  await withEntries(path, (entries) => expect(entries.size).toBe(65_536));
});

test("an archive of 65,535 entries without zip64 records, which needs none, is read", async () => {
  const path = await written((zip) => {
    for (let index = 0; index < 65_535; index += 1) zip.add(`${index}`, new Uint8Array());
  });
  const bytes = readFileSync(path);
  const plain = Buffer.concat([bytes.subarray(0, -22 - 20 - 56), bytes.subarray(-22)]);
  await withEntries(at(plain), (entries) => expect(entries.size).toBe(65_535));
});

describe("an archive is refused", () => {
  const pack = (files: Zippable): Buffer => Buffer.from(zipSync(files, { level: 0 }));
  const refusal = async (
    bytes: Uint8Array,
    use: (entry: ZipEntry) => unknown = (entry) => entry.read(),
  ): Promise<string> => {
    try {
      await withEntries(at(bytes), async (entries) => {
        for (const entry of entries.values()) await use(entry);
      });
    } catch (error) {
      return `${(error as Error).name} ${(error as Error).message}`;
    }
    return "nothing";
  };

  test.each(["../config.json", "/etc/passwd", "a/../../b", "..\\b", "C:\\b"])(
    "if it has an entry at %s",
    async (name) => {
      expect(await refusal(pack({ [name]: new Uint8Array(1) }))).toBe(
        `KerasFileError a.keras: zip archive: entry ${JSON.stringify(name)} lies outside of the archive. Refused.`,
      );
    },
  );

  test("if it is truncated", async () => {
    const bytes = pack(content);
    expect(await refusal(bytes.subarray(0, 2000))).toBe(
      "KerasFileError a.keras: zip archive: no directory at its end: it is truncated at 2,000 bytes. Copy or download it again.",
    );
    expect(await refusal(Buffer.concat([bytes.subarray(0, 20), bytes.subarray(2500)]))).toMatch(
      /^KerasFileError a\.keras: zip archive: .*(outside of its|damaged)/,
    );
  });

  test("if a byte has changed in an entry that is read, opened or extracted", async () => {
    const bytes = pack(content);
    bytes[500] = 8;
    const message =
      "KerasFileError a.keras: zip archive: model.weights.h5: the checksum does not fit: the file is damaged. Copy or download it again.";
    expect(await refusal(bytes)).toBe(message);
    expect(await refusal(bytes, (entry) => entry.open(true))).toBe(message);
    expect(await refusal(bytes, (entry) => entry.open(false))).toBe("nothing");
    expect(await refusal(bytes, (entry) => entry.extractTo(join(scratch(), "part")))).toBe(message);
  });

  test("if it is a bomb: an entry claims more than deflate can hold, or unpacks to more than it claims", async () => {
    const honest = Buffer.from(zipSync({ zeros: new Uint8Array(5_000_000) }, { level: 9 }));
    const directory = honest.indexOf("PK\x01\x02", 0, "latin1");
    const bomb = Buffer.from(honest);
    bomb.writeUInt32LE(0x7fffffff, directory + 24);
    expect(await refusal(bomb)).toMatch(
      /^KerasFileError a\.keras: zip archive: zeros claims 2,147,483,647 bytes out of [\d,]+\. Refused\.$/,
    );
    const liar = Buffer.from(honest);
    liar.writeUInt32LE(1000, directory + 24);
    expect(await refusal(liar)).toMatch(/^KerasFileError a\.keras: zip archive: zeros cannot be unpacked: /);
    expect(await refusal(liar, (entry) => entry.extractTo(join(scratch(), "zeros")))).toBe(
      "KerasFileError a.keras: zip archive: zeros cannot be unpacked: it holds more than its 1000 bytes.",
    );
  });

  test("if it is encrypted or compressed by a method that Keras never uses", async () => {
    const bytes = pack({ x: new Uint8Array(4) });
    const directory = bytes.indexOf("PK\x01\x02", 0, "latin1");
    const encrypted = Buffer.from(bytes);
    encrypted.writeUInt16LE(1, directory + 8);
    expect(await refusal(encrypted)).toBe("KerasFileError a.keras: zip archive: x is encrypted. Refused.");
    const bzip = Buffer.from(bytes);
    bzip.writeUInt16LE(12, directory + 10);
    expect(await refusal(bzip)).toBe(
      "KerasFileError a.keras: zip archive: x: compression: expected stored (0) or deflated (8), got 12.",
    );
  });
});
