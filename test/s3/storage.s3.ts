import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ObjectStore } from "../../src/storage/object-store.ts";
import { openBucket } from "../../src/storage/s3-store.ts";
import { type Fault, startProxy } from "./faulty-proxy.ts";
import { type S3Server, serverProgram, startS3 } from "./s3-server.ts";

let server: S3Server;
let bucket: string;

beforeAll(async () => {
  if (!serverProgram) return;
  server = await startS3();
  bucket = server.newBucket();
});
afterAll(() => server?.stop());
beforeEach(() => {
  for (const name of ["AWS_MAX_ATTEMPTS", "AWS_PROFILE"]) delete process.env[name];
  if (server) Object.assign(process.env, server.env);
});

const bytes = (text: string) => Buffer.from(text);

/** Opens the bucket through a proxy that harms the first `times` requests that `pattern` matches. */
async function harmed(pattern: RegExp, harm: Fault, times: number): Promise<ObjectStore> {
  let left = times;
  const proxy = await startProxy(server.env["AWS_ENDPOINT_URL_S3"] ?? "", (line) =>
    pattern.test(line) && left-- > 0 ? harm : undefined,
  );
  process.env["AWS_ENDPOINT_URL_S3"] = proxy.endpoint;
  return openBucket(bucket);
}

describe.skipIf(!serverProgram)("a bucket", () => {
  test("gives back what was put, whole and in part, and null for what is not there", async () => {
    const store = await openBucket(bucket);
    await store.put("some/key é+ %.bin", bytes("hello world"));
    const found = await store.get("some/key é+ %.bin");
    expect(Buffer.from(found?.bytes ?? []).toString()).toBe("hello world");
    const part = await store.get("some/key é+ %.bin", { from: 6, to: 9 });
    expect(Buffer.from(part?.bytes ?? []).toString()).toBe("wor");
    expect(await store.get("some/none")).toBeNull();
    expect(await store.get("some/key é+ %.bin", { from: 100, to: 110 })).toBeNull();
    expect(await store.find("some/key é+ %.bin")).toMatchObject({ bytes: 11 });
    expect(await store.find("some/key")).toBeNull();
  });

  test("lists folders, and more than a thousand objects", async () => {
    const store = await openBucket(bucket);
    await Promise.all(
      Array.from({ length: 1100 }, (_, index) => store.put(`many/${index % 3}/${index}`, bytes("x"))),
    );
    const keys: string[] = [];
    for await (const { key } of store.list("many/")) keys.push(key);
    expect(keys).toHaveLength(1100);
    expect(keys).toEqual([...keys].sort());
    expect(await store.listFolder("many/")).toMatchObject({
      objects: [],
      folders: ["many/0/", "many/1/", "many/2/"],
    });
  });

  test("of many writers of one new key one succeeds, and the object is that one's", async () => {
    const store = await openBucket(bucket);
    const texts = Array.from({ length: 12 }, (_, index) => String(index).repeat(50_000));
    const won = await Promise.all(texts.map((text) => store.putIfAbsent("raced", bytes(text))));
    const winners = texts.filter((_, index) => won[index]);
    expect(winners).toHaveLength(1);
    expect(Buffer.from((await store.get("raced"))?.bytes ?? []).toString()).toBe(winners[0]);
  });

  test.each([
    ["busy", /^GET .*key/, 3],
    ["down", /^GET .*key/, 3],
    ["cut", /^GET .*key/, 3],
    ["slow", /^GET .*key/, 1],
    ["busy", /list-type/, 3],
  ] as const)(
    "a server that is %s for a while costs attempts and nothing else (%s)",
    async (harm, pattern, times) => {
      await (await openBucket(bucket)).put("harm/key", Buffer.alloc(100_000, 7));
      const store = await harmed(pattern, harm, times);
      expect(Buffer.from((await store.get("harm/key"))?.bytes ?? [])).toEqual(Buffer.alloc(100_000, 7));
      expect(await store.find("harm/key")).toMatchObject({ bytes: 100_000 });
    },
  );

  test("a conditional write whose answer was lost is not made twice", async () => {
    const store = await harmed(/^PUT .*lost/, "cut", 1);
    await store.putIfAbsent("lost", bytes("once"));
    expect(Buffer.from((await store.get("lost"))?.bytes ?? []).toString()).toBe("once");
  });
});

describe.skipIf(!serverProgram)("what cannot be done is told by name, with the way out", () => {
  const refused = async (change: Record<string, string>, use = bucket): Promise<string> => {
    Object.assign(process.env, change);
    const store = await openBucket(use);
    return store.find("any").then(
      () => "no error",
      (error: Error & { code: string }) => `${error.name} ${error.code} ${error.message}`,
    );
  };

  test("no such bucket", async () => {
    expect(await refused({}, "nobody-has-this")).toMatch(
      /^MachineError s3-no-bucket s3:\/\/nobody-has-this\/any: .*Make it, or correct the address/,
    );
  });

  test("keys that are wrong", async () => {
    expect(await refused({ AWS_SECRET_ACCESS_KEY: "wrong" })).toMatch(/s3-credentials .*AWS_ACCESS_KEY_ID/);
    expect(await refused({ AWS_ACCESS_KEY_ID: "nobody" })).toMatch(/s3-credentials .*AWS_ACCESS_KEY_ID/);
  });

  test("no credentials, no region", async () => {
    const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _key, ...rest } = process.env;
    process.env = { ...rest, AWS_SHARED_CREDENTIALS_FILE: "/nowhere", AWS_CONFIG_FILE: "/nowhere" };
    expect(await refused({})).toMatch(
      /s3-credentials .*expected credentials, got none\. Set AWS_ACCESS_KEY_ID/,
    );
    Object.assign(process.env, server.env);
    delete process.env["AWS_REGION"];
    expect(await refused({})).toMatch(/s3-region .*Set AWS_REGION/);
    process.env = { ...rest, ...server.env };
  });

  test("a server that is not there, and a name that nobody knows", async () => {
    expect(await refused({ AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9", AWS_MAX_ATTEMPTS: "2" })).toMatch(
      /s3-unreachable .*got ECONNREFUSED: the storage does not answer\. Check the network and AWS_ENDPOINT_URL_S3/,
    );
    expect(await refused({ AWS_ENDPOINT_URL_S3: "http://no.such.host.invalid" })).toMatch(/s3-unreachable/);
  });

  test("a server that is busy to the end, and one that never answers", async () => {
    process.env["AWS_MAX_ATTEMPTS"] = "2";
    const busy = await harmed(/./, "busy", 100);
    await expect(busy.find("any")).rejects.toThrow(/503 SlowDown.* after 2 attempts.*fewer tasks at once/);
    process.env["AWS_MAX_ATTEMPTS"] = "1";
    Object.assign(process.env, server.env);
    const silent = await harmed(/./, "silent", 100);
    await expect(silent.find("any")).rejects.toMatchObject({ code: "s3-unreachable" });
  });
});
