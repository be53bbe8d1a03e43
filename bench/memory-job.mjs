/**
 * One run in a process of its own, with what its memory is at each stage: memory-job.mjs MODEL PHOTOS CUT BN_MODE EPOCHS BATCH. Prints the
 * stages as JSON: the largest resident memory in each, and at its end what of it is mapped from files, in arrays and heap of the script
 * engine, and in tensors that the steps know of.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { tf } from "../dist/engine/tf.js";
import { finetune, freeze, freezeAllButHead, freezeUntil, useEngine } from "../dist/index.js";

const [model, data, cut, bnMode, epochs, batch] = process.argv.slice(2);
const kilobyte = 1024;

// The main thread is in TensorFlow most of the time: another one looks every few milliseconds.
const largest = new Int32Array(new SharedArrayBuffer(4));
const watch = `
  const { readFileSync } = require("node:fs");
  const largest = require("node:worker_threads").workerData;
  setInterval(() => {
    const now = Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "latin1"))[1]);
    if (now > Atomics.load(largest, 0)) Atomics.store(largest, 0, now);
  }, 5);`;
const watcher = new Worker(watch, { eval: true, workerData: largest });
await new Promise((resolve) => watcher.once("online", resolve));

const stages = [];
let stage = "reading the model, the plan and its trial";

/** Ends the stage at hand, whose name is told only then. */
function next(name) {
  const status = readFileSync("/proc/self/status", "latin1");
  const bytes = (field) => kilobyte * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]);
  const { arrayBuffers, heapTotal } = process.memoryUsage();
  const peak = Math.max(kilobyte * Atomics.exchange(largest, 0, 0), bytes("VmRSS"));
  const tensors = stages.length === 0 ? 0 : tf.memory().numBytes;
  stages.push({
    ...{ stage, peak, files: bytes("RssFile"), anonymous: bytes("RssAnon") },
    ...{ arrays: arrayBuffers, heap: heapTotal, tensors },
  });
  stage = name;
}

useEngine("native");
next("reading the model, the plan and its trial");
stages[0].stage = "node and the code";
const folder = mkdtempSync(join(tmpdir(), "bench-memory-"));
const policy = cut === "head" ? freezeAllButHead() : cut === "none" ? freeze("none") : freezeUntil(cut);
await finetune({
  ...{ model, data, bnMode, epochs: Number(epochs), batchSize: Number(batch), freeze: policy },
  ...{ cache: join(folder, "cache"), out: join(folder, "run") },
  onProgress: (event) => {
    if (event.kind === "plan") next("the written model rehearsed, features extracted");
    if (event.kind === "step" && event.step === 1 && stage.startsWith("the written")) next("training");
    if (event.kind === "epoch" && event.epoch.epoch === Number(epochs))
      next("judging, proof, the model and the report written");
  },
});
next("");
rmSync(folder, { recursive: true });
await watcher.terminate();
const peakBytes = process.resourceUsage().maxRSS * kilobyte;
process.stdout.write(`\n${JSON.stringify({ stages, peakBytes })}\n`);
process.exit(0);
