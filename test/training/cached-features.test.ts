import { beforeAll, describe, expect, test } from "vitest";
import type { BatchNormMode, Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { extractArrays } from "../../src/features/array-features.ts";
import type { CutModel } from "../../src/features/cut.ts";
import { cutModel } from "../../src/features/cut.ts";
import { tensorRows } from "../../src/features/sample-rows.ts";
import { staticProgram } from "../../src/features/trunk.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { partition } from "../../src/freeze/partition.ts";
import type { FrozenSet } from "../../src/freeze/policy.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import { elementCount, float32Tensor, toFloat32 } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { specOf } from "../../src/topology/layer-specs.ts";
import { withLogitsOutputs } from "../../src/topology/rewrites/logits-output.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
import { createTail } from "../../src/training/tail.ts";
import type { TrainingPhase } from "../../src/training/train.ts";
import { train } from "../../src/training/train.ts";
import { modelPath } from "../formats/model-fixtures.ts";
import { objectiveWith } from "../task/objective.ts";
import { randomNumbers, randomWeights } from "../topology/rewrites/graph-maker.ts";
import { randomGraph } from "../topology/rewrites/random-graphs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const samples = 7;
const optimizer = optimizerConfig({ class_name: "SGD", config: { learning_rate: 0.02, clipnorm: 1 } });

interface Job {
  readonly graph: LayerGraph;
  readonly weights: Weights;
  readonly frozen: FrozenSet;
  readonly inputs: readonly Tensor[];
  readonly targets: Tensor;
  readonly seed: number;
}

interface Course {
  /** The loss of each step's batch. */
  readonly losses: readonly number[];
  readonly weights: Weights;
}

/** Two epochs in batches of three, the last of one. */
async function course(job: Job, model: CutModel, features: readonly Tensor[]): Promise<Course> {
  const softmax = withLogitsOutputs(model.graph).outputs[0]!.activation === "softmax";
  const loss = softmax ? "categorical_crossentropy" : "mean_squared_error";
  const objective = objectiveWith(model.graph, loss);
  const { seed, weights, targets } = job;
  const losses: number[] = [];
  const examples = { features: features.map(tensorRows), targets: [{ targets }] };
  const tail = createTail({ ...model, weights, optimizer, objective, seed });
  const phase: TrainingPhase = {
    epochs: 2,
    open: () => ({
      tail,
      examples,
      validation: null,
      callbacks: [],
      close: () => tail.dispose(),
    }),
  };
  const trained = await train([phase], {
    batchSize: 3,
    seed,
    callbacks: [{ name: "losses", stepEnd: (_, figures) => void losses.push(figures.loss) }],
    checkpointOf: () => {
      throw new Error("no checkpoint is asked for");
    },
  });
  return { losses, weights: trained.weights };
}

/** Trunk once, folded, in padded batches; then the tail on what it gave. */
async function onFeatures(job: Job): Promise<Course> {
  const cut = cutModel(job.graph, job.frozen);
  const part = staticProgram(cut, job.weights);
  return course(job, cut, await extractArrays(part, job.inputs, { batchSize: 4 }));
}

/** Every layer at every step, as the graph was written. */
async function uncached(job: Job): Promise<Course> {
  const frontier = job.graph.inputs.map((input) => input.ref);
  const whole = { graph: job.graph, partition: { ...partition(job.graph, job.frozen), frontier } };
  return course(job, whole, job.inputs);
}

async function expectSameCourse(job: Job): Promise<void> {
  const before = tf.memory().numTensors;
  const [cached, plain] = [await onFeatures(job), await uncached(job)];
  expect(tf.memory().numTensors).toBe(before);
  expect(cached.losses).toHaveLength(6);
  for (const [step, loss] of plain.losses.entries()) {
    expect(Math.abs(cached.losses[step]! - loss) / Math.max(1, loss), `step ${step}`).toBeLessThan(1e-5);
  }
  expect([...cached.weights.keys()].sort()).toEqual([...plain.weights.keys()].sort());
  expect(farthest(cached.weights, plain.weights)).toBeLessThan(2e-5);
}

/** The largest difference of a weight, by the larger of 1 and its largest value. */
function farthest(some: Weights, others: Weights): number {
  const differences = [...others].flatMap(([path, layer]) =>
    layer.map(({ name, data }) => {
      const values = some.get(path)!.find((weight) => weight.name === name)!.data as Float32Array;
      const expected = data as Float32Array;
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - values[at]!)), 0) / largest;
    }),
  );
  return Math.max(...differences);
}

