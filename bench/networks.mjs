/**
 * Fine-tuning of several networks beside Keras: `npm run bench:networks -- [--only NAME] [--cut head|stage|none] [--runs 3]
 * [--seconds 55] [--folder DIR] [--anew] [--profile]`. Whole processes in turn, each kept in bench/networks-runs.json; bench/NETWORKS.md is made of all
 * of them, so rows can be measured one at a time, until every job of a row has `--runs` runs or `--seconds` are over. `--anew` forgets what
 * those rows have; `--runs 0` makes the page again; `--profile` looks at what our step consists of, beside Keras's, in place of all that. `--folder` keeps the models and images between calls.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kerasJob, ours } from "./fine-tuning.mjs";
import { makeData } from "./plan-data.mjs";
import { median, python, ratio, run, table, writeFigures } from "./side-by-side.mjs";

const normalized = ["follow", "inference"];
const networks = {
  ResNet50: { stage: "conv5", preprocess: "caffe", modes: normalized },
  MobileNetV2: { stage: "block_13", preprocess: "tf", modes: normalized },
  EfficientNetB0: { stage: "block6", preprocess: "none", modes: normalized },
  DenseNet121: { stage: "conv5", preprocess: "torch", modes: normalized },
  ConvNeXtTiny: { stage: "convnext_tiny_stage_3", preprocess: "none", modes: ["inference"] },
  VisionTransformer: { stage: "block11", preprocess: "none", modes: ["inference"] },
};
const cuts = ["head", "stage", "none"];
const [size, train, val] = [160, 64, 32];
/** With nothing frozen a phase has enough steps for our step to become one graph. */
const epochs = { head: 3, stage: 3, none: 14 };
const runsFile = "bench/networks-runs.json";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(networks).join() },
    cut: { type: "string", default: cuts.join() },
    runs: { type: "string", default: "3" },
    seconds: { type: "string", default: "Infinity" },
    folder: { type: "string" },
    anew: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
const began = performance.now();
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "bench-networks-"));
/** The runs of each job, by the names of the row and the job. */
const rows = existsSync(runsFile) ? JSON.parse(readFileSync(runsFile, "utf8")) : {};

for (const name of values.only.split(",")) {
  if (values.profile) await profile(name);
  else for (const cut of values.cut.split(",")) await measure(name, cut);
}
if (!values.folder) rmSync(folder, { recursive: true });
const page = written();
writeFileSync("bench/NETWORKS.md", page);
process.stdout.write(page);

/** Runs the jobs of a row in turn, the one with the fewest runs first. */
async function measure(name, cut) {
  const row = `${name} ${cut}`;
  if (values.anew) delete rows[row];
  const jobs = await jobsOf(name, cut);
  const runs = rows[row] ?? Object.fromEntries(Object.keys(jobs).map((job) => [job, []]));
  for (;;) {
    const job = Object.keys(jobs).reduce((least, other) =>
      runs[other].length < runs[least].length ? other : least,
    );
    if (runs[job].length >= Number(values.runs) || !fits(runs[job])) return;
    const { loss: _, ...figures } = jobs[job]();
    runs[job].push(figures);
    rows[row] = runs;
    writeFigures(runsFile, rows);
    process.stderr.write(`${row}, ${job}: ${JSON.stringify(figures)}\n`);
  }
}

/** Keeps what a step of each mode consists of, with everything trained, and what Keras's takes. */
async function profile(name) {
  await jobsOf(name, "none");
  const model = join(folder, `${name}.keras`);
  const steps = "5";
  const job = (mode) => ["bench/step-profile.mjs", model, mode, `${size}`, steps];
  rows[`${name} step`] = {
    ...Object.fromEntries(networks[name].modes.map((mode) => [mode, run(process.execPath, job(mode))])),
    keras: run(python, ["bench/keras_step.py", model, steps]),
  };
  writeFigures(runsFile, rows);
}

/** Returns the jobs of a row by name: ours by their mode of normalizations, and Keras's. */
async function jobsOf(name, cut) {
  const { stage, preprocess, modes } = networks[name];
  const model = join(folder, `${name}.keras`);
  const photos = join(folder, "photos");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(model)) run(python, ["bench/plan_models.py", folder, `${name}:${size}`]);
  if (!existsSync(photos)) await makeData({ unit: "image", size }, { train, val }, photos);
  const job = { model, photos, cut: cut === "stage" ? stage : cut, epochs: epochs[cut], preprocess };
  return {
    ...Object.fromEntries(modesAt(cut, modes).map((bnMode) => [bnMode, () => ours({ ...job, bnMode })])),
    keras: () => kerasJob(job, "fit"),
  };
}

/** Returns the modes that differ: what is frozen uses stored statistics under all of them. */
function modesAt(cut, modes) {
  return cut === "head" ? ["inference"] : modes;
}

/** Returns true if one more run of a job is likely to end in time. */
function fits(runs) {
  const likely = Math.max(0, ...runs.map(({ wholeSeconds }) => wholeSeconds));
  return (performance.now() - began) / 1000 + likely < Number(values.seconds);
}

/** Returns the least of a figure of all runs: other processes only add to it. */
function fastest(runs, figure) {
  return Math.min(...runs.flatMap(figure));
}

