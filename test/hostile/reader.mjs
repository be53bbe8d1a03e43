/**
 * A process that reads files it is told of, one at a time, by the built package, and answers what came out: an error's class and message,
 * or digests of what was read, with those of jsfive's own reading of the same bytes.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";
import { Dataset, File } from "jsfive";
import { loadMasks } from "../../dist/data/mask-pairs.js";
import { inspect, layerGraph, loadImages, maskFolder, readCheckpoint, table } from "../../dist/index.js";

const digest = (values) =>
  createHash("sha256")
    .update(Buffer.from(Float64Array.from(values, Number).buffer))
    .digest("hex")
    .slice(0, 16);

/** Resets the peak of this process's resident memory, where the system has one. */
function resetPeak() {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Not Linux, or not allowed: the peak since the start counts.
  }
}

function peakBytes() {
  try {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

/** Digests of every dataset that jsfive finds in an HDF5 file, and the texts of its attributes. */
function independentReading(bytes) {
  const datasets = new Set();
  const texts = new Set();
  const visit = (node) => {
    try {
      for (const value of Object.values(node.attrs ?? {})) if (typeof value === "string") texts.add(value);
    } catch {
      // jsfive cannot read these attributes.
    }
    if (node instanceof Dataset) {
      try {
        datasets.add(digest(node.value));
      } catch {
        // jsfive cannot read this dataset.
      }
      return;
    }
    for (const key of node.keys) {
      try {
        visit(node.get(key));
      } catch {
        // jsfive cannot open this member.
      }
    }
  };
  try {
    visit(new File(Uint8Array.from(bytes).buffer, "mutant.h5"));
  } catch {
    // jsfive cannot read the file at all.
  }
  return { datasets, texts };
}

const readModel = async (path) => readModelOf(await readCheckpoint(path));
/** The network whose weights lie in shards. */
const network = join(import.meta.dirname, "..", "..", "fixtures", "cli", "small_resnet.keras");

function readModelOf(checkpoint) {
  layerGraph(checkpoint);
  inspect(checkpoint);
  const weights = [...checkpoint.weights.values()].flat().map((weight) => digest(weight.data));
  return { weights, config: JSON.stringify(checkpoint.modelConfig) };
}

const readers = {
  h5: readModel,
  keras: readModel,
  json: readModel,
  weights: readModel,
  preset: readModel,
  sharded: async (path) => readModelOf(await readCheckpoint(path, { arch: network })),
  onnx: readModel,
  mask: async (path) => {
    const folder = dirname(path);
    const dataset = await maskFolder(join(folder, "..", "images"), folder, { validationFraction: 0 });
    const { data } = await loadMasks([path], dataset.targetColumns[0].coding, [12, 16]);
    return { weights: [digest(data)] };
  },
  jsonl: async (path) => ({
    config: JSON.stringify(
      await table(path, { x: ["a", "b"], targets: ["label"], sampleWeight: "w" }),
    ).length.toString(),
    weights: [],
  }),
  image: async (path) => ({
    weights: [digest((await loadImages([path], { imageSize: [64, 64], preprocess: "none" })).data)],
  }),
  csv: async (path) => ({
    config: JSON.stringify(
      await table(path, { x: ["a", "b"], targets: ["label"], sampleWeight: "w" }),
    ).length.toString(),
    weights: [],
  }),
};

/** What an independent reader finds in the bytes, for weights that are not the undamaged file's. */
function independent(kind, path) {
  if (kind === "preset") return independentReading(readFileSync(join(path, "model.weights.h5")));
  const bytes = readFileSync(path);
  if (kind === "h5") return independentReading(bytes);
  if (kind !== "keras") return undefined;
  const entries = unzipSync(bytes);
  const name = Object.keys(entries).find((each) => each.endsWith(".h5"));
  return independentReading(entries[name] ?? new Uint8Array());
}

process.on("message", async ({ kind, path, known }) => {
  resetPeak();
  const before = process.memoryUsage().rss;
  const began = process.cpuUsage();
  const answer = { ok: false };
  try {
    const { weights, config } = await readers[kind](path);
    answer.ok = true;
    answer.weights = weights;
    answer.config = config;
  } catch (error) {
    answer.error = {
      name: error?.name ?? typeof error,
      message: String(error?.message ?? error).replaceAll(dirname(path), "FOLDER"),
      code: error?.code,
      stack: String(error?.stack),
    };
  }
  const { user, system } = process.cpuUsage(began);
  answer.milliseconds = (user + system) / 1000;
  answer.growth = peakBytes() - before;
  if (answer.ok && known) {
    // Only what the undamaged file does not hold needs a second reader.
    const strange = answer.weights.filter((each) => !known.includes(each));
    if (strange.length > 0) {
      try {
        const found = independent(kind, path);
        answer.unconfirmed = found ? strange.filter((each) => !found.datasets.has(each)).length : 0;
      } catch (error) {
        answer.unconfirmed = strange.length;
        answer.independent = String(error);
      }
    }
  }
  process.send(answer);
});
process.send("ready");
