import { beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import type { LayerGraph, TensorRef } from "../../../src/topology/layer-graph.ts";
import { refKey } from "../../../src/topology/layer-graph.ts";
import { foldActivations } from "../../../src/topology/rewrites/fold-activation.ts";
import type { RewrittenGraph } from "../../../src/topology/rewrites/fold-batch-norm.ts";
import { foldBatchNorm } from "../../../src/topology/rewrites/fold-batch-norm.ts";
import { inferenceForm, withoutIdentities } from "../../../src/topology/rewrites/inference-form.ts";
import { mergeLinearDense } from "../../../src/topology/rewrites/merge-linear-dense.ts";
import { pushStrides } from "../../../src/topology/rewrites/push-strides.ts";
import {
  outputRefs,
  randomInputs,
  randomNumbers,
  randomWeights,
  relativeDifference,
  valuesAt,
} from "./graph-maker.ts";
import { randomGraph } from "./random-graphs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const seeds = Array.from({ length: 80 }, (_, seed) => seed);
const always = (): boolean => true;

type Rewrite = (graph: LayerGraph, weights: Weights, kept: readonly TensorRef[]) => RewrittenGraph;

const rewrites: Readonly<Record<string, Rewrite>> = {
  "folding BatchNormalization": (graph, weights, kept) =>
    foldBatchNorm(graph, weights, { foldable: always, kept }),
  "taking in activations": (graph, weights, kept) => ({
    ...foldActivations(graph, { foldable: always, kept }),
    weights,
  }),
  "merging linear Dense": (graph, weights, kept) =>
    mergeLinearDense(graph, weights, { foldable: always, kept }),
  "dropping identities": (graph, weights, kept) => ({
    ...withoutIdentities(graph, { silenced: always, kept }),
    weights,
  }),
  "pushing strides": (graph, weights, kept) => ({
    ...pushStrides(graph, { canPushThrough: always, kept }),
    weights,
  }),
  "pushing strides, then the inference form": (graph, weights, kept) => {
    const pushed = pushStrides(graph, { canPushThrough: always, kept });
    return inferenceForm(pushed.graph, weights, { foldable: always, silenced: always, kept: pushed.kept });
  },
};

/** Chooses up to three tensors to keep. */
function someTensors(graph: LayerGraph, seed: number): TensorRef[] {
  const random = randomNumbers(seed + 1000);
  const count = Math.floor(random() * 4);
  const chosen = Array.from({ length: count }, () => ({
    node: Math.floor(random() * graph.nodes.length),
    output: 0,
  }));
  return [...new Map(chosen.map((ref) => [refKey(ref), ref] as const)).values()];
}

describe.each(Object.entries(rewrites))("%s on random graphs", (_name, rewrite) => {
  test(`outputs and kept tensors of ${seeds.length} random graphs stay equal and some graphs change`, () => {
    let changed = 0;
    for (const seed of seeds) {
      const graph = randomGraph(seed, 12);
      const weights = randomWeights(graph, seed);
      const kept = someTensors(graph, seed);
      const rewritten = rewrite(graph, weights, kept);
      if (rewritten.graph !== graph) changed += 1;
      const inputs = randomInputs(graph, seed);
      const before = valuesAt(graph, weights, inputs, [...outputRefs(graph), ...kept]);
      const after = valuesAt(rewritten.graph, rewritten.weights, inputs, [
        ...outputRefs(rewritten.graph),
        ...rewritten.kept,
      ]);
      const differences = after.map((value, index) => relativeDifference(value, before[index]!));
      tf.dispose(inputs);
      expect(Math.max(...differences), `seed ${seed}`).toBeLessThan(1e-5);
    }
    expect(changed).toBeGreaterThan(seeds.length / 8);
  });
});
