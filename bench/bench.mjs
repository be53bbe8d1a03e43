/**
 * Fine-tuning side by side with real Keras: `npm run bench -- MODEL PHOTOS [--repeats 3] [--epochs 4] [--cuts head,conv5,conv4,none]`.
 * Whole processes, interleaved; the same photos, cut, epochs and batch. `KERAS_PYTHON` names the Python that has Keras. Writes
 * bench/RESULTS.md: ratios of medians, ours over Keras's, below 1 where we take less.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeats: { type: "string", default: "3" },
    epochs: { type: "string", default: "4" },
    cuts: { type: "string", default: "head,conv5,conv4,none" },
  },
});
const [model, photos] = positionals;
if (!model || !photos)
  throw new Error("usage: npm run bench -- MODEL PHOTOS [--repeats N] [--epochs N] [--cuts a,b]");
const python = process.env.KERAS_PYTHON ?? ".venv/bin/python";
const epochs = Number(values.epochs);
const batch = 32;
const quiet = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" };

function ours(cut) {
  const folder = mkdtempSync(join(tmpdir(), "finetune-bench-"));
  const out = join(folder, "run");
  const freeze = { head: ["--freeze-all-but-head"], none: ["--freeze", "none"] }[cut] ?? [
    "--freeze-until",
    cut,
  ];
  const started = performance.now();
  execFileSync(
    process.execPath,
    ["bin/finetune.js", "--model", model, "--data", photos, ...freeze, "--bn-mode", "follow"].concat(
      [
        "--epochs",
        String(epochs),
        "--batch-size",
        String(batch),
        "--cache",
        join(folder, "cache"),
        "--out",
        out,
      ],
      ["--engine", "native", "--json"],
    ),
    { env: quiet, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 2 ** 28 },
  );
  const wholeSeconds = (performance.now() - started) / 1000;
  const { measured } = JSON.parse(readFileSync(join(out, "plan.json"), "utf8"));
  const seconds = readFileSync(join(out, "history.csv"), "utf8").trim().split("\n").slice(1);
  rmSync(folder, { recursive: true });
  return {
    epochs: seconds.map((line) => Number(line.split(",").at(-1))),
    wholeSeconds,
    peakBytes: measured.peakBytes,
  };
}

function keras(cut, kind) {
  const printed = execFileSync(
    python,
    ["bench/keras_job.py", model, photos, cut, String(epochs), String(batch), kind],
    { env: quiet, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
  return JSON.parse(printed.trim().split("\n").at(-1));
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const figures = (runs) => ({
  epoch: median(runs.flatMap((run) => run.epochs.slice(1))),
  whole: median(runs.map((run) => run.wholeSeconds)),
  peak: median(runs.map((run) => run.peakBytes)),
});

const rows = [];
for (const cut of values.cuts.split(",")) {
  const kinds = cut === "head" ? ["fit", "features"] : ["fit"];
  const mine = [];
  const theirs = Object.fromEntries(kinds.map((kind) => [kind, []]));
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    mine.push(ours(cut));
    for (const kind of kinds) theirs[kind].push(keras(cut, kind));
    process.stderr.write(`${cut}: run ${repeat + 1} of ${values.repeats}\n`);
  }
  const own = figures(mine);
  for (const kind of kinds) {
    const other = figures(theirs[kind]);
    const ratio = (name) => (own[name] / other[name]).toFixed(2);
    rows.push(`| ${cut} | ${kind} | ${ratio("epoch")} | ${ratio("whole")} | ${ratio("peak")} |`);
  }
}
const text = `# Ours over Keras's

Ratios of medians over ${values.repeats} interleaved runs of whole processes, ${epochs} epochs, batch ${batch}, 224x224, native engine,
\`--bn-mode follow\`; below 1 we take less. Made by \`npm run bench -- MODEL PHOTOS\` with ResNet-50. "epoch" is seconds an epoch after the
first, validation included; "whole" the job from start to written model (Keras writes none); "peak" the largest resident size.

| trained from | Keras | epoch | whole | peak |
|---|---|---|---|---|
${rows.join("\n")}
`;
writeFileSync("bench/RESULTS.md", text);
process.stdout.write(text);
