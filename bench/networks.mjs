/**
 * Fine-tuning of several networks beside Keras: `npm run bench:networks -- [--only NAME] [--cut head|stage|none] [--runs 3]
 * [--seconds 55] [--folder DIR] [--anew] [--profile]`. Whole processes in turn, each kept in bench/networks-runs.json; bench/NETWORKS.md is made of all
 * of them, so rows can be measured one at a time, until every job of a row has `--runs` runs or `--seconds` are over. `--anew` forgets what
 * those rows have; `--runs 0` makes the page again; `--profile` looks at what a step consists of, ours as a graph beside Keras's, in place of all that. `--folder` keeps the models and images between calls.
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
  ConvNeXtTiny: { stage: "convnext_tiny_stage_3", preprocess: "none", modes: ["inference"], isSlow: true },
  VisionTransformer: { stage: "block11", preprocess: "none", modes: ["inference"] },
};
const cuts = ["head", "stage", "none"];
const [size, batch, train, val] = [160, 32, 64, 32];
/** With nothing frozen a phase has enough steps for our step to become one graph. */
const epochs = { head: 3, stage: 3, none: 14 };
/** An epoch of Keras's takes minutes in the slow network past its head. */
const slow = { train: 32, val: 32, epochs: 3 };
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
/** What bench:graphs has counted of each network, for an image of 224 x 224. */
const graphRuns = JSON.parse(readFileSync("bench/graphs-runs.json", "utf8")).inference;

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

/** Keeps what a step of each mode, which is one graph, consists of with everything trained, and Keras's, as far as it is not kept yet. */
async function profile(name) {
  await jobsOf(name, "none");
  const model = join(folder, `${name}.keras`);
  const steps = "4";
  const ofMode = (mode) => {
    const graph = mkdtempSync(join(tmpdir(), "bench-step-"));
    run(process.execPath, ["bench/graph-export-job.mjs", model, mode, `${batch}`, graph]);
    const figures = run(python, ["bench/step_profile.py", "graph", graph, steps]);
    rmSync(graph, { recursive: true });
    return figures;
  };
  const parts = {
    ...Object.fromEntries(networks[name].modes.map((mode) => [mode, () => ofMode(mode)])),
    keras: () => run(python, ["bench/step_profile.py", "keras", model, steps]),
  };
  const row = values.anew ? {} : (rows[`${name} step`] ?? {});
  for (const [part, measured] of Object.entries(parts)) {
    if (row[part]?.ofProducts !== undefined) continue;
    row[part] = measured();
    rows[`${name} step`] = row;
    writeFigures(runsFile, rows);
  }
}

/** Returns the jobs of a row by name: ours by their mode of normalizations, and Keras's. */
async function jobsOf(name, cut) {
  const { stage, preprocess, modes, isSlow = false } = networks[name];
  const isShort = isSlow && cut !== "head";
  const model = join(folder, `${name}.keras`);
  const photos = join(folder, isShort ? "few-photos" : "photos");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(model)) run(python, ["bench/plan_models.py", folder, `${name}:${size}`]);
  if (!existsSync(photos)) await makeData({ unit: "image", size }, isShort ? slow : { train, val }, photos);
  const taken = isShort ? slow.epochs : epochs[cut];
  const job = { model, photos, cut: cut === "stage" ? stage : cut, epochs: taken, preprocess };
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

/** Returns the rows of the table of profiles: a step of ours in each mode, then Keras's. */
function steps(name) {
  const milliseconds = (seconds) => `${(1000 * seconds).toFixed(0)}`;
  const { keras, ...mine } = rows[`${name} step`] ?? {};
  const flops = 3 * batch * (size / 224) ** 2 * (graphRuns[name]?.flops ?? Number.NaN);
  const line = ({ seconds, processor, inKernels, ofProducts, kernels, othersShare }) => [
    ...[seconds, processor].map(milliseconds),
    Number.isNaN(flops) ? "" : `${Math.round(flops / processor / 1e9)}`,
    `${Math.round((100 * ofProducts) / inKernels)} %`,
    Object.entries(kernels)
      .map(([kernel, own]) => `${kernel.replace(/^_Mkl(Native)?/, "")} ${milliseconds(own)}`)
      .join(", "),
    `${Math.round(100 * othersShare)} %`,
  ];
  // Steps that were profiled otherwise are left out.
  const known = Object.entries(mine).filter(([, { ofProducts }]) => ofProducts !== undefined);
  if (known.length === 0) return [];
  const ofMode = (mode) => (networks[name].modes.length > 1 ? `ours, ${mode}` : "ours");
  return [
    ...known.map(([mode, own]) => [name, ofMode(mode), ...line(own)]),
    ...(keras?.ofProducts ? [[name, "Keras", ...line(keras)]] : []),
  ];
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
made-up photos, ${epochs.head} epochs, ${epochs.none} with nothing frozen, batch ${batch}, Adam; ConvNeXtTiny, of which an epoch of Keras's takes minutes past
the head, is fine-tuned from there on ${slow.train} + ${slow.val} photos for ${slow.epochs} epochs, of which no graph is made. "epoch" is the seconds of an epoch after the first, validation included, beside it Keras's own;
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

## A step beside Keras's

A training step with everything trained, by TensorFlow's profiler in a process of Python: our graph, whose update of weights is outside of it (10 to
30 ms more), and Keras's \`train_on_batch\`, which holds it. Milliseconds of the fastest step and of the least processor time of all threads in one;
GFLOP of convolutions and products for each second of processor time, of the whole step; their share of the time in kernels; and the
kernels that take longest, which run beside each other and take longer where other processes run: within a row they compare. Convolutions and
products are the same kernels of oneDNN on both sides. A product of two 2048 x 2048 matrices gives 353 GFLOP/s on both processors, 177 on each
([GRAPHS.md](GRAPHS.md)): where a step's figure is near that, what is left are not passes to be saved but products.

${table(["network", "whose step", "wall", "processor", "GFLOP/s", "of products", "largest kernels", "others"], Object.keys(networks).flatMap(steps))}
`;
}
