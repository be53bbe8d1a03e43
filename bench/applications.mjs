/**
 * Every network of keras.applications beside real Keras: `npm run applications -- FOLDER [--keep-reading] [NAME…]`, one process at a
 * time. FOLDER takes one network's files at a time and the figures; a second run does what is not there yet. With
 * `--keep-reading` what reading took stays as FOLDER has it and all else is compared again. `KERAS_PYTHON` names the Python
 * that has Keras. Writes bench/APPLICATIONS.md; exits with 1 if a network is not what Keras says.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const names =
  `VGG16 VGG19 ResNet50 ResNet101 ResNet152 ResNet50V2 ResNet101V2 ResNet152V2 MobileNet MobileNetV2 MobileNetV3Small
  MobileNetV3Large DenseNet121 DenseNet169 DenseNet201 InceptionV3 Xception InceptionResNetV2 NASNetMobile NASNetLarge
  EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7
  EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S EfficientNetV2M EfficientNetV2L
  ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge`.split(/\s+/);

/** The largest difference by the largest value, unless Keras itself is further than half of it from its exact numbers. */
const tolerance = 1e-5;
/** Trunk and tail round apart: the trunk is folded. */
const splitTolerance = 2e-5;
/** A single relu that rounding puts on the other side of zero moves the gradients of all before it by a thousandth. */
const gradientTolerance = 3e-3;
/** How often a file is read by us and by Keras, in turn. */
const repeats = { VGG16: 3, ResNet50: 3 };

const keepReading = process.argv.includes("--keep-reading");
const [folder, ...chosen] = process.argv.slice(2).filter((word) => word !== "--keep-reading");
if (!folder) throw new Error("usage: npm run applications -- FOLDER [NAME…]");
const unknown = chosen.filter((name) => !names.includes(name));
if (unknown.length > 0)
  throw new Error(`no such network: ${unknown.join(", ")}. Known: ${names.join(", ")}.`);
const python = process.env.KERAS_PYTHON ?? ".venv/bin/python";
const quiet = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" };

function ask(command, ...parameters) {
  const stdio = ["ignore", "pipe", "pipe"];
  const printed = execFileSync(command, parameters, {
    env: quiet,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio,
  });
  return JSON.parse(printed.trim().split("\n").at(-1));
}
const server = spawn(python, ["bench/applications_keras.py", "serve"], {
  env: quiet,
  stdio: ["pipe", "pipe", "ignore"],
});
const answers = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
async function keras(...question) {
  server.stdin.write(`${JSON.stringify(question)}\n`);
  const { value, done } = await answers.next();
  const answer = done ? { error: "Keras ended." } : JSON.parse(value);
  if (answer.error) throw new Error(answer.error);
  return answer;
}
const ours = (...parameters) =>
  ask(process.execPath, "--max-old-space-size=16000", "bench/applications-check.mjs", ...parameters);

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** Medians of whole processes, ours and Keras's in turn; `error` where Keras does not open the file. */
function readingOf(path, times) {
  const runs = { ours: [], keras: [] };
  for (let repeat = 0; repeat < times; repeat++) {
    runs.ours.push(ours("read", path));
    if (runs.keras[0]?.error === undefined)
      runs.keras.push(ask(python, "bench/applications_keras.py", "load", path));
  }
  const middle = (of) => ({
    seconds: median(of.map((run) => run.seconds)),
    bytes: median(of.map((run) => run.bytes)),
  });
  const { error } = runs.keras[0];
  return { ours: middle(runs.ours), keras: error ? { error } : middle(runs.keras) };
}

async function figuresOf(name, before) {
  mkdirSync(folder, { recursive: true });
  const made = await keras("make", name, folder);
  const checked = ours("check", name, folder);
  const opened = await keras("open", name, folder);
  const read = (format) => [format, readingOf(join(folder, `${name}.${format}`), repeats[name] ?? 1)];
  const reading = keepReading && before ? before : Object.fromEntries(["keras", "h5"].map(read));
  for (const file of [
    `${name}.keras`,
    `${name}.h5`,
    "ours.keras",
    "step.bin",
    "named.h5",
    "numbered.weights.h5",
  ])
    rmSync(join(folder, file));
  return { ...made, ...checked, ...opened, reading };
}

