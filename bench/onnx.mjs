/**
 * Models in ONNX Runtime beside our predictions: `npm run test:onnx -- FOLDER [NAME…]`. Every network of keras.applications with random
 * weights, the models of KerasHub in fixtures, and the demo's tuned network in onnxruntime-node, one process at a time. FOLDER takes one
 * model at a time and the figures; a second run does what is not there yet, so that it can be stopped and go on. `KERAS_PYTHON` names a Python that
 * has onnx and onnxruntime, `ONNXRUNTIME_NODE` the folder of the npm package, for the demo. Writes the table in docs/onnx.md; exits with 1
 * if a model is further apart than 1e-5.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { knownArchitectures } from "../dist/architectures/known.js";

/** The largest difference by the largest value. */
const tolerance = 1e-5;
const page = "docs/onnx.md";
const [folder, ...chosen] = process.argv.slice(2);
if (!folder) throw new Error("usage: npm run test:onnx -- FOLDER [NAME…]");
mkdirSync(folder, { recursive: true });
const python = process.env.KERAS_PYTHON ?? ".venv/bin/python";
const demo = "fixtures/demo/efficientnet_lite0.keras";

const networks = knownArchitectures().map(({ name }) => name);
const hub = ["fixtures/hub", "fixtures/hub-texts"].flatMap((place) =>
  readdirSync(place)
    .filter((name) => name.endsWith(".keras"))
    // A backbone of texts leaves the number of tokens free.
    .filter((name) => name !== "electra.keras")
    .map((name) => join(place, name)),
);
const all = [...networks, ...hub, ...(process.env.ONNXRUNTIME_NODE ? [demo] : [])];
const notes = join(folder, "figures.json");
const figures = existsSync(notes) ? JSON.parse(readFileSync(notes, "utf8")) : {};

function ask(command, ...parameters) {
  const printed = execFileSync(command, parameters, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return JSON.parse(printed.trim().split("\n").at(-1));
}

for (const name of chosen.length > 0 ? chosen : all.filter((each) => !figures[each])) {
  if (name === demo) figures[name] = ask(process.execPath, "bench/onnx-demo.mjs", folder);
  else {
    const record = ask(process.execPath, "--max-old-space-size=16000", "bench/onnx-check.mjs", name, folder);
    const answer = ask(python, "bench/onnx_runtime.py", folder, JSON.stringify(record));
    figures[name] = { ...answer, parameters: record.parameters };
  }
  writeFileSync(notes, JSON.stringify(figures, null, 2));
  console.log(name, figures[name].apart.toExponential(1));
}

const done = all.filter((name) => figures[name]);
const rows = done.map((name) => {
  const { parameters, apart } = figures[name];
  const short =
    name === demo
      ? "the demo's tuned network, in onnxruntime-node"
      : name.replace(/^fixtures\/(hub(?:-texts)?)\/(.+)\.keras$/, "KerasHub: $2");
  return `| ${short} | ${(parameters / 1e6).toFixed(parameters < 1e6 ? 3 : 1)} | ${apart.toExponential(0)} |`;
});
const { runtime, checker } = figures[done[0]] ?? {};
const table = [
  `Largest difference by the largest value, onnxruntime ${runtime}, opset 17, each file passed by the checker of onnx ${checker} (with its shapes, of files below 1 GiB):`,
  "",
  "| model | million parameters | apart |",
  "|---|---|---|",
  ...rows,
].join("\n");
const text = readFileSync(page, "utf8");
const [before, behind] = ["<!-- npm run test:onnx -->\n", "\n<!-- end -->"];
const start = text.indexOf(before) + before.length;
writeFileSync(page, text.slice(0, start) + table + text.slice(text.indexOf(behind, start)));

const wrong = done.filter((name) => !(figures[name].apart <= tolerance));
const missing = all.filter((name) => !figures[name]);
if (missing.length > 0) console.log(`not yet: ${missing.join(", ")}`);
if (wrong.length > 0) {
  console.error(`further apart than ${tolerance}: ${wrong.join(", ")}`);
  process.exit(1);
}
