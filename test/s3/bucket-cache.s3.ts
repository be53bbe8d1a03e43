import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openBucketCache } from "../../src/features/cache/bucket-cache.ts";
import { cachedRecords } from "../../src/features/cache/feature-cache.ts";
import type { FeatureCache } from "../../src/features/cache/kept-features.ts";
import { recordLayout } from "../../src/features/cache/record.ts";
import { features, sampleKey, tensors } from "../features/cache/cache-folder.ts";
import { startProxy } from "./faulty-proxy.ts";
import { type S3Server, serverProgram, startS3 } from "./s3-server.ts";

let server: S3Server;
let bucket: string;
let directory: string;

beforeAll(async () => {
  if (serverProgram) server = await startS3();
});
afterAll(() => server?.stop());
beforeEach(() => {
  if (!server) return;
  Object.assign(process.env, server.env);
  delete process.env["AWS_MAX_ATTEMPTS"];
  bucket = server.newBucket();
  directory = `s3://${bucket}/cache`;
});

const layout = recordLayout(tensors, "float32");
/** Ten records of test features, with their keys. */
const packBytes = 10 * (layout.bytes + 40);

function openCache(own: Partial<Parameters<typeof openBucketCache>[0]> = {}): Promise<FeatureCache> {
  return openBucketCache({ directory, trunkKey: "trunk", layout, packBytes, ...own });
}

async function fill(cache: FeatureCache, from: number, to: number): Promise<boolean[]> {
  const kept: boolean[] = [];
  for (let sample = from; sample < to; sample++)
    kept.push(await cache.put(sampleKey(sample), features(sample)));
  return kept;
}

/** Returns the bits of what a cache gives for samples 0 to `count`, by their number. */
async function read(cache: FeatureCache, count: number): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  const keys = Array.from({ length: count }, (_, sample) => sampleKey(sample));
  await cache.readEach(keys, (sample, arrays) => found.set(sample, bits(arrays)));
  return found;
}

const bits = (arrays: readonly Float32Array[]): string =>
  arrays.map((each) => Buffer.from(each.buffer, each.byteOffset, each.byteLength).toString("hex")).join(" ");

const expected = (...samples: number[]) => new Map(samples.map((sample) => [sample, bits(features(sample))]));
const upTo = (count: number) => Array.from({ length: count }, (_, sample) => sample);

/** The files of the packs below the server's folder. */
function packs(): string[] {
  const folder = server.folderOf(bucket);
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".pack"))
    .sort()
    .map((path) => join(folder, path));
}

describe.skipIf(!serverProgram)("features in a bucket", () => {
  test("are what was put, to the bit, in this process and the next, in few objects", async () => {
    const cache = await openCache();
    expect(await fill(cache, 0, 25)).toEqual(upTo(25).map(() => true));
    expect(bits((await cache.get(sampleKey(24))) ?? [])).toBe(bits(features(24)));
    expect(await read(cache, 25)).toEqual(expected(...upTo(25)));
    await cache.close();
    expect(packs()).toHaveLength(3);
    const next = await openCache();
    expect(next.stats()).toMatchObject({ records: 25, stored: 0, damaged: 0 });
    expect(await read(next, 30)).toEqual(expected(...upTo(25)));
    expect(await next.readEach([sampleKey(26), sampleKey(2), sampleKey(2)], () => {})).toEqual([0]);
    await next.close();
    const records = await cachedRecords({ directory, trunkKey: "trunk", tensors });
    expect(upTo(26).map((index) => records.has(sampleKey(index)))).toEqual([
      ...upTo(25).map(() => true),
      false,
    ]);
    expect((await cachedRecords({ directory, trunkKey: "other", tensors })).samples).toBe(0);
  });

  test("are stored once by two writers that do the same at the same time", async () => {
    const both = await Promise.all([openCache(), openCache()]);
    await Promise.all(both.map((cache) => fill(cache, 0, 20)));
    await Promise.all(both.map((cache) => cache.close()));
    expect(packs()).toHaveLength(2);
    expect(await read(await openCache(), 20)).toEqual(expected(...upTo(20)));
  });

  test("of eight writers are all there", async () => {
    const writers = await Promise.all(upTo(8).map(() => openCache()));
    await Promise.all(writers.map((cache, index) => fill(cache, index * 12, index * 12 + 14)));
    await Promise.all(writers.map((cache) => cache.close()));
    expect(await read(await openCache(), 98)).toEqual(expected(...upTo(98)));
  });

  test("are not there where an object is gone, and are told of where one is cut off or altered", async () => {
    const cache = await openCache();
    await fill(cache, 0, 40);
    await cache.close();
    const [gone = "", cut = "", altered = "", renamed = ""] = packs();
    rmSync(gone);
    truncateSync(cut, statSync(cut).size - 1);
    const bytes = readFileSync(altered);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    writeFileSync(altered, bytes);
    const half = readFileSync(renamed);
    // A whole number of records again, but not those of the name.
    writeFileSync(renamed, half.subarray(0, 5 * (layout.bytes + 40)));
    const warnings: string[] = [];
    const next = await openCache({ onWarning: (message) => warnings.push(message) });
    const found = await read(next, 40);
    expect(found.size).toBe(9);
    for (const [sample, value] of found) expect(value).toBe(bits(features(sample)));
    expect(warnings.join("\n")).toMatch(/got 2 that are truncated or altered: s3:.*pack, s3:.*pack/);
    expect(warnings.join("\n")).toMatch(/got 1 that are truncated or altered/);
    // What is computed again is kept again, in the place of the damaged objects too.
    await fill(next, 0, 40);
    await next.close();
    const last = await openCache({ onWarning: (message) => warnings.push(message) });
    expect(await read(last, 40)).toEqual(expected(...upTo(40)));
  });

  test("that another machine writes meanwhile are found by looking again", async () => {
    const [cache, other] = await Promise.all([openCache(), openCache()]);
    await fill(other, 0, 5);
    await other.close();
    expect(cache.has(sampleKey(3))).toBe(false);
    await cache.refresh();
    expect(await read(cache, 5)).toEqual(expected(...upTo(5)));
  });

  test("as float16 are rounded alike in memory and in the bucket", async () => {
    const half = recordLayout(tensors, "float16");
    const put = features(3);
    const cache = await openCache({ layout: half });
    await cache.put(sampleKey(3), put);
    expect(bits((await cache.get(sampleKey(3))) ?? [])).toBe(bits(put));
    await cache.close();
    const next = await openCache({ layout: half });
    expect(bits((await next.get(sampleKey(3))) ?? [])).toBe(bits(put));
  });
});

