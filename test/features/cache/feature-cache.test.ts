import {
  appendFileSync,
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import {
  features,
  filesIn,
  newDirectory,
  openCache,
  recordBytes,
  sampleKey,
  startWorker,
  tensors,
  trunkFolders,
} from "./cache-folder.ts";

/** A record and its entry in the list of keys. */
const diskBytes = recordBytes + 40;

/** Compares bits, so that -0, subnormals and NaN count. */
function bits(arrays: readonly Float32Array[] | undefined): string[] | undefined {
  return arrays?.map((values) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("hex"),
  );
}

async function filledDirectory(count: number, own: Parameters<typeof openCache>[1] = {}): Promise<string> {
  const directory = newDirectory();
  const cache = await openCache(directory, own);
  for (let sample = 0; sample < count; sample++) await cache.put(sampleKey(sample), features(sample));
  await cache.close();
  return directory;
}

describe("what is read", () => {
  test("equals what was written, to the bit, in the same run and the next", async () => {
    const directory = newDirectory();
    const cache = await openCache(directory);
    for (const sample of [0, 1, 2]) expect(await cache.put(sampleKey(sample), features(sample))).toBe(true);
    expect(bits(await cache.get(sampleKey(1)))).toEqual(bits(features(1)));
    await cache.close();
    const next = await openCache(directory);
    for (const sample of [2, 0, 1])
      expect(bits(await next.get(sampleKey(sample)))).toEqual(bits(features(sample)));
    expect(next.stats()).toEqual({ records: 3, stored: 0, damaged: 0, bytes: 3 * diskBytes });
    await next.close();
  });

  test("keeps every NaN's bits", async () => {
    const cache = await openCache(newDirectory());
    const arrays = features(0);
    new Uint32Array(arrays[0]!.buffer).set([0x7fc00001, 0xffabcdef], 3);
    const written = bits(arrays);
    await cache.put(sampleKey(0), arrays);
    expect(bits(await cache.get(sampleKey(0)))).toEqual(written);
    await cache.close();
  });

  test("goes into the asked row of each tensor and nowhere else", async () => {
    const cache = await openCache(await filledDirectory(3));
    const destination = [new Float32Array(4 * 128).fill(7), new Float32Array(4 * 10).fill(7)];
    expect(await cache.readInto(sampleKey(2), destination, 1)).toBe(true);
    expect(
      bits(destination.map((rows, tensor) => rows.slice([128, 10][tensor]!, 2 * [128, 10][tensor]!))),
    ).toEqual(bits(features(2)));
    const others = destination.flatMap((rows, tensor) => {
      const size = [128, 10][tensor]!;
      return [...rows.subarray(0, size), ...rows.subarray(2 * size)];
    });
    expect(new Set(others)).toEqual(new Set([7]));
    await cache.close();
  });

  test("is nothing for a sample that was not put, nor under another trunk, shape or storage", async () => {
    const directory = await filledDirectory(1);
    const others = [
      { trunkKey: "another trunk" },
      { tensors: [{ name: "block_out", shape: [8, 4, 4] }, tensors[1]] },
      { storage: "float16" as const },
    ];
    const same = await openCache(directory);
    expect(same.has(sampleKey(0))).toBe(true);
    expect(await same.get(sampleKey(1))).toBeUndefined();
    expect(await same.readInto(sampleKey(1), features(0), 0)).toBe(false);
    for (const other of others) {
      const cache = await openCache(directory, other);
      expect(await cache.get(sampleKey(0))).toBeUndefined();
      await cache.close();
    }
    await same.close();
  });

  test("comes whole to many readers at once, while others are put", async () => {
    const cache = await openCache(await filledDirectory(40));
    const puts = [...Array(40).keys()].map((index) =>
      cache.put(sampleKey(100 + index), features(100 + index)),
    );
    const gets = [...Array(200).keys()].map(async (index) => {
      expect(bits(await cache.get(sampleKey(index % 40)))).toEqual(bits(features(index % 40)));
    });
    await Promise.all([...puts, ...gets]);
    for (let sample = 100; sample < 140; sample++)
      expect(bits(await cache.get(sampleKey(sample)))).toEqual(bits(features(sample)));
    await cache.close();
  });

  test("is kept once, however often it is put", async () => {
    const directory = await filledDirectory(1);
    const cache = await openCache(directory);
    await Promise.all([1, 1, 0].map((sample) => cache.put(sampleKey(sample), features(sample))));
    expect(cache.stats()).toMatchObject({ records: 2, stored: 1 });
    await cache.close();
    const sizes = filesIn(directory, ".pack").map((path) => statSync(path).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2 * recordBytes);
  });
});

describe("float16", () => {
  test("takes half the bytes, and rounds what is put so that a hit and a miss are the same", async () => {
    const directory = newDirectory();
    const cache = await openCache(directory, { storage: "float16" });
    const arrays = features(3);
    await cache.put(sampleKey(3), arrays);
    expect(bits(arrays)).not.toEqual(bits(features(3)));
    await cache.close();
    const next = await openCache(directory, { storage: "float16" });
    expect(bits(await next.get(sampleKey(3)))).toEqual(bits(arrays));
    expect(next.recordBytes).toBe(recordBytes / 2);
    expect(statSync(filesIn(directory, ".pack")[0]!).size).toBe(recordBytes / 2);
    await next.close();
  });

  test("rounds also what cannot be kept", async () => {
    const [kept, lost] = [features(3), features(3)];
    const cache = await openCache(newDirectory(), { storage: "float16" });
    const full = await openCache(newDirectory(), { storage: "float16", maxBytes: 0 });
    expect(await cache.put(sampleKey(3), kept)).toBe(true);
    expect(await full.put(sampleKey(3), lost)).toBe(false);
    expect(bits(lost)).toEqual(bits(kept));
    await Promise.all([cache.close(), full.close()]);
  });
});

describe("damage", () => {
  test.each([0, 1, 300, recordBytes - 1])(
    "a changed byte (at %i of a record) is a miss for that sample alone",
    async (at) => {
      const directory = await filledDirectory(3);
      const file = await open(filesIn(directory, ".pack")[0]!, "r+");
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, recordBytes + at);
      byte[0]! ^= 0x10;
      await file.write(byte, 0, 1, recordBytes + at);
      await file.close();
      const cache = await openCache(directory);
      expect(await cache.get(sampleKey(1))).toBeUndefined();
      expect(cache.has(sampleKey(1))).toBe(false);
      expect(bits(await cache.get(sampleKey(0)))).toEqual(bits(features(0)));
      expect(bits(await cache.get(sampleKey(2)))).toEqual(bits(features(2)));
      expect(cache.stats()).toMatchObject({ records: 2, damaged: 1 });
      await cache.put(sampleKey(1), features(1));
      await cache.close();
      const healed = await openCache(directory);
      expect(bits(await healed.get(sampleKey(1)))).toEqual(bits(features(1)));
      await healed.close();
    },
  );

  test("a pack cut anywhere loses the samples behind the cut and no others", async () => {
    for (const size of [0, 1, recordBytes, recordBytes * 2 - 1, recordBytes * 3 - 1]) {
      const directory = await filledDirectory(3);
      truncateSync(filesIn(directory, ".pack")[0]!, size);
      const cache = await openCache(directory);
      const whole = Math.floor(size / recordBytes);
      expect(cache.stats().records).toBe(whole);
      for (const sample of [0, 1, 2]) {
        expect(bits(await cache.get(sampleKey(sample)))).toEqual(
          sample < whole ? bits(features(sample)) : undefined,
        );
      }
      await cache.close();
    }
  });

  test("half an entry, garbage behind the keys and a changed key are passed over", async () => {
    const directory = await filledDirectory(3);
    const keys = filesIn(directory, ".keys")[0]!;
    const bytes = readFileSync(keys);
    bytes[45]! ^= 1;
    writeFileSync(keys, bytes);
    appendFileSync(keys, Buffer.alloc(57, 3));
    const cache = await openCache(directory);
    expect([0, 1, 2].map((sample) => cache.has(sampleKey(sample)))).toEqual([true, false, true]);
    expect(cache.stats().records).toBe(2);
    await cache.close();
  });

  test("a record in another's place does not pass for it", async () => {
    const directory = await filledDirectory(2);
    const pack = filesIn(directory, ".pack")[0]!;
    const bytes = readFileSync(pack);
    writeFileSync(pack, Buffer.concat([bytes.subarray(recordBytes), bytes.subarray(0, recordBytes)]));
    const cache = await openCache(directory);
    expect(await cache.get(sampleKey(0))).toBeUndefined();
    expect(await cache.get(sampleKey(1))).toBeUndefined();
    await cache.close();
  });
});

