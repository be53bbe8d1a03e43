import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import { afterAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { arrayDataset, finetune, inspect, predict, readCheckpoint, type Tensor } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { fromFolder } from "../formats/tfjs/handler.ts";

const folder = mkdtempSync(join(tmpdir(), "keras-finetune-graph-"));
afterAll(() => rmSync(folder, { recursive: true }));
if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");

/** Pictures of three brightnesses. */
function pictures(samples: number): { inputs: Tensor; targets: Tensor } {
  const random = randomGenerator(5);
  const size = 32 * 32 * 3;
  const data = Float32Array.from(
    { length: samples * size },
    (_, index) => (Math.floor(index / size) % 3) - 1 + random.nextFloat() * 0.2,
  );
  const targets = Float32Array.from({ length: samples }, (_, index) => index % 3);
  return {
    inputs: { dtype: "float32", shape: [samples, 32, 32, 3], data },
    targets: { dtype: "float32", shape: [samples], data: targets },
  };
}

test.each(["classifier", "features", "positions"])(
  "a head trains behind the graph model %s, and tfjs opens the result as one graph",
  async (name) => {
    await ensureEngine();
    const out = join(folder, name);
    mkdirSync(out);
    const { inputs, targets } = pictures(24);
    const model = join("fixtures/tfjs-graphs", name);
    const run = await finetune({
      model,
      data: arrayDataset(inputs, targets),
      epochs: 4,
      batchSize: 8,
      learningRate: 0.1,
      out,
      cache: join(folder, "cache"),
    });
    expect(run.proof.unchanged).toBe(true);
    expect(run.features.extracted).toBe(24);
    expect(run.history.at(-1)!.loss).toBeLessThan(run.history[0]!.loss);
    const saved = join(out, "model_tfjs");
    expect(run.files[0]).toBe(saved);
    expect(JSON.parse(readFileSync(join(out, "labels.json"), "utf8"))).toEqual(["0", "1", "2"]);

    const tuned = await readCheckpoint(saved);
    const [own] = await predict(tuned, inputs);
    const [expected] = await predict(run.checkpoint, inputs);
    expect(own).toEqual(expected);
    expect(inspect(tuned).labels).toEqual(["0", "1", "2"]);
    const graph = await loadGraphModel(fromFolder(saved));
    const theirs = graph.predict(tf.tensor(inputs.data as Float32Array, [24, 32, 32, 3])) as tf.Tensor;
    const apart = Array.from(theirs.dataSync(), (value, index) => Math.abs(value - Number(own!.data[index])));
    expect(Math.max(...apart)).toBeLessThan(2e-5);
    graph.dispose();

    const second = await finetune({
      model: saved,
      data: arrayDataset(inputs, targets),
      epochs: 1,
      cache: join(folder, "cache"),
    });
    expect(second.plan.layers.at(-1)).toMatchObject({ className: "Dense", trainable: true });
  },
);
