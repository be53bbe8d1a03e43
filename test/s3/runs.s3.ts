/** Whole runs of the command line on data and features in a bucket. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openBucket } from "../../src/storage/s3-store.ts";
import { type CliResult, fixture, photos, runCli, scratch } from "../cli/run-cli.ts";
import { startProxy } from "./faulty-proxy.ts";
import { type S3Server, serverProgram, startS3 } from "./s3-server.ts";

let server: S3Server;
let bucket: string;
let env: Readonly<Record<string, string>>;
let cache: string;

beforeAll(async () => {
  if (serverProgram) server = await startS3();
});
afterAll(() => server?.stop());
beforeEach(() => {
  if (!server) return;
  bucket = server.newBucket();
  cache = `s3://${bucket}/features`;
  env = { ...server.env, KERAS_FINETUNE_HOME: join(scratch(), "home") };
});

const model = fixture("cli", "small_resnet.keras");

async function upload(files: Iterable<readonly [path: string, bytes: Uint8Array]>): Promise<string> {
  Object.assign(process.env, server.env);
  const store = await openBucket(bucket);
  for (const [path, bytes] of files) await store.put(`data/${path}`, bytes);
  return `s3://${bucket}/data`;
}

const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(folder.length + 1), readFileSync(path)] as const);

/** Runs the command in a process of its own, whose engine, clock and packages are its own too. */
const finetune = (args: readonly string[], own: Readonly<Record<string, string>> = {}): Promise<CliResult> =>
  runCli(args, { env: { ...env, ...own }, watch: () => {} });

const packs = () =>
  readdirSync(server.folderOf(bucket), { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith(".pack"),
  );

describe.skipIf(!serverProgram)("a run on a bucket", () => {
  test("finds what shards on other machines extracted, and trains as one on the same files on a disk", async () => {
    const folder = photos({ brick: 5, grass: 5 });
    const data = await upload(filesBelow(folder));
    const args = ["--model", model, "--cache", cache, "--json"];
    const shards = [];
    for (const index of [0, 1, 2]) {
      const { code, stdout, stderr } = await finetune(
        ["extract", ...args, "--data", data, "--shard", `${index}/3`],
        // Each machine has a home of its own.
        { KERAS_FINETUNE_HOME: join(scratch(), "home") },
      );
      expect([code, stderr.match(/^\s+at /m)]).toEqual([0, null]);
      shards.push(JSON.parse(stdout) as { samples: number; extracted: number });
    }
    expect(shards.reduce((sum, { samples }) => sum + samples, 0)).toBe(10);
    const manifests = [];
    for await (const { key } of (await openBucket(bucket)).list("features/"))
      manifests.push(key.split("/").at(-1));
    expect(manifests.filter((name) => name?.startsWith("shard"))).toEqual([
      "shard-0-of-3.json",
      "shard-1-of-3.json",
      "shard-2-of-3.json",
    ]);
    const again = await finetune(["extract", ...args, "--data", data, "--shard", "1/3"]);
    expect(JSON.parse(again.stdout)).toMatchObject({ extracted: 0 });
    const proxy = await startProxy(server.env["AWS_ENDPOINT_URL_S3"] ?? "");
    const there = await finetune([...args, "--data", data, "--epochs", "2", "--no-report"], {
      AWS_ENDPOINT_URL_S3: proxy.endpoint,
    });
    const here = await finetune([
      "--model",
      model,
      "--data",
      folder,
      "--epochs",
      "2",
      "--no-report",
      "--json",
    ]);
    const [one, other] = [there, here].map(({ stdout }) => JSON.parse(stdout));
    expect(one.features).toMatchObject({ samples: 10, extracted: 0, cached: 10 });
    const figures = ({ history }: typeof one) =>
      history.map(({ loss, val_loss }: { loss: number; val_loss: number }) => [loss, val_loss]);
    expect(figures(one)).toEqual(figures(other));
    if (server.program === "versitygw") {
      // The hashes came from the other machines' index: the images are only read for the seconds that the plan tells.
      const read = new Set(proxy.requests.filter((line) => /^GET .*\.jpg/.test(line)));
      expect(read.size).toBeLessThanOrEqual(7);
    }
  });

  test("reads its images from the bucket too when it evaluates and predicts, and goes on from its state", async () => {
    const data = await upload(filesBelow(photos({ brick: 5, grass: 5 })));
    const out = join(scratch(), "run");
    const trained = await finetune([
      "--model",
      model,
      "--data",
      data,
      "--cache",
      cache,
      "--epochs",
      "1",
      "--out",
      out,
    ]);
    expect([trained.code, trained.stderr.match(/^\s+at /m)]).toEqual([0, null]);
    const page = readFileSync(join(out, "report.html"), "utf8");
    expect(page).toContain("data:image/jpeg;base64,");
    const more = await finetune(["--resume", out, "--epochs", "2", "--json"]);
    expect(JSON.parse(more.stdout)).toMatchObject({ epochs: 2, features: { extracted: 0 } });
    const evaluated = await finetune(["evaluate", out, "--data", data, "--json"]);
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ bad: [] });
    const predicted = await finetune(["predict", out, `${data}/brick`, "--json"]);
    expect(JSON.parse(predicted.stdout)).toHaveLength(5);
  });

  test("on a machine whose clock is wrong by hours goes by the server's", async () => {
    const data = await upload(filesBelow(photos({ brick: 3, grass: 3 })));
    const { code, stdout } = await finetune(
      ["extract", "--model", model, "--data", data, "--cache", cache, "--json"],
      { NODE_OPTIONS: `--import ${new URL("./wrong-clock.mjs", import.meta.url).href}` },
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ samples: 6, extracted: 6 });
  });
});

