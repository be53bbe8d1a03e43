/**
 * What the plan predicts beside what a run takes: `npm run bench:plan -- [--rows TEXT,TEXT] [--seconds 55] [--repeats 3] [--anew]`.
 * Whole processes in turn, networks with random weights that Keras makes into `--folder`, made-up photographs and texts. Each run is kept in
 * bench/plan-runs.json, and bench/PLAN.md is made of all of them: rows can be measured a few at a time, those that hold one of
 * the texts of `--rows`, until `--seconds` are over. `--anew` forgets what those rows have; without it runs that are there are not made
 * again. A run during which other processes took much of the machine is told of and not kept. `--clock cpu` counts processor time in
 * place of seconds and keeps nothing; `--rows none` makes the page again.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeData } from "./plan-data.mjs";
import { planPage } from "./plan-page.mjs";
import { python, run, writeFigures } from "./side-by-side.mjs";

/** Samples, batch and epochs of a run: the slow engine and the large network get fewer. */
const jobs = {
  native: { train: 24, val: 8, batchSize: 8, epochs: 2 },
  wasm: { train: 12, val: 4, batchSize: 4, epochs: 2 },
};
const small = {
  native: { train: 16, val: 4, batchSize: 8, epochs: 2 },
  wasm: { train: 4, val: 2, batchSize: 2, epochs: 2 },
};
const headEpochs = 8;
/** Share of the machine that other processes may take during a run that counts. */
const mostOthers = 0.25;
const networks = {
  ResNet50: { unit: "image", size: 224, jobs: small, cuts: ["head", "conv5", "conv4", "conv3", "nothing"] },
  MobileNetV2: {
    unit: "image",
    size: 224,
    jobs,
    cuts: ["head", "block_13", "block_6", "block_3", "nothing"],
  },
  EfficientNetB0: { unit: "image", size: 224, jobs, cuts: ["head", "block6", "block4", "block3", "nothing"] },
  Recurrent: { unit: "text", jobs, cuts: ["head", "lstm_3", "lstm_2", "lstm_1", "nothing"] },
};
const runsFile = "bench/plan-runs.json";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "" },
    repeats: { type: "string", default: "3" },
    seconds: { type: "string", default: "Infinity" },
    anew: { type: "boolean", default: false },
    clock: { type: "string", default: "wall" },
    folder: { type: "string" },
  },
});
const [repeats, seconds] = [Number(values.repeats), Number(values.seconds)];
const began = performance.now();
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "bench-plan-"));

const rows = Object.entries(networks).flatMap(([network, { unit, size, jobs: own, cuts }]) =>
  Object.entries(own).flatMap(([engine, job]) =>
    cuts.map((cut) => ({
      ...{ name: `${network} ${engine} ${cut}`, network, engine, cut, unit, size },
      // An epoch of a head takes milliseconds.
      job: { ...job, epochs: cut === "head" ? headEpochs : job.epochs },
    })),
  ),
);
const asked = rows.filter(({ name }) => values.rows.split(",").some((text) => name.includes(text)));
const kept = values.clock === "wall";
const found = readRuns();
if (values.anew) {
  for (const { name } of asked) found.delete(name);
}

for (let repeat = 0; repeat < repeats; repeat++) {
  for (const row of asked) {
    const runs = kept ? (found.get(row.name) ?? []) : [];
    if (kept && runs.length > repeat) continue;
    const longest = Math.max(
      0,
      ...(runs.length > 0 ? runs : likely(row)).map(({ wholeSeconds }) => wholeSeconds),
    );
    if ((performance.now() - began) / 1000 + 1.2 * longest > seconds) continue;
    const one = { row: row.name, ...(await measured(row)) };
    process.stderr.write(`${told(one)}\n`);
    if (!kept || one.others > mostOthers) continue;
    found.set(row.name, [...runs, one]);
    writeFigures(runsFile, [...found.values()].flat());
  }
}
if (!values.folder) rmSync(folder, { recursive: true });
if (kept) writeFileSync("bench/PLAN.md", planPage(rows, found));

/** Returns the runs of other cuts of the same network on the same engine. */
function likely({ network, engine }) {
  const others = rows.filter((row) => row.network === network && row.engine === engine);
  return others.flatMap(({ name }) => found.get(name) ?? []);
}

function readRuns() {
  const byRow = new Map();
  for (const one of existsSync(runsFile) ? JSON.parse(readFileSync(runsFile, "utf8")) : []) {
    byRow.set(one.row, [...(byRow.get(one.row) ?? []), one]);
  }
  return byRow;
}

async function measured({ network, engine, cut, unit, size, job: { train, val, batchSize, epochs } }) {
  mkdirSync(folder, { recursive: true });
  const model = join(folder, `${network}.keras`);
  const data = join(folder, `${engine}-${unit}-${train}-${val}`);
  if (!existsSync(model)) makeModel(network);
  if (!existsSync(data)) await makeData({ unit, size }, { train, val }, data);
  const job = join(folder, "job");
  rmSync(job, { recursive: true, force: true });
  mkdirSync(job);
  const question = { engine, model, data, cut, batchSize, epochs, clock: values.clock, folder: job };
  const [began, busyBefore] = [performance.now(), busySeconds()];
  const one = run(process.execPath, ["bench/plan-job.mjs", JSON.stringify(question)]);
  const seconds = (performance.now() - began) / 1000;
  rmSync(job, { recursive: true, force: true });
  const others = (busySeconds() - busyBefore - one.ownSeconds) / (seconds * cpus().length);
  return { ...one, others: Math.max(0, others) };
}

/** Returns the seconds that all processors together have been busy since the machine started. */
function busySeconds() {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;
}

function makeModel(name) {
  const { status, stderr } = spawnSync(python, ["bench/plan_models.py", folder, name], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

/** Returns a line on one run: each part as predicted and measured. */
function told({ row, predicted, measured: took, others }) {
  const parts = Object.keys(predicted).map((part) => {
    const [scale, digits] = part === "memory" ? [1e9, 2] : [1, 3];
    const off = Math.round(100 * (predicted[part] / took[part] - 1));
    const [guess, truth] = [predicted[part], took[part]].map((value) => (value / scale).toFixed(digits));
    return `${part} ${guess}/${truth} ${off}%`;
  });
  return `${row}: ${parts.join("  ")}  epochs ${took.epochs.map((value) => value.toFixed(3)).join(" ")}  others ${Math.round(100 * others)} %`;
}
