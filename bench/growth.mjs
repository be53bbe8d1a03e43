#!/usr/bin/env node
/**
 * Measures what grows with the number of images, and how: `npm run bench:growth [-- 1000,10000,100000]` writes bench/GROWTH.md and the
 * arithmetic in docs/cluster.md.
 *
 * The images are small PNGs of noise. A small network, whose own time is nearly none, shows what the files, the index and the cache take:
 * each count is listed, extracted in one process, then extracted and trained on again with every feature cached. EfficientNet-Lite0 on the
 * first count shows what a real network adds. Last, eight processes extract shards of the first count into one cache.
 *
 * What is cached is found again three times, and the medians are told. GROWTH_IMAGES names a folder of images of an earlier run, which are
 * linked instead of made. GROWTH_WITH is a command that these runs are started by, such as one that holds other work on the machine.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { imageFolder } from "../dist/data/class-folders.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const counts = (process.argv[2] ?? "1000,10000,100000").split(",").map(Number);
const fixture = (...names) => join(root, "fixtures", ...names);
const small = ["--model", fixture("cli", "small_resnet.keras"), "--freeze-all-but-head"];
const real = ["--model", fixture("demo", "efficientnet_lite0.keras")];
const classes = 4;
const side = 32;
const work = process.env.GROWTH_HOME ?? mkdtempSync(join(tmpdir(), "growth-"));

/** Runs the command to its end; seconds, seconds of processor time, peak resident memory in bytes, and its JSON document. */
async function finetune(args) {
  const started = performance.now();
  const startedAt = Date.now();
  const child = spawn(
    "/usr/bin/time",
    ["-f", "%M %U %S", process.execPath, join(root, "bin", "finetune.js"), ...args, "--json"],
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
  const [kilobytes, user, system] = stderr.trim().split("\n").at(-1).split(" ").map(Number);
  return {
    seconds: (performance.now() - started) / 1000,
    processor: user + system,
    peak: kilobytes * 1024,
    startedAt,
    document: JSON.parse(stdout),
  };
}

/** Trains for one epoch on features that are cached; besides what `finetune` tells, the seconds from the start to the end of the first step. */
async function train(args, out) {
  const run = await finetune([...args, "--epochs", "1", "--no-report", "--out", out, "--overwrite"]);
  const events = readFileSync(join(out, "events.jsonl"), "utf8").trim().split("\n").map(JSON.parse);
  const { time } = events.find(({ kind }) => kind === "step");
  return { ...run, firstStep: (Date.parse(time) - run.startedAt) / 1000 };
}

const medianBy = (runs, key) => [...runs].sort((a, b) => a[key] - b[key])[Math.floor(runs.length / 2)];

/** Returns the median of what finds all features of a folder again: an extraction, a plan, and a training. */
async function foundAgain(args, out) {
  const runs = { again: [], plan: [], trained: [] };
  for (let round = 0; round < 3; round++) {
    runs.again.push(await finetune(["extract", ...args]));
    runs.plan.push(await finetune([...args, "--dry-run"]));
    runs.trained.push(await train(args, out));
  }
  return {
    again: medianBy(runs.again, "seconds"),
    plan: medianBy(runs.plan, "seconds"),
    trained: medianBy(runs.trained, "seconds"),
    firstStep: medianBy(runs.trained, "firstStep").firstStep,
  };
}

/** Returns `foundAgain` of a process that is started by GROWTH_WITH. */
function foundAgainAlone(args, out) {
  const [first, ...others] = (process.env.GROWTH_WITH ?? "").split(" ").filter((word) => word !== "");
  const own = [process.execPath, fileURLToPath(import.meta.url), "--again", out, ...args];
  const [command, ...rest] = first === undefined ? own : [first, ...others, ...own];
  const text = execFileSync(command, rest, {
    encoding: "utf8",
    env: { ...process.env, GROWTH_HOME: work },
    maxBuffer: 1e9,
  });
  return JSON.parse(text);
}

/** Makes images up to `count`, each of its own bytes. */
async function grow(folder, from, count) {
  for (let index = from; index < count; index++) {
    const at = join(folder, `class${index % classes}`);
    if (index < from + classes) mkdirSync(at, { recursive: true });
    const name = `${String(index).padStart(7, "0")}.png`;
    const earlier = join(process.env.GROWTH_IMAGES ?? "none", `class${index % classes}`, name);
    if (existsSync(earlier)) {
      linkSync(earlier, join(at, name));
      continue;
    }
    const pixels = Buffer.alloc(side * side * 3);
    for (let pixel = 0, state = index + 1; pixel < pixels.length; pixel++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      pixels[pixel] = state >>> 24;
    }
    const image = sharp(pixels, { raw: { width: side, height: side, channels: 3 } }).png({
      compressionLevel: 1,
    });
    await image.toFile(join(at, name));
  }
}

/** Waits for all of them, also where one fails: none goes on in a folder that is removed. */
async function allOf(promises) {
  const settled = await Promise.allSettled(promises);
  for (const { reason } of settled) if (reason !== undefined) throw reason;
  return settled.map(({ value }) => value);
}

const bytesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

if (process.argv[2] === "--again") {
  const [out, ...args] = process.argv.slice(3);
  process.stdout.write(JSON.stringify(await foundAgain(args, out)));
  process.exit();
}
const rows = [];
const photos = join(work, "photos");
try {
  const [few] = counts;
  const subset = join(work, "few");
  await grow(subset, 0, few);
  const network = await finetune(["extract", ...real, "--data", subset, "--cache", join(work, "real")]);
  const imageMs = (1000 * network.processor) / few;
  const imageBytes = network.document.bytes / few;
  const shared = join(work, "shared");
  const started = performance.now();
  const shards = await allOf(
    Array.from({ length: 8 }, (_, index) =>
      finetune(["extract", ...small, "--data", subset, "--cache", shared, "--shard", `${index}/8`]),
    ),
  );
  const together = (performance.now() - started) / 1000;
  const sum = shards.reduce((total, { document }) => total + document.samples, 0);
  const whole = await finetune(["extract", ...small, "--data", subset, "--cache", shared]);
  let made = 0;
  for (const count of counts) {
    await grow(photos, made, count);
    made = count;
    const cache = join(work, `cache-${count}`);
    const where = ["--data", photos, "--cache", cache, "--cache-max", "100GB"];
    const common = [...small, ...where];
    const begun = performance.now();
    await imageFolder(photos, { validationFraction: 0 });
    const listing = (performance.now() - begun) / 1000;
    const extracted = await finetune(["extract", ...common]);
    const found = foundAgainAlone(common, join(work, `run-${count}`));
    const { again } = found;
    if (again.document.cached !== count)
      throw new Error(`expected ${count} cached, got ${again.document.cached}`);
    rows.push({ count, listing, extracted, ...found, bytes: bytesIn(cache) / count });
    console.error(`${count} images: ${again.seconds.toFixed(1)} s to find all of them again`);
  }
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
    cwd: root,
    encoding: "utf8",
  }).trim();
  const engine = process.env.KERAS_FINETUNE_ENGINE ?? "auto";
  const load = loadavg()[1].toFixed(1);
  const cell = (value, digits = 1) => value.toFixed(digits);
  const both = ({ seconds, processor }) => `${cell(seconds)} (${cell(processor)})`;
  writeFileSync(
    join(root, "bench", "GROWTH.md"),
    `# Growth

\`npm run bench:growth\` on ${cpus().length} cores with a load of ${load} meanwhile, at ${commit}, engine ${engine}. PNGs of ${side} × ${side} pixels, a network of
nearly no work, so that the figures are those of the files, the index and the cache. Seconds are of whole processes, in brackets the
seconds of processor time; runs on what is cached are medians of three${process.env.GROWTH_WITH ? ", started while other work on the machine was held" : ""}.

| images | listing, s | extraction, s | again, all cached, s | plan, s | training, all cached: to its first step, s | 1 epoch, s | peak of the extraction, MB | of the training, MB | cache and index, bytes an image beside the features |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
${rows
  .map(
    (row) =>
      `| ${row.count} | ${cell(row.listing, 2)} | ${both(row.extracted)} | ${both(row.again)} | ${both(row.plan)} | ${cell(row.firstStep)} | ${both(row.trained)} | ${cell(row.extracted.peak / 1e6, 0)} | ${cell(row.trained.peak / 1e6, 0)} | ${cell(row.bytes - row.extracted.document.bytes / row.count, 0)} |`,
  )
  .join("\n")}

EfficientNet-Lite0 up to its head, ${few} images: ${cell(imageMs)} ms of processor time and ${cell(imageBytes, 0)} bytes of features an image, peak ${cell(network.peak / 1e6, 0)} MB.

Eight processes on one cache, ${few} images: ${cell(together)} s, ${sum} samples in all; a run over the whole afterwards found ${whole.document.cached} of ${whole.document.samples} cached.
`,
  );
  writeArithmetic(rows, imageMs, imageBytes, engine);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Writes the arithmetic of very many images into the docs, from what was measured. */
