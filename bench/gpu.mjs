#!/usr/bin/env node
/**
 * The webgpu engine on this machine's GPU: `npm run bench:gpu` writes bench/GPU.md, in under five minutes. Needs `npm ci` and
 * `finetune setup --gpu`, nothing else: the networks are those of keras.applications with random weights. On a driver in software,
 * whose times say nothing of a GPU, it is run to its end with a small ResNet from fixtures/.
 *
 * Each row is a process of its own: extraction in inference form, and training steps with the network frozen until its last stages.
 * wasm computes one small batch of the same beside it, which the GPU must give within rounding.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { gpuHere } from "./gpu-here.mjs";

const onGpu = {
  networks: { resnet50: "conv4", mobilenetv2: "block_13" },
  size: { side: 224, batch: 32, seconds: 8 },
};
const inSoftware = {
  networks: { "fixtures/cli/small_resnet.keras": "conv3" },
  size: { side: 32, batch: 2, seconds: 0 },
};
/** The largest difference that counts as rounding: of the largest feature, and of the loss. */
const tolerance = 1e-3;

if (process.env.GPU_JOB) await job(JSON.parse(process.env.GPU_JOB));
else await benchHere();

async function benchHere() {
  const { gpu, reason } = await gpuHere();
  if (gpu) return bench(gpu);
  console.error(`bench:gpu: ${reason}`);
  process.exitCode = 1;
}

function bench({ isSoftware }) {
  const { networks, size } = isSoftware ? inSoftware : onGpu;
  const rows = [];
  let engine = "";
  for (const [network, until] of Object.entries(networks)) {
    const run = (name, conditions) =>
      JSON.parse(
        execFileSync(process.execPath, [fileURLToPath(import.meta.url)], {
          env: {
            ...process.env,
            KERAS_FINETUNE_ENGINE: name,
            GPU_JOB: JSON.stringify({ network, until, ...conditions }),
          },
          encoding: "utf8",
          stdio: ["ignore", "pipe", "inherit"],
        }),
      );
    const small = { ...size, batch: 2, seconds: 0 };
    const [gpu, sameOnGpu, sameOnWasm] = [run("webgpu", size), run("webgpu", small), run("wasm", small)];
    engine = gpu.engine;
    const features = farthest(sameOnGpu.features, sameOnWasm.features);
    const losses = farthest(sameOnGpu.losses, sameOnWasm.losses);
    rows.push({ network, until, gpu, features, losses });
    console.log(`${network}: ${gpu.imagesPerSecond.toFixed(1)} images/s, ${gpu.step.toFixed(3)} s a step`);
  }
  write(size, isSoftware, engine, rows);
  const wrong = rows.filter(({ features, losses }) => !(Math.max(features, losses) <= tolerance));
  for (const { network, features, losses } of wrong)
    console.error(`${network}: parity: expected at most ${tolerance}, got ${features} and ${losses}.`);
  process.exitCode = wrong.length > 0 ? 1 : 0;
}

/** Returns the largest difference, relative to the largest value. */
function farthest(actual, expected) {
  const largest = Math.max(...expected.map(Math.abs));
  return (
    Math.max(...expected.map((value, index) => Math.abs(value - (actual[index] ?? Number.NaN)))) / largest
  );
}

function write({ side, batch }, isSoftware, engine, rows) {
  const lines = rows.map(({ network, until, gpu, features, losses }) =>
    [
      "",
      network,
      gpu.imagesPerSecond.toFixed(1),
      `${gpu.step.toFixed(3)} s (from ${until})`,
      `${(gpu.gpuBytes / 2 ** 20).toFixed(1)} MiB`,
      `${Math.round(gpu.residentBytes / 2 ** 20)} MiB`,
      features.toExponential(1),
      losses.toExponential(1),
      "",
    ]
      .join(" | ")
      .trim(),
  );
  const text = `# The webgpu engine

Written by \`npm run bench:gpu\` on ${new Date().toISOString().slice(0, 10)}: ${engine}; ${cpus()[0]?.model}, ${cpus().length} processors;
Node ${process.version}. Images of ${side} x ${side}, batches of ${batch}, medians. The last columns are the largest differences
from wasm on two images, relative to the largest value: of the features, and of the losses of two steps.

${isSoftware ? "**This is a driver in software**: the run shows that all of it works, and its times say nothing of a GPU.\n\n" : ""}| network | images/s extracted | training step | GPU memory | process | features | losses |
| --- | --- | --- | --- | --- | --- | --- |
${lines.join("\n")}
`;
  writeFileSync(fileURLToPath(new URL("GPU.md", import.meta.url)), text);
}

