import { createHash } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { beforeAll, expect, test, vi } from "vitest";
import type * as content from "../../../src/data/file-bytes.ts";
import { openFileIndex } from "../../../src/features/cache/file-index.ts";
import { features, newDirectory, openCache } from "./cache-folder.ts";

const sha256 = (bytes: string) => createHash("sha256").update(bytes).digest("hex");

const reads = vi.hoisted(() => ({ paths: [] as string[] }));
vi.mock("../../../src/data/file-bytes.ts", async (original) => {
  const { contentHash } = await original<typeof content>();
  return {
    contentHash: (path: string) => {
      reads.paths.push(path);
      return contentHash(path);
    },
  };
});

/** Files that were written long enough ago to be trusted. */
let folder: string;
const odd = "réplaced\n.jpg";
const names = ["a.jpg", "b.jpg", "in place.jpg", "renamed.jpg", odd];

beforeAll(async () => {
  folder = newDirectory();
  for (const name of names) writeFileSync(join(folder, name), `bytes of ${name}`);
  await wait(2100);
});

async function hashesOf(
  indexPath: string,
  files: readonly string[],
): Promise<{ hashes: string[]; read: number }> {
  reads.paths.length = 0;
  const index = await openFileIndex(indexPath);
  const hashes = await Promise.all(files.map((name) => index.hashOf(join(folder, name))));
  await index.close();
  return { hashes, read: reads.paths.length };
}

test("a file is read once, and known to the next run by its name, size, inode and times", async () => {
  const index = join(newDirectory(), "deeper", "files.index");
  const expected = names.map((name) => sha256(`bytes of ${name}`));
  expect(await hashesOf(index, names)).toEqual({ hashes: expected, read: names.length });
  expect(await hashesOf(index, names)).toEqual({ hashes: expected, read: 0 });
});

test("other bytes under the same name, of the same size and with the same date, are seen: their features are a miss", async () => {
  const directory = newDirectory();
  const index = join(directory, "files.index");
  const [name] = ["in place.jpg"];
  const { hashes: before } = await hashesOf(index, [name!]);
  const cache = await openCache(directory);
  await cache.put(before[0]!, features(1));
  const { atime, mtime, size, ino } = statSync(join(folder, name!));
  writeFileSync(join(folder, name!), "BYTES of in place.jpg");
  utimesSync(join(folder, name!), atime, mtime);
  expect(statSync(join(folder, name!))).toMatchObject({ size, ino, mtime });
  const { hashes: after } = await hashesOf(index, [name!]);
  expect(after).toEqual([sha256("BYTES of in place.jpg")]);
  expect(await cache.get(after[0]!)).toBeUndefined();
  expect(cache.has(before[0]!)).toBe(true);
  await cache.close();
});

test("a file moved over another's name is seen", async () => {
  const index = join(newDirectory(), "files.index");
  await hashesOf(index, ["renamed.jpg"]);
  copyFileSync(join(folder, "renamed.jpg"), join(folder, "copy"));
  writeFileSync(join(folder, "copy"), "other of renamed.jpg");
  renameSync(join(folder, "copy"), join(folder, "renamed.jpg"));
  expect((await hashesOf(index, ["renamed.jpg"])).hashes).toEqual([sha256("other of renamed.jpg")]);
});

test("a file written just now is read every time: its next change may leave no trace", async () => {
  const index = join(newDirectory(), "files.index");
  writeFileSync(join(folder, "new.jpg"), "new");
  expect((await hashesOf(index, ["new.jpg"])).read).toBe(1);
  expect((await hashesOf(index, ["new.jpg"])).read).toBe(1);
});

test("half a segment, garbage and a changed bit cost a read, never a wrong hash", async () => {
  const index = join(newDirectory(), "files.index");
  const one = await hashesOf(index, ["a.jpg"]);
  const [first, two] = [readFileSync(index), await hashesOf(index, ["b.jpg", odd])];
  const second = readFileSync(index).subarray(first.length);
  const hashes = [...one.hashes, ...two.hashes];
  const files = ["a.jpg", "b.jpg", odd];
  for (let at = 0; at < first.length; at++) {
    const changed = Buffer.from(first);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    writeFileSync(index, Buffer.concat([Buffer.from("garbage\nKFINDX"), changed, second]));
    reads.paths.length = 0;
    const damaged = await openFileIndex(index);
    expect(await Promise.all(files.map((name) => damaged.hashOf(join(folder, name))))).toEqual(hashes);
    expect(reads.paths).toEqual([join(folder, "a.jpg")]);
  }
  writeFileSync(index, Buffer.concat([first, second.subarray(0, -1)]));
  expect(await hashesOf(index, files)).toEqual({ hashes, read: 2 });
  expect(await hashesOf(index, files)).toEqual({ hashes, read: 0 });
});

test("an index of many segments is rewritten as one, and still right", async () => {
  const index = join(newDirectory(), "files.index");
  const { hashes } = await hashesOf(index, ["a.jpg", "b.jpg"]);
  const segment = readFileSync(index);
  for (let round = 0; round < 60; round++) appendFileSync(index, segment);
  expect(await hashesOf(index, ["a.jpg", "b.jpg"])).toEqual({ hashes, read: 0 });
  expect(readFileSync(index)).toEqual(segment);
  expect(await hashesOf(index, ["a.jpg", "b.jpg"])).toEqual({ hashes, read: 0 });
});

test("the size of a file is what it was when a run asked for its hash, and that of others what it is", async () => {
  const path = join(newDirectory(), "files.index");
  await hashesOf(path, ["a.jpg"]);
  const run = (await openFileIndex(path)).forRun();
  const [known, other] = [join(folder, "a.jpg"), join(folder, "b.jpg")];
  await run.hashOf(known);
  expect([run.sizeOf(known), run.sizeOf(other)]).toEqual([statSync(known).size, statSync(other).size]);
  expect(run.sizeOf(join(folder, "none.jpg"))).toBeUndefined();
});

test("a file is known by its absolute path, however it is asked for", async () => {
  const path = join(newDirectory(), "files.index");
  await hashesOf(path, ["a.jpg"]);
  reads.paths.length = 0;
  const index = await openFileIndex(path);
  const ways = [
    relative(process.cwd(), join(folder, "a.jpg")),
    `${folder}/none/../a.jpg`,
    `${folder}//./a.jpg`,
  ];
  for (const way of ways) expect(await index.hashOf(way)).toBe(sha256("bytes of a.jpg"));
  expect(reads.paths).toEqual([]);
});

test("an index that cannot be written fails nothing; a file that is not there does", async () => {
  writeFileSync(join(folder, "a file"), "");
  const index = join(folder, "a file", "files.index");
  expect((await hashesOf(index, ["a.jpg"])).hashes).toEqual([sha256("bytes of a.jpg")]);
  await expect(hashesOf(index, ["none.jpg"])).rejects.toThrow(/ENOENT/);
});

test("to one run a file is what it was when it was first asked for, to the next what it is then", async () => {
  const index = await openFileIndex(join(newDirectory(), "files.index"));
  const path = join(newDirectory(), "changed.jpg");
  writeFileSync(path, "before");
  const [run, next] = [index.forRun(), index.forRun()];
  expect(await run.hashOf(path)).toBe(sha256("before"));
  writeFileSync(path, "afterwards");
  expect(await run.hashOf(path)).toBe(sha256("before"));
  expect(await next.hashOf(path)).toBe(sha256("afterwards"));
});
