/**
 * Extraction in onnxruntime-node beside this project's engines: `onnx-extraction.mjs MODEL ROUNDS IMAGES`, in one run, engine after engine in each
 * round, medians. MODEL is a model file or a network of keras.applications, which is given random weights; what is timed is everything
 * before its head, on images in memory, weights and session ready. `ONNXRUNTIME_NODE` is the folder of the npm package.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { publishedFile } from "../dist/architectures/architecture.js";
import { architectureOf } from "../dist/architectures/known.js";
import { createPredictor, readCheckpoint, useEngine, writeCheckpoint } from "../dist/index.js";
import { glorotUniform, randomGenerator } from "../dist/random.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { weightSpecsOf } from "../dist/topology/weights-of.js";

const cores = availableParallelism();
const engines = ["wasm 1", `wasm ${cores}`, "native", "onnxruntime 1", `onnxruntime ${cores}`];
const size = 224;

/** The network without its head. */
async function trunkOf(model) {
  const architecture = architectureOf(model);
  const whole = architecture
    ? {
        format: "keras",
        kerasVersion: "3.15.1",
        modelConfig: architecture.build(publishedFile(null)),
        weights: new Map(),
        notes: {},
      }
    : await readCheckpoint(model);
  if (!architecture) return whole;
  const random = randomGenerator(1);
  const filled = ({ name, shape }) => ({
    name,
    dtype: "float32",
    shape,
    data: valuesOf(name, shape, random),
  });
  const weights = [...weightSpecsOf(layerGraph(whole))].map(([path, specs]) => [path, specs.map(filled)]);
  return { ...whole, weights: new Map(weights) };
}

function valuesOf(name, shape, random) {
  if (shape.length > 1) return glorotUniform(shape, random);
  return new Float32Array(shape[0]).fill(/gamma|variance/.test(name) ? 0.5 : 0.1);
}

function imagesOf(count) {
  const data = Float32Array.from(
    { length: count * size * size * 3 },
    (_, index) => (((index * 7919) % 255) - 127) / 127,
  );
  return { dtype: "float32", shape: [count, size, size, 3], data };
}

/** Answers each line on standard input with the milliseconds that the images take and the sum of the features. */
async function serve(engine, model, count, path) {
  const [kind, threads] = engine.split(" ");
  const images = imagesOf(count);
  let run;
  if (kind === "onnxruntime") {
    const ort = createRequire(import.meta.url)(process.env.ONNXRUNTIME_NODE ?? "onnxruntime-node");
    const session = await ort.InferenceSession.create(path, {
      intraOpNumThreads: Number(threads),
      interOpNumThreads: 1,
    });
    const input = new ort.Tensor("float32", images.data, images.shape);
    run = async () => (await session.run({ [session.inputNames[0]]: input }))[session.outputNames[0]].data;
  } else {
    useEngine(kind);
    const predictor = await createPredictor(await trunkOf(model));
    run = async () => (await predictor.predict(images))[0].data;
  }
  await run();
  console.log("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    const started = performance.now();
    const features = await run();
    const milliseconds = performance.now() - started;
    console.log(
      JSON.stringify({
        milliseconds,
        features: [features[0], features[17], features.at(-1)],
        largest: Math.max(...features.slice(0, 1000)),
      }),
    );
  }
}

async function measure(model, rounds, count) {
  const folder = mkdtempSync(join(tmpdir(), "extraction-"));
  const path = join(folder, "trunk.onnx");
  await writeCheckpoint(path, await trunkOf(model), { imageSize: [size, size] });
  const servers = [];
  for (const engine of engines) {
    const [kind, threads] = engine.split(" ");
    const env = { ...process.env, ...(kind === "wasm" && { KERAS_FINETUNE_THREADS: threads }) };
    delete env.KERAS_FINETUNE_ENGINE;
    const child = spawn(process.execPath, [import.meta.filename, "serve", engine, model, `${count}`, path], {
      env,
      stdio: ["pipe", "pipe", "ignore"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value } = await lines.next();
    if (value === "ready") servers.push({ engine, child, lines, times: [] });
    else console.log(`${engine}: not here`);
  }
  let first;
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      server.child.stdin.write("\n");
      const { milliseconds, features, largest } = JSON.parse((await server.lines.next()).value);
      first ??= features;
      server.apart = Math.max(...features.map((value, index) => Math.abs(value - first[index]))) / largest;
      server.times.push(milliseconds / count);
    }
  }
  for (const { engine, times, apart } of servers) {
    const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
    console.log(
      `${engine}: ${median.toFixed(1)} ms an image (${times.map((time) => time.toFixed(1)).join(" ")}), apart from the first by ${apart.toExponential(1)}`,
    );
  }
  for (const { child } of servers) child.kill();
  rmSync(folder, { recursive: true });
}

const [first, ...rest] = process.argv.slice(2);
if (first === "serve") await serve(rest[0], rest[1], Number(rest[2]), rest[3]);
else await measure(first, Number(rest[0] ?? 5), Number(rest[1] ?? 4));
