#!/usr/bin/env node
/**
 * What grows with the number of images, and how: `npm run bench:growth [-- 1000,10000,100000]` writes bench/GROWTH.md.
 *
 * The images are small PNGs of noise, the network is the demo's at its head. Each count is listed, extracted in one process, then trained
 * again on the cached features; last, eight processes extract shards of the first count into one cache.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const root = fileURLToPath(new URL("..", import.meta.url));
const counts = (process.argv[2] ?? "1000,10000,100000").split(",").map(Number);
const model = join(root, "fixtures", "demo", "efficientnet_lite0.keras");
const classes = 4;
const side = 32;
const work = mkdtempSync(join(tmpdir(), "growth-"));

/** Runs the command to its end; seconds, peak resident memory in bytes, and its JSON document. */
async function finetune(args) {
  const started = performance.now();
  const child = spawn(
    "/usr/bin/time",
    ["-f", "%M", process.execPath, join(root, "bin", "finetune.js"), ...args, "--json"],
    {
      cwd: work,
      env: { ...process.env, KERAS_FINETUNE_HOME: process.env.KERAS_FINETUNE_HOME ?? join(work, "home") },
    },
  );
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const code = await new Promise((resolve) => child.on("exit", resolve));
  if (code !== 0) throw new Error(`finetune ${args.join(" ")}: ${stderr.slice(-2000)}`);
  return {
    seconds: (performance.now() - started) / 1000,
    peak: Number(stderr.trim().split("\n").at(-1)) * 1024,
    document: JSON.parse(stdout),
  };
}

/** Makes images up to `count`, each of its own bytes. */
async function grow(folder, from, count) {
  for (let index = from; index < count; index++) {
    const at = join(folder, `class${index % classes}`);
    if (index < from + classes) mkdirSync(at, { recursive: true });
    const pixels = Buffer.alloc(side * side * 3);
    for (let pixel = 0, state = index + 1; pixel < pixels.length; pixel++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      pixels[pixel] = state >>> 24;
    }
    const image = sharp(pixels, { raw: { width: side, height: side, channels: 3 } }).png({
      compressionLevel: 1,
    });
    await image.toFile(join(at, `${String(index).padStart(7, "0")}.png`));
  }
}

const bytesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

const rows = [];
const photos = join(work, "photos");
try {
  let made = 0;
  for (const count of counts) {
    await grow(photos, made, count);
    made = count;
    const cache = join(work, "cache");
    const common = ["--model", model, "--data", photos, "--cache", cache, "--cache-max", "100GB"];
    const plan = await finetune([...common, "--dry-run"]);
    const extracted = await finetune(["extract", ...common]);
    const again = await finetune(["extract", ...common]);
    const trained = await finetune([
      ...common,
      "--epochs",
      "1",
      "--no-report",
      "--out",
      join(work, `run-${count}`),
    ]);
    const { extracted: computed, seconds } = extracted.document;
    rows.push({
      count,
      plan: plan.seconds,
      perImage: (1000 * seconds) / computed,
      bytes: bytesIn(cache) / count,
      peak: extracted.peak,
      again: again.seconds,
      again_cached: again.document.cached,
      train: trained.seconds,
      trainPeak: trained.peak,
    });
    console.error(rows.at(-1));
  }
  const shared = join(work, "shared");
  const started = performance.now();
  const [few] = counts;
  const subset = join(work, "few");
  await grow(subset, 0, few);
  const shards = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      finetune(["extract", "--model", model, "--data", subset, "--cache", shared, "--shard", `${index}/8`]),
    ),
  );
  const together = (performance.now() - started) / 1000;
  const sum = shards.reduce((total, { document }) => total + document.samples, 0);
  const whole = await finetune(["extract", "--model", model, "--data", subset, "--cache", shared]);
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
    cwd: root,
    encoding: "utf8",
  }).trim();
  const cell = (value, digits = 1) => value.toFixed(digits);
  writeFileSync(
    join(root, "bench", "GROWTH.md"),
    `# Growth

\`npm run bench:growth\` on ${cpus().length} cores, at ${commit}. PNGs of ${side} × ${side} pixels, EfficientNet-Lite0 up to its head, engine ${process.env.KERAS_FINETUNE_ENGINE ?? "auto"}. Seconds are of whole processes.

| images | plan, s | new images, ms each | cache, bytes an image | peak, MB | extraction again, all cached, s | training, 1 epoch, all cached, s | its peak, MB |
|---:|---:|---:|---:|---:|---:|---:|---:|
${rows
  .map(
    (row) =>
      `| ${row.count} | ${cell(row.plan)} | ${cell(row.perImage)} | ${cell(row.bytes, 0)} | ${cell(row.peak / 1e6, 0)} | ${cell(row.again)} | ${cell(row.train)} | ${cell(row.trainPeak / 1e6, 0)} |`,
  )
  .join("\n")}

Eight processes on one cache, ${few} images: ${cell(together)} s, ${sum} samples in all; a run over the whole afterwards found ${whole.document.cached} of ${whole.document.samples} cached.
`,
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
