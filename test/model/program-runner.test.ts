import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { inferenceProgram } from "../../src/model/inference-program.ts";
import type { ProgramRunner } from "../../src/model/program-runner.ts";
import { graphTolerance, programRunner } from "../../src/model/program-runner.ts";
import type { LayerWeights } from "../../src/model/uploads.ts";
import { disposeWeights, uploadRows, uploadWeights } from "../../src/model/uploads.ts";
import type { Tensor } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { modelPath, modelRecords, unpacked } from "../formats/model-fixtures.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";

beforeAll(async () => {
  await ensureEngine();
});

interface Opened {
  readonly runner: ProgramRunner;
  readonly weights: LayerWeights;
  readonly inputs: readonly Tensor[];
  /** Runs the rows `from` to `to` so many times and returns the values of the last. */
  run(times: number, rows?: readonly [from: number, to: number], inputs?: readonly Tensor[]): Float32Array[];
  dispose(): void;
}

async function opened(file: string, tolerance: number, planned?: number): Promise<Opened> {
  const record = modelRecords().find(([name]) => name === file)?.[1];
  if (!record) throw new Error(`no fixture ${file}`);
  const checkpoint = await readCheckpoint(modelPath(file));
  const {
    program,
    weights: values,
    contextOf,
  } = inferenceProgram(layerGraph(checkpoint), checkpoint.weights);
  const layers = program.nodes.map(({ layer }) => layer);
  const weights = uploadWeights(values, layers);
  const own = record.inputs.map(unpacked);
  const rows = own[0]?.shape[0] ?? 0;
  const runner = programRunner(
    program,
    contextOf,
    tolerance,
    planned ? new Map([[rows, planned]]) : undefined,
  );
  return {
    runner,
    weights,
    inputs: own,
    run: (times, [from, to] = [0, rows], inputs = own) => {
      const feeds = inputs.map((input) => uploadRows(input, from, to));
      let last: Float32Array[] = [];
      for (let time = 0; time < times; time++) {
        const { outputs, masks } = runner.run(feeds, weights);
        last = outputs.map((output) => Float32Array.from(output.dataSync()));
        tf.dispose([...outputs, ...masks.filter((mask) => mask !== undefined)]);
      }
      tf.dispose(feeds);
      return last;
    },
    dispose: () => {
      runner.dispose();
      disposeWeights(weights);
    },
  };
}

/** Returns the largest difference, as part of the largest value. NaN beside NaN is no difference. */
function apart(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  return some.reduce((worst, values, index) => {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
    const gaps = values.map((value, place) => {
      const other = others[index]?.[place] ?? Number.NaN;
      if (Number.isNaN(value) && Number.isNaN(other)) return 0;
      return value === other ? 0 : Math.abs(value - other) / largest;
    });
    return gaps.reduce((most, gap) => Math.max(most, gap), worst);
  }, 0);
}

/** Models of small size whose operations can all be recorded. */
const recordable = [
  "k3-across-batch.keras",
  "k3-transformer.keras",
  "k212-hidden-steps.h5",
  "k122-volumes.h5",
  "k122-convolutions.h5",
  "k215-normalizations.h5",
];

describe.runIf(isNative)("a program that runs for many batches", () => {
  it.each(recordable)(
    "is one graph from the fourth batch of a shape on, with the same numbers: %s",
    async (file) => {
      const before = tf.memory().numTensors;
      const { runner, inputs, run, dispose } = await opened(file, graphTolerance);
      const oneByOne = run(3);
      expect(runner.graphs).toBe(0);
      run(1);
      expect(runner.graphs).toBe(1);
      expect(apart(oneByOne, run(2))).toBeLessThanOrEqual(1e-6);
      const [first] = inputs;
      if ((first?.shape[0] ?? 0) > 1 && !file.includes("across")) {
        const part = run(1, [0, 1]);
        expect(apart(part, run(4, [0, 1]))).toBeLessThanOrEqual(1e-6);
      }
      dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it("stays one by one where an operation looks at values", async () => {
    const { runner, run, dispose } = await opened("k3-decompositions.keras", graphTolerance);
    const first = run(1);
    expect(apart(first, run(5))).toBe(0);
    expect(runner.graphs).toBe(0);
    dispose();
  });

  it("stays one by one without a tolerance where a graph adds up in another order", async () => {
    const { runner, run, dispose } = await opened("k122-volumes.h5", 0);
    const first = run(1);
    expect(apart(first, run(5))).toBe(0);
    expect(runner.graphs).toBe(0);
    dispose();
  });

  it("is one graph from the first batch on where many are planned, which all give the same bits", async () => {
    const before = tf.memory().numTensors;
    const { runner, run, dispose } = await opened("k122-volumes.h5", 0, 1000);
    const first = run(1);
    expect(runner.graphs).toBe(1);
    expect(apart(first, run(4))).toBe(0);
    dispose();
    expect(tf.memory().numTensors).toBe(before);
    const few = await opened("k122-volumes.h5", 0, 100);
    const calls = few.run(1);
    expect(few.runner.graphs).toBe(0);
    expect(apart(calls, first)).toBeLessThan(1e-5);
    few.dispose();
  });

  it("takes the weights of each batch", async () => {
    const { runner, weights, run, dispose } = await opened("k122-convolutions.h5", graphTolerance);
    const first = run(4);
    for (const layer of weights.values()) {
      for (const [name, value] of Object.entries(layer)) {
        layer[name] = tf.keep(tf.mul(value, 1.5));
        value.dispose();
      }
    }
    const changed = run(1);
    expect(runner.graphs).toBe(1);
    expect(apart(first, changed)).toBeGreaterThan(0.01);
    dispose();
    const again = await opened("k122-convolutions.h5", graphTolerance);
    for (const layer of again.weights.values()) {
      for (const [name, value] of Object.entries(layer)) {
        layer[name] = tf.keep(tf.mul(value, 1.5));
        value.dispose();
      }
    }
    expect(apart(again.run(1), changed)).toBeLessThanOrEqual(1e-6);
    again.dispose();
  });

  it("makes NaN of NaN, also behind a ReLU that TensorFlow would fuse", async () => {
    const { runner, inputs, run, dispose } = await opened("k122-convolutions.h5", graphTolerance);
    run(4);
    expect(runner.graphs).toBe(1);
    const strange = inputs.map((input) => {
      const data = Float32Array.from(input.data as Float32Array);
      data[0] = Number.NaN;
      return { ...input, dtype: "float32", data } as Tensor;
    });
    const graph = run(1, undefined, strange);
    runner.dispose();
    const oneByOne = run(1, undefined, strange);
    expect(oneByOne.some((values) => values.some(Number.isNaN))).toBe(true);
    expect(graph.map((values) => values.map((value) => (Number.isNaN(value) ? 1 : 0)))).toEqual(
      oneByOne.map((values) => values.map((value) => (Number.isNaN(value) ? 1 : 0))),
    );
    dispose();
  });
});

describe.runIf(!isNative)("on another engine", () => {
  it("a program runs one by one however often", async () => {
    const { runner, run, dispose } = await opened("k122-volumes.h5", graphTolerance);
    const first = run(1);
    expect(apart(first, run(5))).toBe(0);
    expect(runner.graphs).toBe(0);
    dispose();
  });
});