describe("processes", () => {
  test("a writer killed at any moment leaves whole records, and the next goes on", async () => {
    const directory = newDirectory();
    const worker = startWorker("write", directory, "0", "1000000");
    await worker.said("twenty");
    worker.process.kill("SIGKILL");
    expect(await worker.ended).toBe("SIGKILL");
    const cache = await openCache(directory);
    const { records } = cache.stats();
    expect(records).toBeGreaterThanOrEqual(20);
    for (let sample = 0; sample < records; sample++) {
      expect(bits(await cache.get(sampleKey(sample)))).toEqual(bits(features(sample)));
    }
    expect(cache.stats().damaged).toBe(0);
    await cache.put(sampleKey(records), features(records));
    expect(bits(await cache.get(sampleKey(records)))).toEqual(bits(features(records)));
    await cache.close();
  });

  test("several write at once, and each sees what the others wrote", async () => {
    const directory = newDirectory();
    const cache = await openCache(directory);
    const workers = [0, 150].map((from) => startWorker("write", directory, String(from), "200"));
    for (let sample = 300; sample < 400; sample++) await cache.put(sampleKey(sample), features(sample));
    expect(await Promise.all(workers.map(({ ended }) => ended))).toEqual([0, 0]);
    await cache.refresh();
    expect(cache.stats()).toMatchObject({ records: 400, stored: 100, damaged: 0 });
    for (let sample = 0; sample < 400; sample += 7) {
      expect(bits(await cache.get(sampleKey(sample)))).toEqual(bits(features(sample)));
    }
    await cache.close();
    expect(filesIn(directory, ".pack")).toHaveLength(3);
  });
});

