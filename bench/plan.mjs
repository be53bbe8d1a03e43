/**
 * What the plan predicts beside what a run takes: `npm run bench:plan -- [--repeats 3] [--engines native,wasm] [--networks A,B]
 * [--results FILE]`. Whole processes in turn, networks with random weights that Keras makes into a temporary folder, made-up
 * photographs and texts. `--clock cpu` counts processor time in place of seconds, where other work runs beside. Writes bench/PLAN.md; with
 * `--results` runs that FILE holds are not made again, with `--folder` networks and data stay there for another time.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { median, python, run, table } from "./side-by-side.mjs";

const networks = {
  ResNet50: { unit: "image", size: 224, cuts: ["head", "conv5", "conv4", "conv3", "nothing"] },
  MobileNetV2: { unit: "image", size: 224, cuts: ["head", "block_13", "block_6", "block_3", "nothing"] },
  EfficientNetB0: { unit: "image", size: 224, cuts: ["head", "block6", "block4", "block3", "nothing"] },
  Recurrent: { unit: "text", cuts: ["head", "lstm_3", "lstm_2", "lstm_1", "nothing"] },
};
/** Samples, batch and epochs of each engine: the slow one gets fewer. */
const jobs = {
  native: { train: 24, val: 8, batchSize: 8, epochs: 2 },
  wasm: { train: 12, val: 4, batchSize: 4, epochs: 2 },
};

const { values } = parseArgs({
  options: {
    repeats: { type: "string", default: "3" },
    engines: { type: "string", default: "native,wasm" },
    networks: { type: "string", default: Object.keys(networks).join() },
    clock: { type: "string", default: "wall" },
    folder: { type: "string" },
    results: { type: "string" },
  },
});
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "bench-plan-"));
mkdirSync(folder, { recursive: true });
const known =
  values.results && existsSync(values.results) ? JSON.parse(readFileSync(values.results, "utf8")) : {};

function makeModels(all) {
  const names = all.filter((name) => !existsSync(join(folder, `${name}.keras`)));
  if (names.length === 0) return;
  const { status, stderr } = spawnSync(python, ["bench/plan_models.py", folder, ...names], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
}

async function makeData({ unit, size }, { train, val }, place) {
  for (const [split, count] of Object.entries({ train, val })) {
    for (let index = 0; index < count; index++) {
      const label = `class${index % 10}`;
      mkdirSync(join(place, split, label), { recursive: true });
      const file = join(place, split, label, `${index}.${unit === "text" ? "txt" : "jpg"}`);
      const seed = index + (split === "val" ? 7919 : 0);
      if (unit === "text") writeFileSync(file, words(seed));
      else writeFileSync(file, await photo(size, seed));
    }
  }
}

function words(seed) {
  return Array.from({ length: 60 }, (_, index) => `word${(seed * 31 + index * (seed + 7)) % 1500}`).join(" ");
}

/** A photograph's size and about its bytes: noise that is blurred. */
function photo(size, seed) {
  const [width, height] = [2 * size, Math.round(1.5 * size)];
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0, state = seed + 1; at < pixels.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    pixels[at] = state >>> 24;
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .blur(2)
    .jpeg({ quality: 90 })
    .toBuffer();
}

function measure(job) {
  rmSync(join(folder, "job"), { recursive: true, force: true });
  mkdirSync(join(folder, "job"));
  return run(process.execPath, [
    "bench/plan-job.mjs",
    JSON.stringify({ ...job, clock: values.clock, folder: join(folder, "job") }),
  ]);
}

const asked = values.networks.split(",");
makeModels(asked);
for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
  for (const engine of values.engines.split(",")) {
    for (const network of asked) {
      const { train, val, batchSize, epochs } = jobs[engine];
      const data = join(folder, `${engine}-${networks[network].unit}`);
      if (!existsSync(data)) await makeData(networks[network], { train, val }, data);
      for (const cut of networks[network].cuts) {
        const name = `${network} ${engine} ${cut}`;
        known[name] ??= [];
        const runs = known[name];
        if (runs.length > repeat) continue;
        const model = join(folder, `${network}.keras`);
        const found = measure({ engine, model, data, cut, batchSize, epochs });
        runs.push(found);
        if (values.results) writeFileSync(values.results, JSON.stringify(known));
        process.stderr.write(`${cells(network, engine, cut).join("  ")}\n`);
      }
    }
  }
}
rmSync(join(folder, "job"), { recursive: true, force: true });
if (!values.folder) rmSync(folder, { recursive: true });

/** Medians of both, and by how much the prediction is above or below. */
function pair(runs, figure, text) {
  const predicted = median(runs.map((one) => one.predicted[figure]));
  const measured = median(runs.map((one) => one.measured[figure]));
  const off = Math.round(100 * median(runs.map((one) => one.predicted[figure] / one.measured[figure] - 1)));
  const bound = figure === "memory" ? 25 : 35;
  const sign = `${off > 0 ? "+" : ""}${off} %`;
  return [text(predicted), text(measured), Math.abs(off) > bound ? `**${sign}**` : sign];
}

function cells(network, engine, cut) {
  const runs = known[`${network} ${engine} ${cut}`];
  const seconds = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} s`;
  const bytes = (value) => `${(value / 1e9).toFixed(2)} GB`;
  const load = median(runs.map((one) => one.load)).toFixed(1);
  return [
    ...[network, engine, cut],
    ...pair(runs, "epoch", seconds),
    ...pair(runs, "run", seconds),
    ...pair(runs, "memory", bytes),
    ...[load, `${runs.length}`],
  ];
}

const rows = Object.keys(networks).flatMap((network) =>
  Object.keys(jobs).flatMap((engine) =>
    networks[network].cuts
      .filter((cut) => (known[`${network} ${engine} ${cut}`] ?? []).length > 0)
      .map((cut) => cells(network, engine, cut)),
  ),
);
const head = ["network", "engine", "trained from"];
const triple = (what) => [`${what} predicted`, "measured", "off"];
const text = `# What the plan predicts, and what a run takes

Made by \`npm run bench:plan\`: a process for each run, all cuts in turn, ${values.repeats} times; medians. Networks of Keras with random weights;
${Object.entries(jobs)
  .map(
    ([engine, { train, val, batchSize, epochs }]) =>
      `on ${engine} ${train} + ${val} samples, batches of ${batchSize}, ${epochs} epochs`,
  )
  .join("; ")}. "epoch" is the mean of the epochs after the first with
their validation, "run" the whole call with extraction into an empty cache, states, report and files, "memory" the largest
resident size of the process. Bold where time is off by more than 35 % or memory by more than 25 %. "load" is the machine's load average (${cpus().length} cores), because
other work ran beside${values.clock === "cpu" ? "; so all seconds here, predicted and measured, are processor seconds of the process, all threads together" : ""}.

${table([...head, ...triple("epoch"), ...triple("run"), ...triple("memory"), "load", "runs"], rows)}
`;
writeFileSync("bench/PLAN.md", text);
process.stdout.write(text);