function lines(name, cut) {
  const { stage, modes } = networks[name];
  const { keras = [], ...mine } = rows[`${name} ${cut}`] ?? {};
  const later = ({ epochs: seconds }) => seconds.slice(1);
  const whole = ({ wholeSeconds }) => wholeSeconds;
  return modesAt(cut, modes)
    .filter((mode) => keras.length > 0 && mine[mode]?.length > 0)
    .map((mode) => [
      ...[name, cut === "stage" ? stage : cut, cut !== "head" && modes.length > 1 ? mode : ""],
      (fastest(mine[mode], later) / fastest(keras, later)).toFixed(2),
      `${fastest(keras, later).toFixed(2)} s`,
      (fastest(mine[mode], whole) / fastest(keras, whole)).toFixed(2),
      ratio(mine[mode], keras, ({ peakBytes }) => peakBytes),
      `${mine[mode].length}, ${keras.length}`,
      `${Math.round(100 * median([...mine[mode], ...keras].map(({ othersShare }) => othersShare)))} %`,
    ]);
}

/** Returns the rows of the table of epochs: all that were measured with everything trained. */
function epochsOf(name) {
  const { modes } = networks[name];
  const { keras = [], ...mine } = rows[`${name} none`] ?? {};
  const listed = (runs) =>
    runs.map(({ epochs: seconds }) => seconds.map((each) => each.toFixed(2)).join(", ")).join("; ");
  const later = ({ epochs: seconds }) => seconds.slice(1);
  return modes
    .filter((mode) => keras.length > 0 && mine[mode]?.length > 0)
    .map((mode) => [
      ...[name, modes.length > 1 ? mode : "", listed(mine[mode]), listed(keras)],
      (fastest(mine[mode], later) / fastest(keras, later)).toFixed(2),
      ratio(mine[mode], keras, later),
    ]);
}

/** Returns the rows of the table of profiles. */
function steps(name) {
  const milliseconds = (seconds) => `${(1000 * seconds).toFixed(0)}`;
  const { keras, ...mine } = rows[`${name} step`] ?? {};
  return Object.entries(mine).map(([mode, { seconds, processor, inKernels, kernels }]) => [
    ...[name, networks[name].modes.length > 1 ? mode : ""],
    ...[seconds, processor, seconds - inKernels].map(milliseconds),
    ...(keras ? [milliseconds(keras.processor), (processor / keras.processor).toFixed(2)] : ["", ""]),
    Object.entries(kernels)
      .map(([kernel, own]) => `${kernel.replace("_MklNative", "")} ${milliseconds(own)}`)
      .join(", "),
  ]);
}

function written() {
  const figures = ["epoch", "Keras's epoch", "whole job", "peak memory", "runs", "others"];
  const head = ["network", "trained from", "our `--bn-mode`", ...figures];
  const without = Object.keys(networks).flatMap((name) =>
    cuts.filter((cut) => lines(name, cut).length === 0).map((cut) => `${name} from ${cut}`),
  );
  const all = Object.keys(networks).flatMap((name) => cuts.flatMap((cut) => lines(name, cut)));
  return `# Networks, ours over Keras's

Made by \`npm run bench:networks\` on ${availableParallelism()} cores: whole processes, ours and Keras's (3.15, TensorFlow) in turn; ratios, below 1 where we take
less: of the fastest epochs and jobs of all runs, since other processes only add to them, and of the medians of memory. The native engine, float32; networks with random weights at ${size} × ${size} pixels, so that two jobs take less than a minute; ${train} + ${val}
made-up photos, ${epochs.head} epochs, ${epochs.none} with nothing frozen, batch 32, Adam. "epoch" is the seconds of an epoch after the first, validation included, beside it Keras's own;
"whole job" from the start of the process to its end (ours writes the model and proves what is frozen, Keras writes nothing); "peak memory" the
largest resident size; "runs" counts ours and Keras's; "others" is the share of the machine that other processes took meanwhile. Keras decodes once,
with \`tf.data\`'s \`cache\` and \`prefetch\`, and runs \`fit\`. VisionTransformer is the tiny ViT: 12 blocks of MultiHeadAttention and
LayerNormalization, 192 wide, patches of 16. \`follow\` does what Keras's \`fit\` does, batch statistics past the cut; \`inference\` is our default.

${table(head, all)}

${without.length > 0 ? `Not measured yet: ${without.join(", ")}.\n` : ""}
## Epochs one by one

Seconds of every epoch with nothing frozen, a run after the other. The first of Keras's traces and optimizes the graph, and one or more after
it are often slow as well, so what stands above takes the fastest of each. The median of all epochs after the first, as bench/RESULTS.md takes
it, holds Keras's slow ones: of the few epochs of that page they are the half, of the 14 here fewer.

${table(["network", "our `--bn-mode`", "ours", "Keras's", "by the fastest", "by the median"], Object.keys(networks).flatMap(epochsOf))}

## A step of ours

Milliseconds of a step with everything trained, the processor time of all threads in it, what lies outside of TensorFlow's kernels, the processor
time of Keras's step on the same batch, ours over Keras's, which other processes bend less than seconds, and our largest kernels. Convolutions and
matrix products are the same kernels of oneDNN in Keras's graph. What is left to gain are the passes between them, which a graph computes in
place and two at a time, and the calls themselves, which one thread makes. These are steps of calls; as one graph, which the rows with nothing
frozen have, they take what [GRAPHS.md](GRAPHS.md) says.

${table(["network", "our `--bn-mode`", "step", "processor", "outside", "Keras's processor", "ratio", "largest kernels"], Object.keys(networks).flatMap(steps))}
`;
}