describe("many samples", () => {
  test("are read with one call, each once for every time that it is asked for, and the absent are named", async () => {
    const directory = await filledDirectory(40);
    const cache = await openCache(directory);
    const found = new Map<number, string[] | undefined>();
    const asked = [7, 99, 3, 39, 7, 98, 0];
    const absent = await cache.readEach(asked.map(sampleKey), (index, arrays) => {
      found.set(index, bits(arrays));
    });
    expect(absent).toEqual([1, 5]);
    expect(found).toEqual(
      new Map([0, 2, 3, 4, 6].map((index) => [index, bits(features(asked[index] ?? 0))])),
    );
    await cache.close();
  });

  test("come from another pack where one is damaged, and are absent where all are", async () => {
    const directory = newDirectory();
    const both = [await openCache(directory), await openCache(directory)];
    for (const cache of both)
      for (const sample of [0, 1, 2]) await cache.put(sampleKey(sample), features(sample));
    for (const cache of both) await cache.close();
    const [one = "", other = ""] = filesIn(directory, ".pack");
    const damage = async (path: string, sample: number) => {
      const file = await open(path, "r+");
      await file.write(Buffer.from([1, 2, 3]), 0, 3, sample * recordBytes + 8);
      await file.close();
    };
    await damage(one, 0);
    await damage(one, 1);
    await damage(other, 1);
    const cache = await openCache(directory);
    const found: number[] = [];
    const absent = await cache.readEach([0, 1, 2].map(sampleKey), (index, arrays) => {
      expect(bits(arrays)).toEqual(bits(features(index)));
      found.push(index);
    });
    expect([found.sort(), absent]).toEqual([[0, 2], [1]]);
    expect(cache.stats().damaged).toBe(3);
    await cache.close();
  });

  test("as float16 are what was kept", async () => {
    const cache = await openCache(newDirectory(), { storage: "float16" });
    const kept = [features(1), features(2)];
    for (const [index, arrays] of kept.entries()) await cache.put(sampleKey(index), arrays);
    await cache.readEach([1, 0].map(sampleKey), (index, arrays) => {
      expect(bits(arrays)).toEqual(bits(kept[1 - index]));
    });
    await cache.close();
  });
});