describe.skipIf(!serverProgram)("a bucket that fails", () => {
  test("in writing keeps nothing more, loses nothing that is stored, and counts what it lost", async () => {
    process.env["AWS_MAX_ATTEMPTS"] = "2";
    let left = 2;
    const proxy = await startProxy(server.env["AWS_ENDPOINT_URL_S3"] ?? "", (line) =>
      /^PUT .*\.pack/.test(line) && left-- <= 0 ? "busy" : undefined,
    );
    process.env["AWS_ENDPOINT_URL_S3"] = proxy.endpoint;
    const warnings: string[] = [];
    const cache = await openCache({ onWarning: (message) => warnings.push(message) });
    const kept = await fill(cache, 0, 60);
    const lost = await cache.flush();
    expect(kept.filter(Boolean).length - lost).toBe(20);
    expect(warnings.join()).toMatch(/503 SlowDown.*computed again by the next run/);
    await cache.close();
    process.env["AWS_ENDPOINT_URL_S3"] = server.env["AWS_ENDPOINT_URL_S3"];
    expect(await read(await openCache(), 60)).toEqual(expected(...upTo(20)));
  });

  test("in reading is an error, not features that are computed again without a word", async () => {
    const cache = await openCache();
    await fill(cache, 0, 20);
    await cache.close();
    process.env["AWS_MAX_ATTEMPTS"] = "2";
    const proxy = await startProxy(server.env["AWS_ENDPOINT_URL_S3"] ?? "", (line) =>
      /^GET .*\.pack/.test(line) ? "busy" : undefined,
    );
    process.env["AWS_ENDPOINT_URL_S3"] = proxy.endpoint;
    await expect(openCache()).rejects.toMatchObject({ code: "s3-busy" });
  });
});

describe.skipIf(serverProgram?.name !== "versitygw")("a bucket that may only be read", () => {
  test("gives its features, and says once that it keeps no others", async () => {
    const writable = await startS3();
    try {
      Object.assign(process.env, writable.env);
      bucket = writable.newBucket();
      directory = `s3://${bucket}/cache`;
      const cache = await openCache();
      await fill(cache, 0, 5);
      await cache.close();
      await writable.kill();
      await writable.start({ readOnly: true });
      const warnings: string[] = [];
      const next = await openCache({ onWarning: (message) => warnings.push(message) });
      expect(await read(next, 5)).toEqual(expected(...upTo(5)));
      expect(warnings).toEqual([]);
      expect(await next.ready()).toBe(false);
      expect(await fill(next, 5, 8)).toEqual([false, false, false]);
      expect(warnings).toHaveLength(1);
      expect(warnings.join()).toMatch(
        /access denied: cannot write\. Allow s3:PutObject.*Features are not kept/,
      );
      await next.close();
    } finally {
      await writable.stop();
    }
  });
});
