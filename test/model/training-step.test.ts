import { beforeAll, describe, expect, test } from "vitest";
import type { BatchNormMode, Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { Partition } from "../../src/freeze/partition.ts";
import { partition } from "../../src/freeze/partition.ts";
import type { Program } from "../../src/model/program.ts";
import { wholeProgram } from "../../src/model/program.ts";
import type { ContextOf } from "../../src/model/run-program.ts";
import { runProgram } from "../../src/model/run-program.ts";
import { trainingProgram } from "../../src/model/training-program.ts";
import { forward } from "../../src/model/training-step.ts";
import type { LayerWeights } from "../../src/model/uploads.ts";
import { disposeWeights, uploadWeights } from "../../src/model/uploads.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { modelPath, modelRecords, sampledModels, unpacked } from "../formats/model-fixtures.ts";
import { randomInputs, randomWeights } from "../topology/rewrites/graph-maker.ts";
import { randomGraph } from "../topology/rewrites/random-graphs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

/** By `path/name`. */
type Gradients = ReadonlyMap<string, tf.Tensor>;

interface Case {
  readonly program: Program;
  readonly cut: Partition;
  readonly feeds: readonly tf.Tensor[];
  readonly weights: LayerWeights;
  readonly contextOf: ContextOf;
}

/** What each output's gradient is. */
function outputGradient(output: tf.Tensor, index: number): tf.Tensor {
  return tf.randomNormal(output.shape, 0, 1, "float32", 17 + index);
}

async function ofTheStep({ program, cut, feeds, weights, contextOf }: Case): Promise<Gradients> {
  const onStored = (path: string): boolean => !cut.batchStatistics.has(path);
  const training = trainingProgram(program, cut.trainableWeights, onStored);
  const pass = forward(training, feeds, weights, contextOf);
  const incoming = pass.outputs.map(outputGradient);
  const found = new Map<string, tf.Tensor>();
  await pass.backward(incoming, (path, name, gradient) => found.set(`${path}/${name}`, gradient.clone()));
  tf.dispose([...incoming, ...[...pass.state.values()].flatMap((state) => Object.values(state))]);
  return found;
}

/** The same by tfjs's own tape over the whole graph. */
function ofVariableGrads({ program, cut, feeds, weights, contextOf }: Case): Gradients {
  const variables = new Map<string, tf.Variable>();
  const withVariables: LayerWeights = new Map(
    [...weights].map(([path, layer]) => {
      const own = Object.entries(layer).map(([name, value]) => {
        if (!cut.trainableWeights.get(path)?.includes(name)) return [name, value] as const;
        const variable = tf.variable(value);
        variables.set(`${path}/${name}`, variable);
        return [name, variable] as const;
      });
      return [path, Object.fromEntries(own)];
    }),
  );
  const { value, grads } = tf.variableGrads(() => {
    const outputs = runProgram(program, feeds, withVariables, contextOf);
    return tf.addN(outputs.map((output, index) => tf.sum(tf.mul(output, outputGradient(output, index)))));
  }, [...variables.values()]);
  value.dispose();
  const found = [...variables].flatMap(([key, { name }]) =>
    grads[name] ? [[key, grads[name]] as const] : [],
  );
  for (const variable of variables.values()) variable.dispose();
  return new Map(found);
}

/** The largest difference of a gradient, by its largest value or a thousandth of all gradients' largest. */
function farthest(got: Gradients, expected: Gradients): number {
  expect([...got.keys()].sort()).toEqual([...expected.keys()].sort());
  return tf.tidy(() => {
    const magnitude = (tensor: tf.Tensor): number => tf.max(tf.abs(tensor)).dataSync()[0]!;
    const magnitudes = new Map([...expected].map(([key, gradient]) => [key, magnitude(gradient)]));
    const floor = Math.max(...magnitudes.values()) / 1000;
    const apart = [...expected].map(
      ([key, gradient]) => magnitude(tf.sub(got.get(key)!, gradient)) / Math.max(magnitudes.get(key)!, floor),
    );
    return Math.max(...apart);
  });
}

async function expectSameGradients(
  graph: LayerGraph,
  values: Weights,
  feeds: readonly tf.Tensor[],
  bnMode: BatchNormMode,
  tolerance = 1e-5,
): Promise<void> {
  const before = tf.memory().numTensors;
  const program = wholeProgram(graph);
  const cut = partition(graph, { frozen: new Set(), bnMode, newLayers: new Set() });
  const weights = uploadWeights(
    values,
    program.nodes.map((node) => node.layer),
  );
  const contextOf: ContextOf = (node, layer) => {
    let seed = 1000 * node.index;
    const random = { nextSeed: () => seed++ };
    const statistics = cut.batchStatistics.has(layer.path) ? "batch" : "stored";
    return { training: true, statistics, random, keras: layer.keras };
  };
  const case_ = { program, cut, feeds, weights, contextOf };
  const [got, expected] = [await ofTheStep(case_), ofVariableGrads(case_)];
  expect(farthest(got, expected)).toBeLessThan(tolerance);
  tf.dispose([...got.values(), ...expected.values()]);
  disposeWeights(weights);
  expect(tf.memory().numTensors).toBe(before);
}

describe("the gradients of a training step equal those of tf.variableGrads", () => {
  test.each(["inference", "follow"] as const)("in random graphs, %s", async (bnMode) => {
    for (let seed = 0; seed < 40; seed++) {
      const graph = randomGraph(seed, 12);
      const feeds = randomInputs(graph, seed);
      await expectSameGradients(graph, randomWeights(graph, seed), feeds, bnMode);
      tf.dispose(feeds);
    }
  });

  /** Each network in one of its files; random pictures and spectra cannot train here. */
  const networks = sampledModels(
    modelRecords().filter(([file]) => !/-(h5|v3|preprocessing|spectral)\./.test(file)),
  );
  describe.each(["inference", "follow"] as const)("%s", (bnMode) => {
    test.each(networks)("in %s", async (file, { inputs }) => {
      const checkpoint = await readCheckpoint(modelPath(file));
      const graph = layerGraph(checkpoint);
      const feeds = inputs.map((input) => {
        const { shape, data, dtype } = unpacked(input);
        return tf.tensor(data as Float32Array, [...shape], dtype as "float32" | "int32");
      });
      /* A folded normalization rounds otherwise, and a relu that stands at zero passes that on through fifty layers. */
      const tolerance = bnMode === "inference" ? 3e-4 : 1e-5;
      await expectSameGradients(graph, checkpoint.weights, feeds, bnMode, tolerance);
      tf.dispose(feeds);
    });
  });
});