describe.skipIf(!serverProgram)("a run that cannot go on", () => {
  const extract = (data: string, own: readonly string[] = []) => [
    ...["extract", "--model", model, "--data", data, "--cache", cache],
    ...own,
  ];

  test("without the AWS SDK says what to install", async () => {
    const { code, stderr } = await finetune(extract("s3://any/data"), {
      NODE_OPTIONS: `--import ${new URL("./no-sdk.mjs", import.meta.url).href}`,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /expected the package @aws-sdk\/client-s3, got none.*Run npm install @aws-sdk\/client-s3\./,
    );
  });

  test("refuses a limit of the cache, which a bucket does not keep", async () => {
    const { code, stderr } = await finetune(extract(photos({ brick: 3, grass: 3 }), ["--cache-max", "1GB"]));
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /--cache-max: expected a cache on a disk, since nothing is evicted from s3:.*lifecycle/,
    );
  });

  test("says that there is no such bucket before it computes anything", async () => {
    const { code, stderr } = await finetune([
      ...["--model", model, "--data", photos({ brick: 3, grass: 3 }), "--cache", "s3://no-such-bucket/x"],
      ...["--epochs", "1"],
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/s3:\/\/no-such-bucket.*expected a bucket, got none of that name/);
    expect(stderr).not.toContain("features ");
  });

  test.skipIf(serverProgram?.name !== "versitygw")(
    "extracts nothing into a bucket that it may not write to, but trains with a warning",
    async () => {
      const own = await startS3();
      try {
        const name = own.newBucket();
        await own.kill();
        await own.start({ readOnly: true });
        const where = [
          "--model",
          model,
          "--data",
          photos({ brick: 3, grass: 3 }),
          "--cache",
          `s3://${name}/x`,
        ];
        const extracted = await finetune(["extract", ...where], own.env);
        expect(extracted.code).toBe(1);
        expect(extracted.stderr).toMatch(/access denied: cannot write\. Allow s3:PutObject/);
        expect(extracted.stderr).toMatch(/expected room for all features, got none for 6 of them/);
        const trained = await finetune([...where, "--epochs", "1", "--json"], own.env);
        expect(trained.code).toBe(0);
        expect(trained.stderr).toMatch(/Features are not kept\. Allow writing/);
        expect(JSON.parse(trained.stdout).features).toMatchObject({ samples: 6, extracted: 6 });
      } finally {
        await own.stop();
      }
    },
  );
});

describe.skipIf(!serverProgram)("an extraction whose server or machine dies", () => {
  const count = 140;
  /** Features of 112 x 112 x 16 values, so that about forty samples make a pack. */
  const extraction = (data: string) => [
    ...["extract", "--model", fixture("demo", "efficientnet_lite0.keras"), "--data", data],
    ...["--freeze-through", "block1", "--cache", cache, "--json"],
  ];

  async function noise(): Promise<string> {
    const files: (readonly [string, Uint8Array])[] = [];
    for (let index = 0; index < count; index++) {
      const pixels = Buffer.from(
        Array.from({ length: 3072 }, (_, pixel) => (pixel * (index + 3) * 7919) >> 3),
      );
      const image = sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } });
      files.push([`class${index % 2}/${index}.png`, await image.png().toBuffer()]);
    }
    return upload(files);
  }

  const firstPack = async (): Promise<void> => {
    for (let attempt = 0; attempt < 900 && packs().length === 0; attempt++) await wait(50);
    expect(packs().length).toBeGreaterThan(0);
  };

  test("ends by name where the server does, keeps what was stored, and goes on with it", async () => {
    const data = await noise();
    const running = finetune(extraction(data), { AWS_MAX_ATTEMPTS: "3" });
    await firstPack();
    await server.kill();
    const { code, stdout, stderr } = await running;
    expect([code, stdout, stderr.match(/^\s+at /m)]).toEqual([1, "", null]);
    expect(stderr).toMatch(/the storage does not answer\. Check the network and AWS_ENDPOINT_URL_S3/);
    await server.start();
    const stored = packs().length;
    const next = await finetune(extraction(data));
    const { samples, cached, extracted } = JSON.parse(next.stdout);
    expect([samples, cached + extracted]).toEqual([count, count]);
    expect(cached).toBeGreaterThanOrEqual(stored * 40);
  });

  /** Ends an extraction by a signal once it has stored a pack, and returns its exit code, null for one that was killed. */
  async function ended(data: string, signal: NodeJS.Signals): Promise<number | null> {
    const bin = fileURLToPath(new URL("../../bin/finetune.js", import.meta.url));
    const child = spawn(process.execPath, [bin, ...extraction(data)], {
      env: { ...process.env, KERAS_FINETUNE_ENGINE: "wasm", ...env },
      stdio: "ignore",
    });
    const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await firstPack();
    child.kill(signal);
    return exit;
  }

  test("stopped by SIGTERM stores what it has computed before it ends", async () => {
    const data = await noise();
    expect(await ended(data, "SIGTERM")).toBe(143);
    const stored = packs().length;
    expect(stored).toBeGreaterThan(1);
    const next = await finetune(extraction(data));
    const { samples, cached, extracted } = JSON.parse(next.stdout);
    expect([samples, cached + extracted]).toEqual([count, count]);
    expect(cached).toBeGreaterThan((stored - 1) * 40);
    expect(extracted).toBeGreaterThan(0);
  });

  test("killed by force loses what it had not stored, and no more", async () => {
    const data = await noise();
    expect(await ended(data, "SIGKILL")).toBeNull();
    const stored = packs().length;
    const next = await finetune(extraction(data));
    const { samples, cached, extracted } = JSON.parse(next.stdout);
    expect([samples, cached + extracted]).toEqual([count, count]);
    expect(cached).toBeGreaterThanOrEqual(stored * 40);
    const last = await finetune(extraction(data));
    expect(JSON.parse(last.stdout)).toMatchObject({ samples: count, cached: count, extracted: 0 });
  });
});
