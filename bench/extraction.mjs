/**
 * Extraction beside real Keras: `npm run bench:extraction -- MODEL PHOTOS [--repeats 5]`, MODEL a ResNet-50, PHOTOS a folder with `train` and
 * `val`. Whole processes in turn on the native engine: ours in float32, Keras's, ours in bf16. `KERAS_PYTHON` names the Python that has
 * Keras. Writes bench/EXTRACTION.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { interleaved, median, python, ratio, run, table } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { repeats: { type: "string", default: "5" } },
});
const [model, photos] = positionals;
if (!model || !photos) throw new Error("usage: npm run bench:extraction -- MODEL PHOTOS [--repeats N]");
const ours = (precision) => () =>
  run(process.execPath, ["bench/extraction-job.mjs", model, photos, precision]);
const runs = interleaved(
  {
    float32: ours("float32"),
    keras: () => run(python, ["bench/keras_extraction.py", model, photos]),
    bf16: ours("bf16"),
  },
  Number(values.repeats),
);
const [{ images }] = runs.keras;
if (runs.float32.some((own) => own.images !== images)) throw new Error("the jobs read different photos");

const figures = ["extraction", "reading", "computing"];
const seconds = (jobs, name) => `${median(jobs.map((job) => job[name])).toFixed(1)} s`;
const row = (name, jobs) => [
  name,
  ...figures.map((figure) => seconds(jobs, figure)),
  ...figures.map((figure) => ratio(jobs, runs.keras, (job) => job[figure])),
  `${Math.round(median(jobs.map(({ peakBytes }) => peakBytes)) / 1e6)} MB`,
];
const head = ["", "extraction", "reading alone", "computing alone"];
const ratios = ["extraction / Keras", "reading / Keras", "computing / Keras", "peak memory"];
const processor = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";

const text = `# Extraction

Made by \`npm run bench:extraction -- MODEL PHOTOS\`: ${images} photos at 224x224 through all of ResNet-50 but its head, from their files
to features in memory, whole processes in turn, medians of ${values.repeats}. The native engine on ${availableParallelism()} processors (${processor}). Keras (3.15,
TensorFlow) decodes with \`tf.data\`'s parallel \`map\`, \`batch\` and \`prefetch\` and calls \`predict\`. "Reading" decodes and resizes the same
photos again; "computing" runs the network on 96 images that are there, scaled to all photos: what extraction would take if reading took nothing.

${table([...head, ...ratios], [row("ours, float32", runs.float32), row("ours, bf16", runs.bf16), row("Keras, float32", runs.keras)])}
`;
writeFileSync("bench/EXTRACTION.md", text);
process.stdout.write(text);
