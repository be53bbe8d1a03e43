/**
 * Networks as one TensorFlow graph beside one call an operation: `npm run bench:graphs -- [--only NAME] [--part inference|step] [--folder DIR]`.
 * Keeps the figures of each network in bench/graphs-runs.json and makes bench/GRAPHS.md of all, so networks can be measured one at a time;
 * `--only ""` makes the page again. `KERAS_PYTHON` names the Python that has Keras, which makes the networks.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { python, run, table, writeFigures } from "./side-by-side.mjs";

const inference = ["ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121", "VisionTransformer"];
const steps = {
  VisionTransformer: ["inference"],
  EfficientNetB0: ["follow", "inference"],
  MobileNetV2: ["inference"],
};
const [side, rows, stepSide, stepRows] = [224, 16, 160, 32];
const runsFile = "bench/graphs-runs.json";
const { values } = parseArgs({
  options: {
    only: { type: "string", default: inference.join() },
    part: { type: "string", default: "inference,step" },
    folder: { type: "string" },
  },
});
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "bench-graphs-"));
mkdirSync(folder, { recursive: true });
const runs = existsSync(runsFile) ? JSON.parse(readFileSync(runsFile, "utf8")) : { inference: {}, step: {} };
const parts = values.part.split(",");

for (const name of values.only.split(",").filter((each) => each !== "")) {
  if (parts.includes("inference")) {
    const job = ["bench/graph-inference-job.mjs", model(name, side), `${side}`, `${rows}`, "9"];
    keep("inference", name, run(process.execPath, job));
  }
  for (const mode of parts.includes("step") ? (steps[name] ?? []) : []) {
    const job = ["bench/graph-step-job.mjs", model(name, stepSide), mode, `${stepRows}`, "5"];
    keep("step", `${name} ${mode}`, run(process.execPath, job));
  }
}
if (!values.folder) rmSync(folder, { recursive: true });
const page = written();
writeFileSync("bench/GRAPHS.md", page);
process.stdout.write(page);

function keep(part, name, { wholeSeconds: _, ...figures }) {
  runs[part][name] = figures;
  writeFigures(runsFile, runs);
}

/** Returns the file of a network for images of a size, which is made where it is not there. */
function model(name, size) {
  const file = join(folder, `${name}-${size}.keras`);
  if (!existsSync(file)) {
    run(python, ["bench/plan_models.py", folder, `${name}:${size}`]);
    renameSync(join(folder, `${name}.keras`), file);
  }
  return file;
}

function written() {
  const milliseconds = (seconds) => (1000 * seconds).toFixed(1);
  const ratio = (one, other) => (one / other).toFixed(2);
  const percent = (share) => `${Math.round(100 * share)} %`;
  const inferenceRows = Object.entries(runs.inference).map(([name, figures]) => {
    const { oneByOne, graph, rows: images, sameBits, makesGraph, flops, product, othersShare } = figures;
    return [
      ...[name, milliseconds(oneByOne.seconds / images), milliseconds(graph.seconds / images)],
      ...[ratio(graph.seconds, oneByOne.seconds), ratio(graph.processor, oneByOne.processor)],
      ...[sameBits ? "yes" : "to 1e-6", `${makesGraph.toFixed(2)} s`, (flops / 1e9).toFixed(1)],
      ...[
        ((flops * images) / graph.seconds / 1e9).toFixed(0),
        (product / 1e9).toFixed(0),
        percent(othersShare),
      ],
    ];
  });
  const steppedRows = Object.entries(runs.step).map(([name, figures]) => {
    const { oneByOne, graph, first, othersShare } = figures;
    return [
      ...[name, (1000 * oneByOne.seconds).toFixed(0), (1000 * graph.seconds).toFixed(0)],
      ...[ratio(graph.seconds, oneByOne.seconds), ratio(graph.processor, oneByOne.processor)],
      ...[`${first.toFixed(2)} s`, percent(othersShare)],
    ];
  });
  return `# Graphs

Made by \`npm run bench:graphs\` on ${availableParallelism()} cores, the native engine in float32, networks with random weights: one TensorFlow graph beside one call an
operation, in turn in one process; medians, and "others" is the share of the machine that other processes took meanwhile.

## Inference

What extraction, predictions, \`evaluate\` and validation do from the fourth batch of a shape on. Milliseconds of an image of ${side} x ${side} in batches of
${rows}. "Processor" is the processor time of all threads, graph over one by one. "Same" tells whether the outputs are the same bits; where they
are not, features and validation stay one by one, and \`predict\` and \`evaluate\` use the graph. "Making it" is what the fourth batch takes longer than the third.
GFLOP are those of convolutions and products, the last column but one those of a product of two 2048 x 2048 matrices a second: how far what is left is from the processor's limit.

${table(
  [
    "network",
    "one by one",
    "graph",
    "graph / one by one",
    "processor",
    "same",
    "making it",
    "GFLOP an image",
    "GFLOP/s",
    "GFLOP/s of a product",
    "others",
  ],
  inferenceRows,
)}

## A training step

Milliseconds of a whole step with everything trained, images of ${stepSide} x ${stepSide} in batches of ${stepRows}, with crossentropy and SGD, whose updates are outside the graph. Runs
take steps so where a phase has 24 or more on batches of a size, 1,024 in networks of fewer than 24 calls of layers. "First step" is the one on which the graph is made: it is
computed both ways, and the graph is used where outputs and statistics differ by less than 1e-4 of the largest value, gradients by less than 1e-3.

${table(["network, `--bn-mode`", "one by one", "graph", "graph / one by one", "processor", "first step", "others"], steppedRows)}
`;
}
