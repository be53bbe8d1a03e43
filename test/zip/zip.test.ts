import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { strToU8, unzipSync, type Zippable, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { readZip, type ZipEntry } from "../../src/zip/reader.ts";
import { createZip } from "../../src/zip/writer.ts";
import { scratch } from "../hdf5/temporary.ts";

function at(bytes: Uint8Array): string {
  const path = join(scratch(), "archive.keras");
  writeFileSync(path, bytes);
  return path;
}

function withEntries<T>(path: string, use: (entries: ReadonlyMap<string, ZipEntry>) => T): T {
  const descriptor = openSync(path, "r");
  try {
    return use(readZip(descriptor, fstatSync(descriptor).size, "a.keras"));
  } finally {
    closeSync(descriptor);
  }
}

const content = { "config.json": strToU8('{"a": 1}'), "model.weights.h5": new Uint8Array(3000).fill(7) };

test.each([0, 6] as const)("entries that another tool packed at level %i are read", (level) => {
  withEntries(at(zipSync(content, { level })), (entries) => {
    expect([...entries.keys()]).toEqual(["config.json", "model.weights.h5"]);
    expect(new TextDecoder().decode(entries.get("config.json")!.read())).toBe('{"a": 1}');
    const file = entries.get("model.weights.h5")!.open(true);
    const part = new Uint8Array(10);
    expect([file.size(), file.read(part, 2995), part[0], part[4], part[5]]).toEqual([3000, 5, 7, 7, 0]);
  });
});

test("what is written is read by another tool", async () => {
  const path = join(scratch(), "written.keras");
  const descriptor = openSync(path, "w+");
  const zip = createZip(descriptor, path);
  zip.add("größe.json", strToU8("[1]"));
  await zip.addFile("data", async (file) => {
    file.write(strToU8("later"), 5);
    file.write(strToU8("first"), 0);
  });
  zip.finish();
  closeSync(descriptor);
  const entries = unzipSync(readFileSync(path));
  expect(Object.keys(entries)).toEqual(["größe.json", "data"]);
  expect(new TextDecoder().decode(entries["data"])).toBe("firstlater");
  withEntries(path, (own) => expect(own.get("data")!.read()).toEqual(Buffer.from("firstlater")));
});

describe("archives that are refused", () => {
  const pack = (files: Zippable): Buffer => Buffer.from(zipSync(files, { level: 0 }));
  const refusal = (
    bytes: Uint8Array,
    use: (entry: ZipEntry) => unknown = (entry) => entry.read(),
  ): string => {
    try {
      withEntries(at(bytes), (entries) => entries.forEach((entry) => void use(entry)));
    } catch (error) {
      return `${(error as Error).name} ${(error as Error).message}`;
    }
    return "nothing";
  };

  test.each(["../config.json", "/etc/passwd", "a/../../b", "..\\b", "C:\\b"])("an entry at %s", (name) => {
    expect(refusal(pack({ [name]: new Uint8Array(1) }))).toBe(
      `KerasFileError a.keras: zip archive: entry ${JSON.stringify(name)} lies outside of the archive. Refused.`,
    );
  });

  test("a truncated one", () => {
    const bytes = pack(content);
    expect(refusal(bytes.subarray(0, 2000))).toBe(
      "KerasFileError a.keras: zip archive: no directory at its end: it is truncated at 2,000 bytes. Copy or download it again.",
    );
    expect(refusal(Buffer.concat([bytes.subarray(0, 20), bytes.subarray(2500)]))).toMatch(
      /^KerasFileError a\.keras: zip archive: .*(outside of its|damaged)/,
    );
  });

  test("one whose bytes have changed, in an entry that is read and in one that is opened", () => {
    const bytes = pack(content);
    bytes[500] = 8;
    const message =
      "KerasFileError a.keras: zip archive: model.weights.h5: the checksum does not fit: the file is damaged. Copy or download it again.";
    expect(refusal(bytes)).toBe(message);
    expect(refusal(bytes, (entry) => entry.open(true))).toBe(message);
    expect(refusal(bytes, (entry) => entry.open(false))).toBe("nothing");
  });

  test("a bomb: an entry that claims more than deflate can hold, and one that unpacks to more than it claims", () => {
    const honest = Buffer.from(zipSync({ zeros: new Uint8Array(5_000_000) }, { level: 9 }));
    const directory = honest.indexOf("PK\x01\x02", 0, "latin1");
    const bomb = Buffer.from(honest);
    bomb.writeUInt32LE(0x7fffffff, directory + 24);
    expect(refusal(bomb)).toMatch(
      /^KerasFileError a\.keras: zip archive: zeros claims 2,147,483,647 bytes out of [\d,]+\. Refused\.$/,
    );
    const liar = Buffer.from(honest);
    liar.writeUInt32LE(1000, directory + 24);
    expect(refusal(liar)).toMatch(/^KerasFileError a\.keras: zip archive: zeros cannot be unpacked: /);
  });

  test("encryption and compression that Keras never uses", () => {
    const bytes = pack({ x: new Uint8Array(4) });
    const directory = bytes.indexOf("PK\x01\x02", 0, "latin1");
    const encrypted = Buffer.from(bytes);
    encrypted.writeUInt16LE(1, directory + 8);
    expect(refusal(encrypted)).toBe("KerasFileError a.keras: zip archive: x is encrypted. Refused.");
    const bzip = Buffer.from(bytes);
    bzip.writeUInt16LE(12, directory + 10);
    expect(refusal(bzip)).toBe(
      "KerasFileError a.keras: zip archive: x: compression: expected stored (0) or deflated (8), got 12.",
    );
  });
});