function writeArithmetic(measured, imageMs, imageBytes, engine) {
  const images = 100e6;
  const last = measured.at(-1);
  const first = measured[0];
  const perFileMs =
    (1000 * (last.extracted.processor - first.extracted.processor)) / (last.count - first.count || 1);
  const againMs = (1000 * (last.again.processor - first.again.processor)) / (last.count - first.count || 1);
  const heldBytes = (last.again.peak - first.again.peak) / (last.count - first.count || 1);
  const coreHours = (images * imageMs) / 3.6e6;
  const shards = Math.ceil(coreHours / 0.5);
  const terabytes = (images * (imageBytes + 40)) / 1e12;
  const round = (value, digits = 0) => Number(value.toFixed(digits)).toLocaleString("en-US");
  const text = `With 100 million images, EfficientNet-Lite0 up to its head and the ${engine} engine, from the figures that the bench measured (${imageMs.toFixed(1)} ms of one core and
${round(imageBytes)} bytes an image):

| what | how much | from |
|---|---|---|
| computing | ${round(coreHours)} core hours | images × ${imageMs.toFixed(1)} ms |
| on 100 machines of 8 cores | ${round(coreHours / 800, 1)} hours | core hours / 800 |
| shards of half a core hour | ${round(shards)}, of ${round(images / shards)} images | what a lost task costs |
| features | ${round(terabytes, 2)} TB | images × (${round(imageBytes)} + 40 bytes) |
| objects in a bucket | ${round((terabytes * 1e12) / (32 << 20))} of 32 MB | features / 32 MB |
| reading files, decoding and storing | ${round((images * perFileMs) / 3.6e6)} core hours of these | images × ${perFileMs.toFixed(2)} ms, at ${side} × ${side} pixels |
| finding all of them again | ${round((images * againMs) / 3.6e6, 1)} core hours | images × ${againMs.toFixed(3)} ms |
| memory of a process that lists them | ${round((images * heldBytes) / 1e9)} GB | images × ${round(heldBytes)} bytes |
| cost at $0.04 a core hour and $0.023 a GB and month | $${round(coreHours * 0.04)} once, $${round(terabytes * 1000 * 0.023)} a month | prices of common clouds, without transfers |

The memory is what ends first: each process lists the whole of \`--data\`, and a table in Node holds no more than 16.7 million entries. Beyond
a few million images give each job a part of the data (\`--data s3://bucket/photos/2024\`); the cache may be one for all parts, since it goes
by content.
`;
  const path = join(root, "docs", "cluster.md");
  const page = readFileSync(path, "utf8");
  const [from, to] = ["<!-- growth: written by npm run bench:growth -->", "<!-- growth: end -->"];
  const [before, rest] = page.split(from);
  writeFileSync(path, `${before}${from}\n${text}${to}${rest.split(to)[1]}`);
}