/** Measures one network on the engine of this process and prints what was found. */
async function job({ network, until, side, batch, seconds }) {
  const { createPredictor, createTrainer, engineInfo, freezeUntil, layerGraph, readCheckpoint } =
    await import("../dist/index.js");
  const { architectureOf } = await import("../dist/architectures/known.js");
  const { publishedFile } = await import("../dist/architectures/architecture.js");
  const { weightSpecsOf } = await import("../dist/topology/weights-of.js");
  const { tf } = await import("../dist/engine/tf.js");
  const file = network.endsWith(".keras") ? await readCheckpoint(network) : undefined;
  const checkpoint = (classes) => {
    if (file) return file;
    const config = sized(architectureOf(network).build(publishedFile(classes)), side);
    const bare = {
      ...{ modelConfig: config, weights: new Map(), notes: {} },
      ...{ format: "keras", kerasVersion: "3.15.1" },
    };
    return { ...bare, weights: randomWeights(weightSpecsOf(layerGraph(bare))) };
  };
  const images = { dtype: "float32", shape: [batch, side, side, 3], data: noise(batch * side * side * 3, 3) };
  const classes = {
    dtype: "float32",
    shape: [batch],
    data: Float32Array.from({ length: batch }, (_, row) => row % 4),
  };

  const predictor = await createPredictor(checkpoint(null), { batchSize: batch });
  let features;
  const extraction = await median(seconds, async () => {
    [features] = await predictor.predict(images);
  });
  predictor.dispose();

  const trainer = await createTrainer(checkpoint(10), { freeze: freezeUntil(until), learningRate: 1e-4 });
  const losses = [];
  const step = await median(seconds, async () => {
    losses.push((await trainer.trainOnBatch(images, classes)).loss);
  });
  const info = engineInfo();
  console.log(
    JSON.stringify({
      engine: [info.name, info.adapter, info.driver && `(${info.driver})`].filter(Boolean).join(" "),
      imagesPerSecond: batch / extraction,
      step,
      gpuBytes: tf.memory().numBytesAllocatedInGPU ?? 0,
      residentBytes: process.memoryUsage.rss(),
      features: [...features.data.subarray(0, 4096)],
      losses: losses.slice(0, 2),
    }),
  );
  trainer.dispose();
}

/** Gives the model's input its size. */
function sized(config, side) {
  return JSON.parse(JSON.stringify(config), (key, value) =>
    (key === "batch_shape" || key === "batch_input_shape") && value.length === 4
      ? [null, side, side, 3]
      : value,
  );
}

/** Runs once to warm up, once more, and then for some seconds, five times at most; the median of what came after the first. */
async function median(seconds, run) {
  await run();
  const times = [];
  const begun = performance.now();
  do {
    const started = performance.now();
    await run();
    times.push((performance.now() - started) / 1000);
  } while (times.length < 5 && performance.now() - begun < seconds * 1000);
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

function noise(count, seed) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  });
}

function randomWeights(specs) {
  let seed = 1;
  const valuesOf = (name, shape) => {
    const count = shape.reduce((all, size) => all * size, 1);
    const values = noise(count, seed++);
    if (/variance|gamma/.test(name)) return values.map((value) => 1 + value / 4);
    const fan = Math.max(1, count / (shape.at(-1) ?? 1));
    return values.map((value) => value * Math.sqrt(3 / fan));
  };
  return new Map(
    [...specs].map(([path, own]) => [
      path,
      own.map(({ name, shape }) => ({ name, dtype: "float32", shape, data: valuesOf(name, shape) })),
    ]),
  );
}