function jobOf(graph: LayerGraph, weights: Weights, frozen: FrozenSet, seed: number): Job {
  const random = randomNumbers(seed);
  const filled = (shape: Shape, value: () => number): Tensor => {
    const known = [samples, ...shape.slice(1).map((size) => size ?? 5)];
    return float32Tensor(Float32Array.from({ length: elementCount(known) }, value), known);
  };
  const shapeAt = ({ node, output }: { node: number; output: number }): Shape =>
    graph.nodes[node]!.outputs[output]!.shape!;
  const inputs = graph.inputs.map(({ ref }) => {
    const isInteger = graph.nodes[ref.node]!.outputs[0]!.dtype?.startsWith("int");
    return filled(shapeAt(ref), isInteger ? () => Math.floor(random() * 5) : () => random() * 2 - 1);
  });
  return { graph, weights, frozen, inputs, targets: filled(shapeAt(graph.outputs[0]!.ref), random), seed };
}

describe("the tail on features takes the steps of the whole model without a cache", () => {
  test("in random graphs, cut anywhere", async () => {
    const seen = { "several frontier tensors": 0, "active Dropout": 0, "batch statistics": 0 };
    const modes: readonly BatchNormMode[] = ["inference", "follow", "freeze", "train"];
    for (let seed = 0; seed < 40; seed++) {
      const random = randomNumbers(seed);
      const drawn = randomGraph(seed, 12);
      const graph = { ...drawn, outputs: drawn.outputs.slice(0, 1) };
      const paths = graph.layers.map((layer) => layer.path).filter((path) => !path.startsWith("fc2"));
      const share = random();
      const frozen =
        random() < 0.5 ? paths.slice(0, share * paths.length) : paths.filter(() => random() < share);
      const bnMode = modes[seed % modes.length]!;
      const set = { frozen: new Set(frozen), bnMode, newLayers: new Set<string>() };
      await expectSameCourse(jobOf(graph, randomWeights(graph, seed), set, seed));
      const { sides, frontier, batchStatistics } = partition(graph, set);
      const layers = new Map(graph.layers.map((layer) => [layer.path, layer] as const));
      if (frontier.length > 1) seen["several frontier tensors"]++;
      if (batchStatistics.size > 0) seen["batch statistics"]++;
      const drops = graph.nodes.some(
        (node) => sides[node.index] === "dynamic" && specOf(layers.get(node.layer)!.className)?.random,
      );
      if (drops) seen["active Dropout"]++;
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(5);
  });

  const files = ["k3-residual.keras", "k3-nested-partly.keras", "k3-transformer.keras"];
  test.each(files)("in %s, cut at half and at all but the last layer", async (file) => {
    const checkpoint = await readCheckpoint(modelPath(file));
    const graph = layerGraph(checkpoint);
    const weighted = [...weightSpecsOf(graph).keys()];
    for (const end of [Math.floor(weighted.length / 2), -1]) {
      const frozen = new Set(weighted.slice(0, end));
      const set: FrozenSet = { frozen, bnMode: "follow", newLayers: new Set() };
      const weights = new Map(
        [...checkpoint.weights].map(([path, layer]) => [
          path,
          layer.map((weight) => ({ name: weight.name, ...float32Tensor(toFloat32(weight), weight.shape) })),
        ]),
      );
      await expectSameCourse(jobOf(graph, weights, set, 1));
    }
  });
});
