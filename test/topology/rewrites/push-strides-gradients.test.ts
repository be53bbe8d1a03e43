import { beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import { wholeProgram } from "../../../src/model/program.ts";
import type { ContextOf } from "../../../src/model/run-program.ts";
import { trainingProgram } from "../../../src/model/training-program.ts";
import { forward } from "../../../src/model/training-step.ts";
import { disposeWeights, uploadWeights } from "../../../src/model/uploads.ts";
import type { LayerGraph } from "../../../src/topology/layer-graph.ts";
import { pushStrides } from "../../../src/topology/rewrites/push-strides.ts";
import { weightSpecsOf } from "../../../src/topology/weights-of.ts";
import { randomInputs, randomWeights, relativeDifference } from "./graph-maker.ts";
import { resnetV1 } from "./network-maker.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

/** Computes the gradients of all trainable weights for an output gradient that differs between classes. */
async function gradientsOf(
  graph: LayerGraph,
  weights: Weights,
  inputs: readonly tf.Tensor[],
  onBatch: (path: string) => boolean,
): Promise<Map<string, tf.Tensor>> {
  const trainable = new Map(
    [...weightSpecsOf(graph)].map(([path, specs]) => [
      path,
      specs.filter((spec) => spec.trainable).map((spec) => spec.name),
    ]),
  );
  const contextOf: ContextOf = (_node, layer) => ({
    training: true,
    statistics: onBatch(layer.path) ? "batch" : "stored",
    random: { nextSeed: () => 0 },
    keras: layer.keras,
  });
  const uploaded = uploadWeights(weights, weights.keys());
  const training = trainingProgram(wholeProgram(graph), trainable, (path) => !onBatch(path));
  const pass = forward(training, inputs, uploaded, contextOf);
  const [rows, classes] = pass.outputs[0]!.shape as [number, number];
  const gradient = tf.tidy(() => tf.reshape(tf.range(0, rows * classes), [rows, classes]));
  const gradients = new Map<string, tf.Tensor>();
  await pass.backward([gradient], (path, name, value) => {
    gradients.set(`${path}/${name}`, value.clone());
  });
  for (const state of pass.state.values()) tf.dispose(Object.values(state));
  gradient.dispose();
  disposeWeights(uploaded);
  return gradients;
}

describe("the gradient of every trainable weight is the same after pushStrides", () => {
  test.each([
    ["stored statistics, even sizes", { size: 32 }, () => false],
    ["stored statistics, odd sizes", { size: 56 }, () => false],
    ["stored statistics, channels first", { size: 32, format: "channels_first" }, () => false],
    ["batch statistics from conv4 on", { size: 64 }, (path: string) => /^conv[45].*_bn$/.test(path)],
  ] as const)("gradients are equal after pushStrides with %s", async (_what, options, onBatch) => {
    const graph = resnetV1(options);
    const pushed = pushStrides(graph, { canPushThrough: (node) => !onBatch(node.layer) }).graph;
    expect(pushed).not.toBe(graph);
    const weights = randomWeights(graph, 11);
    const inputs = randomInputs(graph, 12);
    const before = await gradientsOf(graph, weights, inputs, onBatch);
    const after = await gradientsOf(pushed, weights, inputs, onBatch);
    tf.dispose(inputs);
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [name, gradient] of after) {
      expect(relativeDifference(gradient, before.get(name)!), name).toBeLessThan(2e-5);
    }
  });
});
