import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { gradients } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import type { KernelContext } from "../../src/layers/kernel.ts";
import { specOf } from "../../src/topology/layer-specs.ts";
import type { Answer, LayerCase, LiveCase, PackedTensor } from "./layer-cases.ts";
import { families, runCase, upload, uploadCase, valuesOf } from "./layer-cases.ts";

interface Tolerance {
  /** Of Keras's largest number. */
  readonly relative: number;
  /** The least that counts as its largest number. */
  readonly floor: number;
}

const forwardTolerance: Tolerance = { relative: 2e-5, floor: 1 };
const gradientTolerance: Tolerance = { relative: 1e-4, floor: 1e-3 };

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const all = families();

describe.each(all)("$family", ({ cases }) => {
  let before = 0;
  beforeAll(() => {
    before = tf.memory().numTensors;
  });
  afterAll(() => {
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(cases)("$name computes Keras's outputs", (layerCase) => {
    withCase(layerCase, (live) => expectOutputs(layerCase, live, layerCase, {}));
  });

  test.each(cases.filter(({ outputMasks }) => outputMasks))("$name computes Keras's masks", (layerCase) => {
    withCase(layerCase, (live) => {
      const { outputs, masks } = runCase(layerCase, live, {});
      const passed = specOf(layerCase.className)?.masking ? outputs.map(() => live.masks[0]) : [];
      layerCase.outputMasks!.forEach((expected, index) => {
        const mask = (masks ?? passed)[index];
        expect(mask && { shape: mask.shape, values: [...mask.dataSync()] }).toEqual(
          expected ? { shape: expected.shape, values: [...Array.from(valuesOf(expected))] } : undefined,
        );
      });
    });
  });

  test.each(cases.filter(({ gradients }) => gradients))("$name computes Keras's gradients", (layerCase) => {
    withCase(layerCase, (live) => expectGradients(layerCase, live, layerCase, {}));
  });

  test.each(cases.filter(({ training }) => training))(
    "$name computes Keras's outputs, gradients and moving statistics from the batch's statistics",
    (layerCase) => {
      const training = layerCase.training!;
      const context = { training: true, statistics: "batch" as const };
      withCase(layerCase, (live) => {
        expectOutputs(layerCase, live, training, context);
        if (training.gradients) expectGradients(layerCase, live, training, context);
        const { state } = runCase(layerCase, live, context);
        expect(Object.keys(state ?? {}).sort()).toEqual(Object.keys(training.state).sort());
        for (const [name, expected] of Object.entries(training.state)) {
          expectClose(state![name]!, expected, forwardTolerance);
        }
      });
    },
  );
});

/** Runs a check on the case's tensors, which it must leave as they are and alone. */
function withCase(layerCase: LayerCase, check: (live: LiveCase) => void): void {
  const live = uploadCase(layerCase);
  const tensors = [
    ...live.inputs,
    ...Object.values(live.weights),
    ...live.masks.filter((mask) => mask !== undefined),
  ];
  const before = tf.memory().numTensors;
  tf.tidy(() => check(live));
  expect(tensors.filter((tensor) => tensor.isDisposed)).toEqual([]);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose(tensors);
}

function expectOutputs(
  layerCase: LayerCase,
  live: LiveCase,
  answer: Answer,
  context: Partial<KernelContext>,
): void {
  const { outputs } = runCase(layerCase, live, context);
  expect(outputs.length).toBe(answer.outputs.length);
  answer.outputs.forEach((expected, index) => {
    expectClose(outputs[index]!, expected, forwardTolerance);
  });
}

/** The gradients of the outputs' projection with respect to every input and trainable weight. */
function expectGradients(
  layerCase: LayerCase,
  live: LiveCase,
  answer: Answer,
  context: Partial<KernelContext>,
): void {
  const { projections, inputs, weights } = answer.gradients!;
  const wanted = [
    ...live.inputs.map((tensor, index) => ({ tensor, expected: inputs[index] })),
    ...Object.entries(weights).map(([name, expected]) => ({ tensor: live.weights[name]!, expected })),
  ].filter(({ expected }) => expected);
  const given = projections.map(upload);
  const projected = (): tf.Tensor => {
    const { outputs } = runCase(layerCase, live, context);
    const floating = outputs.filter(({ dtype }) => dtype === "float32");
    return floating
      .map((output, index) => tf.sum(tf.mul(output, given[index]!)))
      .reduce((a, b) => tf.add(a, b));
  };
  const { gradients: found } = gradients(
    projected,
    wanted.map(({ tensor }) => tensor),
  );
  wanted.forEach(({ tensor, expected }, index) => {
    expectClose(found[index] ?? tf.zerosLike(tensor), expected!, gradientTolerance);
  });
}

function expectClose(actual: tf.Tensor, expected: PackedTensor, tolerance: Tolerance): void {
  expect(actual.shape).toEqual(expected.shape);
  if (expected.strings) {
    expect(actual.dataSync()).toEqual(expected.strings);
    return;
  }
  const values = actual.dataSync();
  const wanted = valuesOf(expected);
  let largest = tolerance.floor;
  let difference = 0;
  for (let index = 0; index < wanted.length; index++) {
    largest = Math.max(largest, Math.abs(wanted[index]!));
    difference = Math.max(difference, Math.abs(values[index]! - wanted[index]!));
    if (Number.isNaN(values[index]) !== Number.isNaN(wanted[index])) difference = Number.POSITIVE_INFINITY;
  }
  expect(difference / largest).toBeLessThanOrEqual(tolerance.relative);
}