describe("the limit of the cache", () => {
  /** A trunk with 10 records, last used so many hours ago. */
  async function addTrunk(directory: string, trunkKey: string, hoursAgo: number): Promise<string> {
    const before = new Set(existsSync(directory) ? trunkFolders(directory) : []);
    const cache = await openCache(directory, { trunkKey, maxBytes: 1e9 });
    for (let sample = 0; sample < 10; sample++) await cache.put(sampleKey(sample), features(sample));
    await cache.close();
    const folder = trunkFolders(directory).find((path) => !before.has(path))!;
    const used = new Date(Date.now() - hoursAgo * 3_600_000);
    utimesSync(folder, used, used);
    return folder;
  }

  const tenRecords = 10 * diskBytes;

  test("evicts whole trunks, the least recently used first, and no more than it must", async () => {
    const directory = newDirectory();
    const [middle, oldest, newest] = [
      await addTrunk(directory, "middle", 2),
      await addTrunk(directory, "oldest", 3),
      await addTrunk(directory, "newest", 1),
    ];
    const cache = await openCache(directory, { trunkKey: "own", maxBytes: 3.05 * tenRecords });
    expect([oldest, middle, newest].map(existsSync)).toEqual([true, true, true]);
    await cache.put(sampleKey(0), features(0));
    await cache.put(sampleKey(1), features(1));
    expect([oldest, middle, newest].map(existsSync)).toEqual([false, true, true]);
    await cache.close();
    const smaller = await openCache(directory, { trunkKey: "own", maxBytes: tenRecords });
    expect([middle, newest].map(existsSync)).toEqual([false, false]);
    expect(smaller.stats().records).toBe(2);
    await smaller.close();
    expect(readdirSync(directory)).toHaveLength(1);
  });

  test("never evicts a trunk that this or another process uses, and says so once", async () => {
    const directory = newDirectory();
    const worker = startWorker("hold", directory);
    await worker.said("holding");
    const ours = await openCache(directory, { trunkKey: "ours" });
    await ours.put(sampleKey(5), features(5));
    const warnings: string[] = [];
    const cache = await openCache(directory, {
      trunkKey: "own",
      maxBytes: 3.5 * diskBytes,
      onWarning: (text) => warnings.push(text),
    });
    const kept: boolean[] = [];
    for (let sample = 0; sample < 5; sample++)
      kept.push(await cache.put(sampleKey(sample), features(sample)));
    expect(kept).toEqual([true, false, false, false, false]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/Raise cacheMax/);
    expect(trunkFolders(directory)).toHaveLength(3);
    expect(bits(await ours.get(sampleKey(5)))).toEqual(bits(features(5)));
    expect(bits(await cache.get(sampleKey(0)))).toEqual(bits(features(0)));

    worker.process.kill("SIGKILL");
    await worker.ended;
    await Promise.all([ours.close(), cache.close()]);
    const next = await openCache(directory, { trunkKey: "next", maxBytes: 1.5 * diskBytes });
    await next.put(sampleKey(9), features(9));
    expect(trunkFolders(directory)).toHaveLength(1);
    await next.close();
  });

  test("processes that evict each other's trunks never lose one that is open", async () => {
    const directory = newDirectory();
    const workers = ["a", "b", "c"].map((name) => startWorker("churn", directory, name));
    expect(await Promise.all(workers.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    expect(filesIn(directory, "").filter((path) => /\/(use|\.evicting)-/.test(path))).toEqual([]);
  });

  test("a trunk that was evicted is made anew by its next user", async () => {
    const directory = newDirectory();
    const folder = await addTrunk(directory, "first", 1);
    await (await openCache(directory, { trunkKey: "second", maxBytes: 0 })).close();
    expect(existsSync(folder)).toBe(false);
    const again = await openCache(directory, { trunkKey: "first" });
    expect(again.stats().records).toBe(0);
    expect(await again.put(sampleKey(0), features(0))).toBe(true);
    await again.close();
  });

  test("what a killed eviction left is removed by the next run", async () => {
    const directory = await filledDirectory(1);
    const { mkdirSync, renameSync } = await import("node:fs");
    mkdirSync(join(directory, "other"));
    renameSync(join(directory, "other"), join(directory, ".evicted-0123456789abcdef"));
    await (await openCache(directory)).close();
    expect(readdirSync(directory).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("a disk that fails", () => {
  test("while writing: one warning, what was kept stays right, and the pack ends with a whole record", async () => {
    const directory = newDirectory();
    const warnings: string[] = [];
    const cache = await openCache(directory, { onWarning: (text) => warnings.push(text) });
    await cache.put(sampleKey(0), features(0));
    const { prototype } = (await open(filesIn(directory, ".pack")[0]!, "r").then(async (file) => {
      await file.close();
      return file.constructor;
    })) as unknown as { prototype: { write: (...args: unknown[]) => Promise<{ bytesWritten: number }> } };
    const write = prototype.write;
    let calls = 0;
    const spy = vi.spyOn(prototype, "write").mockImplementation(async function (this: unknown, ...args) {
      if (calls++ === 0) return write.call(this, args[0], args[1], 50, args[3]);
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    });
    expect(await cache.put(sampleKey(1), features(1))).toBe(false);
    spy.mockRestore();
    expect(await cache.put(sampleKey(2), features(2))).toBe(false);
    expect(warnings).toEqual([
      `feature cache ${directory}: no space left on the device. What is cached stays right; features of further samples are computed again by the next run. Free space, or give another cache.`,
    ]);
    expect(bits(await cache.get(sampleKey(0)))).toEqual(bits(features(0)));
    expect(await cache.get(sampleKey(1))).toBeUndefined();
    await cache.close();
    expect(statSync(filesIn(directory, ".pack")[0]!).size).toBe(recordBytes);
    const next = await openCache(directory);
    expect(next.stats()).toMatchObject({ records: 1, damaged: 0 });
    await next.close();
  });

  test("before anything is written: the run goes on without a cache", async () => {
    const directory = join(newDirectory(), "file");
    writeFileSync(directory, "");
    chmodSync(directory, 0o444);
    const warnings: string[] = [];
    const cache = await openCache(directory, { onWarning: (text) => warnings.push(text) });
    expect(await cache.put(sampleKey(0), features(0))).toBe(false);
    expect(await cache.get(sampleKey(0))).toBeUndefined();
    await cache.close();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /expected a folder, got a file\. Features are not kept\. Give another cache, or cache: false\.$/,
    );
  });
});

test("features of another size than the layout's are a programming error", async () => {
  const cache = await openCache(newDirectory());
  await expect(cache.put(sampleKey(0), [new Float32Array(128)])).rejects.toThrow(
    /expected 128, 10 values.*got 128$/,
  );
  await cache.close();
});
