/**
 * Extraction beside real Keras: `npm run bench:extraction -- MODEL PHOTOS [--only float32,keras,bf16] [--repeats 3] [--anew]`, MODEL a ResNet-50,
 * PHOTOS a folder with `train` and `val`. Whole processes in turn on the native engine: ours in float32, Keras's, ours in bf16. Each run is kept
 * in bench/extraction-runs.json, and bench/EXTRACTION.md is made of all of them; `--anew` forgets them, `--repeats 0` makes the page again.
 * `KERAS_PYTHON` names the Python that has Keras.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { median, python, run, table, writeFigures } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "float32,keras,bf16" },
    repeats: { type: "string", default: "3" },
    anew: { type: "boolean", default: false },
  },
});
const [model, photos] = positionals;
if (!model || !photos) throw new Error("usage: npm run bench:extraction -- MODEL PHOTOS [--repeats N]");
const ours = (precision) => () =>
  run(process.execPath, ["bench/extraction-job.mjs", model, photos, precision]);
const jobs = {
  float32: ours("float32"),
  keras: () => run(python, ["bench/keras_extraction.py", model, photos]),
  bf16: ours("bf16"),
};
const runsFile = "bench/extraction-runs.json";
const kept = existsSync(runsFile) && !values.anew ? JSON.parse(readFileSync(runsFile, "utf8")) : {};
const runs = Object.fromEntries(Object.keys(jobs).map((name) => [name, kept[name] ?? []]));
for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
  for (const name of values.only.split(",")) {
    runs[name].push(jobs[name]());
    writeFigures(runsFile, runs);
    process.stderr.write(`${name}: ${repeat + 1} of ${values.repeats}\n`);
  }
}
if (Object.values(runs).some((own) => own.length === 0)) {
  process.stderr.write("bench/EXTRACTION.md waits for a run of each job\n");
  process.exit();
}
const all = Object.values(runs).flat();
const [{ images }] = all;
if (all.some((own) => own.images !== images)) throw new Error("the jobs read different photos");

const figures = ["extraction", "processor", "reading", "computing"];
/** Returns the least of a figure of all runs: other processes only add to it. */
const fastest = (jobs, name) => Math.min(...jobs.map((job) => job[name]));
const seconds = (jobs, name) => `${fastest(jobs, name).toFixed(1)} s`;
const row = (name, jobs) => [
  name,
  ...figures.map((figure) => seconds(jobs, figure)),
  ...figures.map((figure) => (fastest(jobs, figure) / fastest(runs.keras, figure)).toFixed(2)),
  `${Math.round(median(jobs.map(({ peakBytes }) => peakBytes)) / 1e6)} MB`,
  jobs.length,
  `${Math.round(100 * median(jobs.map(({ othersShare }) => othersShare)))} %`,
];
const head = ["", "extraction", "its processor time", "reading alone", "computing alone"];
const ratios = [
  "extraction / Keras",
  "processor / Keras",
  "reading / Keras",
  "computing / Keras",
  "peak memory",
  "runs",
  "others",
];
const partNames = {
  before: "before the first operation: normalization folded, weights on the engine, the first images read",
  oneByOne: "the first four batches, operation by operation",
  graph: "the graph made, and run once to compare it",
  batches: "the other batches, as a graph",
  idle: "waiting for images, from the first operation on",
  rest: "JavaScript between them: batches, features, garbage collection",
};
/** Returns the parts of the fastest run, which add up to its seconds, and its share of the processors. */
function partColumn(jobs) {
  const job = jobs.find(({ extraction }) => extraction === fastest(jobs, "extraction"));
  const cells = Object.keys(partNames).map((name) => job.parts[name].toFixed(2));
  const busy = job.processor / (availableParallelism() * job.extraction);
  return [...cells, `**${job.extraction.toFixed(2)}**`, `${Math.round(100 * busy)} %`];
}
const columns = [partColumn(runs.float32), partColumn(runs.bf16)];
const partRows = [...Object.values(partNames), "**all**", "share of the processors' time"].map(
  (name, index) => [name, ...columns.map((column) => column[index])],
);
const flags = readFileSync("/proc/cpuinfo", "utf8");
const amx = /\bamx_tile\b/.test(flags) ? "has AMX" : "has no AMX, on which bf16 gains more: that is untried";
const processor = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";

/** Returns what the page of graphs knows of the limit, if it has measured this network. */
function limit() {
  const file = "bench/graphs-runs.json";
  const { inference = {} } = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  if (!inference.ResNet50) return "";
  const { flops, product } = inference.ResNet50;
  const least = (flops * images) / product;
  const keras = fastest(runs.keras, "extraction");
  const asGraph = fastest(runs.float32, "computing");
  return `
The convolutions of these photos are ${((flops * images) / 1e12).toFixed(2)} TFLOP. At the speed of a plain product of large matrices in float32
(${(product / 1e9).toFixed(0)} GFLOP/s, [GRAPHS.md](GRAPHS.md)) they would take ${least.toFixed(1)} s, ${(least / keras).toFixed(2)} of Keras's whole extraction. "Computing" above took ${asGraph.toFixed(1)} s,
so its convolutions run at ${((flops * images) / asGraph / 1e9).toFixed(0)} GFLOP/s. Whether convolutions by fewer multiplications (Winograd) would be faster here was not tried.
`;
}

/** Returns what an image's parts take of a processor, of the runs that tell. */
function ofOneImage() {
  const told = (jobs) => jobs.filter(({ decoding }) => decoding !== undefined);
  const [own, theirs] = [told([...runs.float32, ...runs.bf16]), told(runs.keras)];
  if (own.length === 0 || theirs.length === 0) return "";
  const ms = (jobs, name) => `${fastest(jobs, name).toFixed(2)} ms`;
  return `
An image takes ${ms(own, "decoding")} of a processor to read, decode and hash and ${ms(own, "resizing")} to resize; TensorFlow ${ms(theirs, "decoding")} and ${ms(theirs, "resizing")}, one after the other.
`;
}

const text = `# Extraction

Made by \`npm run bench:extraction -- MODEL PHOTOS\`: ${images} photos at 224x224 through all of ResNet-50 but its head, from their files
to features in memory, whole processes in turn; seconds and ratios are the fastest of all runs, since other processes only add to them, memory and "others" are medians. The native engine on ${availableParallelism()} processors (${processor}). Keras (3.15,
TensorFlow) decodes with \`tf.data\`'s parallel \`map\`, \`batch\` and \`prefetch\` and calls \`predict\`. "Reading" decodes and resizes the same
photos again; "computing" runs the network on 96 images that are there, scaled to all photos: what extraction would take if reading took nothing, and
the graph that the fourth batch makes. Processor time is that of all threads: extraction is limited by the processors where it is near their number times its seconds,
and reading beside computing would then gain nothing. "Others" is the share of the machine that other processes took meanwhile. How far computing is from the processor's limit is
in [GRAPHS.md](GRAPHS.md). This processor ${amx}.

${table([...head, ...ratios], [row("ours, float32", runs.float32), row("ours, bf16", runs.bf16), row("Keras, float32", runs.keras)])}

## Where the seconds go

Of the fastest run of ours: seconds of the thread that computes, which add up. Images are read by another thread meanwhile, whose processor time
lengthens what computes beside it.

${table(["", "float32", "bf16"], partRows)}
${ofOneImage()}${limit()}`;
writeFileSync("bench/EXTRACTION.md", text);
process.stdout.write(text);