function faultsOf(name, figures) {
  const forward = Math.max(tolerance, 2 * (figures.rounding ?? 0));
  const bounds = {
    ".keras": [figures.keras, forward],
    ".h5": [figures.h5, forward],
    "reopened by Keras": [figures.reopened, tolerance],
    loss: [figures.loss, tolerance],
    gradient: [figures.gradient, gradientTolerance],
  };
  for (const { stage, apart } of figures.splits) bounds[`split at ${stage}`] = [apart, splitTolerance];
  const faults = Object.entries(bounds)
    .filter(([, [value, bound]]) => !(value <= bound))
    .map(([what, [value]]) => `${name}: ${what}: ${value}`);
  for (const layer of figures.lost) faults.push(`${name}: weights-only: ${layer} is not the model's`);
  for (const weight of figures.untrained) faults.push(`${name}: only ours trains ${weight}`);
  return faults;
}

const power = (value) => value.toExponential(0);
function ratio(reading, what) {
  if (!reading) return "";
  const { ours: own, keras: theirs } = reading;
  return theirs.error ? "Keras fails" : (own[what] / theirs[what]).toFixed(2);
}

function rowOf(name, figures) {
  const { reading, splits } = figures;
  const cells = [
    name,
    (figures.parameters / 1e6).toFixed(1),
    `${figures.size}`,
    power(figures.keras),
    power(figures.h5),
    figures.gradientRounding === undefined
      ? ""
      : `${power(figures.rounding)}, ${power(figures.gradientRounding)}`,
    `${splits.length}: ${power(Math.max(...splits.map((split) => split.apart)))}`,
    `${figures.last}: ${power(figures.gradient)}`,
    power(figures.reopened),
    figures.lost.length === 0 ? "same" : `${figures.lost.length} lost`,
    ratio(reading?.keras, "seconds"),
    ratio(reading?.keras, "bytes"),
    ratio(reading?.h5, "seconds"),
    ratio(reading?.h5, "bytes"),
  ];
  return `| ${cells.join(" | ")} |`;
}

const recordPath = join(folder, "applications.json");
const record = existsSync(recordPath) ? JSON.parse(readFileSync(recordPath, "utf8")) : {};
const faults = [];
for (const name of chosen.length > 0 ? chosen : names) {
  if (!record[name]?.reading || keepReading || chosen.length > 0) {
    try {
      record[name] = await figuresOf(name, record[name]?.reading);
      writeFileSync(recordPath, JSON.stringify(record));
      writeTable();
    } catch (error) {
      faults.push(`${name}: ${error.stderr ?? error.message}`);
      process.stderr.write(`${faults.at(-1)}\n`);
      continue;
    }
  }
  faults.push(...faultsOf(name, record[name]));
  process.stderr.write(`${rowOf(name, record[name])}\n`);
}

function writeTable() {
  const rows = names.filter((name) => record[name]).map((name) => rowOf(name, record[name]));
  const text = `# keras.applications beside real Keras

Made by \`npm run applications\`: each network built by Keras 3.15.1 with weights and BatchNormalization statistics off their initial
values, saved as \`.keras\` and \`.h5\`, read here, native engine. Differences are the largest by the largest value, of the features
before the head and of the predictions. **rounding**: how far Keras's own are from those of the same network in float64, and its
gradients of the step, where it was measured. **stages**: how many names it is split at, and how far features and head are from
the whole. **step**: the last stage, and how far its gradients are from Keras's (length of the difference by the length; one relu
that rounding puts on the other side of zero makes a thousandth). **reopened**: what Keras predicts from the \`.keras\` that we wrote,
against what it predicted before. **weights-only**: whether \`--arch\` makes the
same weights, to the bit, of its \`.weights.h5\` and its weights in the old \`.h5\` layout. **reading**: our seconds and peak resident
bytes over those of \`load_model\`, in turn, whole processes: medians of three with ResNet50 and VGG16, once with the
others; below 1 we take less. "Keras fails": it does not open the .h5 that it wrote.

| network | M parameters | size | .keras | .h5 | rounding | stages | step | reopened | weights-only | .keras time | .keras peak | .h5 time | .h5 peak |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
${rows.join("\n")}
`;
  writeFileSync("bench/APPLICATIONS.md", text);
}
server.stdin.end();
if (faults.length > 0) {
  process.stderr.write(`${faults.join("\n")}\n`);
  process.exitCode = 1;
}
