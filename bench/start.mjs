/**
 * What a run does before its first step, on the native engine: `npm run bench:start -- MODEL,MODEL PHOTOS [--repeats 5]
 * [--cache FOLDER]`, PHOTOS with `train` and `val`, FOLDER the cache of an earlier run where there is one. The command itself, whole
 * processes: the head trained on features that are cached, and a run without a cache up to its first batch of features, when it is
 * ended. Writes the models' tables into bench/START.md.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median, table } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { repeats: { type: "string", default: "5" }, cache: { type: "string" } },
});
const [models, photos] = positionals;
if (!models || !photos) throw new Error("usage: npm run bench:start -- MODEL,MODEL PHOTOS [--repeats N]");
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "start-bench-"));

/** Runs the command. Returns the seconds from its start to each mark, and to the first event of the kinds that are asked for. */
async function begin(model, cache, kinds, { isStopped = false } = {}) {
  const out = join(folder, "run");
  rmSync(out, { recursive: true, force: true });
  const began = Date.now();
  const settings = ["--freeze-all-but-head", "--epochs", "1", "--no-report", "--engine", "native"];
  const args = ["--model", model, "--data", photos, "--cache", cache, "--out", out];
  const command = ["--import", here("start-marks.mjs"), here("../bin/finetune.js"), "train", ...args];
  const child = spawn(process.execPath, [...command, ...settings], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const events = () => (existsSync(join(out, "events.jsonl")) ? eventsIn(join(out, "events.jsonl")) : []);
  const timesOf = (known) =>
    kinds.flatMap((kind) => {
      const event = known.find((each) => each.kind === kind);
      return event ? [[kind, Date.parse(event.time)]] : [];
    });
  let seen = [];
  const watch = setInterval(() => {
    if (seen.length < kinds.length) seen = timesOf(events());
    if (isStopped && seen.length === kinds.length) child.kill("SIGKILL");
  }, 20);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearInterval(watch);
  if (code !== 0 && !isStopped) throw new Error(errors);
  if (!isStopped) seen = timesOf(events());
  const marks = [...errors.matchAll(/start-mark (\[.*?\])$/gm)].map(([, mark]) => JSON.parse(mark));
  return new Map([...marks, ...seen].map(([name, time]) => [name, (time - began) / 1000]));
}

function eventsIn(file) {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line));
}

/** Stages in the order in which they end: the name of the mark or event, and what is done by then. */
const stages = [
  ["node", "Node"],
  ["modules", "modules"],
  ["engine", "TensorFlow's library"],
  ["model", "model read"],
  ["data", "data listed"],
  ["speed", "cut, speed of the machine"],
  ["plan", "what is cached, plan, trial"],
  ["rehearsal", "the model written once, to see that it can be"],
  ["features", "features opened, weights on the engine"],
  ["step", "first step"],
];
const fresh = [...stages.slice(0, -2), ["extract", "first batch of features"]];

async function measured(model) {
  const cache = values.cache ?? join(folder, "cache");
  await begin(model, cache, ["step"]);
  const [cached, uncached] = [[], []];
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    cached.push(await begin(model, cache, ["step"]));
    uncached.push(await begin(model, join(folder, `${repeat}`), ["extract"], { isStopped: true }));
    process.stderr.write(`${basename(model)}: ${repeat + 1} of ${values.repeats}\n`);
  }
  const at = (runs, name) => median(runs.map((run) => run.get(name) ?? Number.NaN));
  const rowsOf = (runs, list) =>
    list.map(([name, what], index) => {
      const before = index === 0 ? 0 : at(runs, list[index - 1][0]);
      return [what, at(runs, name) - before, at(runs, name)];
    });
  const cells = (row) => (row ? [row[1].toFixed(2), row[2].toFixed(2)] : ["", ""]);
  const [first, second] = [rowsOf(cached, stages), rowsOf(uncached, fresh)];
  const whats = [...new Set([...first, ...second].map(([what]) => what))];
  const find = (rows, what) => rows.find(([own]) => own === what);
  return table(
    ["stage", "cached", "at", "not cached", "at"],
    whats.map((what) => [what, ...cells(find(first, what)), ...cells(find(second, what))]),
  );
}

const page = here("START.md");
const earlier = existsSync(page) ? readFileSync(page, "utf8").split(/^## /m).slice(1) : [];
const sections = new Map(earlier.map((section) => [section.split("\n")[0], section.trimEnd()]));
try {
  for (const model of models.split(",")) {
    sections.set(
      basename(model),
      `${basename(model)}\n\nMedians of ${values.repeats} runs.\n\n${await measured(model)}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const text = `# What a run does before its first step

Made by \`npm run bench:start -- MODEL,MODEL PHOTOS\`: the command as a user runs it, on the native engine, seconds of each stage and since the start
of the process. "cached" trains the head for an epoch on features that an earlier run has cached, up to the first step;
"not cached" is a run without a cache up to its first batch of features. Its trial computes the run's first batch of 16 twice, once to warm up and once for
the plan's seconds, and the run begins with what that gave: it is not computed again.

${[...sections.values()].map((section) => `## ${section}\n`).join("\n")}`;
writeFileSync(page, text);
process.stdout.write(text);
