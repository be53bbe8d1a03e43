import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { gradients } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import { repeatable } from "../../src/engine/webgpu/repeatable.ts";
import type { KernelContext } from "../../src/layers/kernel.ts";
import { specOf } from "../../src/topology/layer-specs.ts";
import { isWhole } from "../sample.ts";
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
  const { name } = await ensureEngine();
  // tfjs leaves small tensors that are still off the GPU to its CPU backend, which would test that one.
  if (name === "webgpu") tf.env().set("WEBGPU_CPU_FORWARD", false);
});

/** Layers whose kernels are corrected or composed anew on a GPU. */
const corrected =
  /^(Conv3D|Conv3DTranspose|ZeroPadding3D|MultiHeadAttention axes|LSTM|LSTM masked|GRU|GlobalMaxPooling2D|AveragePooling2D same|CategoryEncoding count|MaxPooling2D|BatchNormalization|cholesky|cumsum|sin|cos|prod axis 1|take_along_axis|bincount)$/;

/** Every case, or on a GPU's driver in software, which takes a third of a second for a shader, a few of each family. */
const all = families().map(({ cases, ...family }) => ({
  ...family,
  cases:
    process.env["KERAS_FINETUNE_ENGINE"] === "webgpu" && !isWhole
      ? cases.filter(({ name }, index) => index % 45 === 0 || corrected.test(name))
      : cases,
}));

describe.each(all)("$family", ({ cases }) => {
  let before = 0;
  beforeAll(() => {
    before = tf.memory().numTensors;
  });
  afterAll(() => {
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(cases)("$name computes Keras's outputs", async (layerCase) => {
    await withCase(layerCase, (live) => expectOutputs(layerCase, live, layerCase, {}));
  });

  test.each(cases.filter(({ outputMasks }) => outputMasks))(
    "$name computes Keras's masks",
    async (layerCase) => {
      await withCase(layerCase, async (live) => {
        const { outputs, masks } = await readResult(layerCase, live, {});
        const passed = specOf(layerCase.className)?.masking ? outputs.map(() => live.masks[0]) : [];
        for (const [index, expected] of layerCase.outputMasks!.entries()) {
          const own = passed[index];
          const mask = masks ? masks[index] : own && (await readTensor(own));
          expect(mask && { shape: mask.shape, values: [...mask.values] }).toEqual(
            expected ? { shape: expected.shape, values: [...Array.from(valuesOf(expected))] } : undefined,
          );
        }
      });
    },
  );

  test.each(cases.filter(({ gradients }) => gradients))(
    "$name computes Keras's gradients",
    async (layerCase) => {
      await withCase(layerCase, (live) => expectGradients(layerCase, live, layerCase, {}));
    },
  );

  test.each(cases.filter(({ training }) => training))(
    "$name computes Keras's outputs, gradients and moving statistics from the batch's statistics",
    async (layerCase) => {
      const training = layerCase.training!;
      const context = { training: true, statistics: "batch" as const };
      await withCase(layerCase, async (live) => {
        await expectOutputs(layerCase, live, training, context);
        if (training.gradients) await expectGradients(layerCase, live, training, context);
        const { state } = await readResult(layerCase, live, context);
        expect(Object.keys(state).sort()).toEqual(Object.keys(training.state).sort());
        for (const [name, expected] of Object.entries(training.state)) {
          expectClose(state[name]!, expected, forwardTolerance);
        }
      });
    },
  );
});

/** A tensor's values off the engine. */
interface ReadTensor {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number> & Iterable<number>;
}

async function readTensor(tensor: tf.Tensor): Promise<ReadTensor> {
  return { shape: tensor.shape, values: (await tensor.data()) as Float32Array };
}

/** Runs the case in its own tidy, reads everything that it gives, and releases it. */
async function readResult(
  layerCase: LayerCase,
  live: LiveCase,
  context: Partial<KernelContext>,
): Promise<{ outputs: ReadTensor[]; masks?: (ReadTensor | undefined)[]; state: Record<string, ReadTensor> }> {
  const { outputs, masks, state } = await repeatable(() => inTidy(() => runCase(layerCase, live, context)));
  const kept = new Set(tensorsOf(live));
  const read = async (tensor: tf.Tensor): Promise<ReadTensor> => readTensor(tensor);
  const result = {
    outputs: await Promise.all(outputs.map(read)),
    ...(masks && { masks: await Promise.all(masks.map((mask) => mask && read(mask))) }),
    state: Object.fromEntries(
      await Promise.all(
        Object.entries(state ?? {}).map(async ([name, value]) => [name, await read(value)] as const),
      ),
    ),
  };
  const made = [...outputs, ...(masks ?? []), ...Object.values(state ?? {})];
  tf.dispose(made.filter((tensor): tensor is tf.Tensor => tensor !== undefined && !kept.has(tensor)));
  return result;
}

function inTidy<T>(compute: () => T): T {
  return tf.tidy(() => compute() as unknown as tf.TensorContainer) as unknown as T;
}

function tensorsOf({ inputs, weights, masks }: LiveCase): tf.Tensor[] {
  return [...inputs, ...Object.values(weights), ...masks.filter((mask) => mask !== undefined)];
}

/** Runs a check on the case's tensors, which it must leave as they are and alone. */
async function withCase(layerCase: LayerCase, check: (live: LiveCase) => Promise<void>): Promise<void> {
  const live = uploadCase(layerCase);
  const tensors = tensorsOf(live);
  const before = tf.memory().numTensors;
  await check(live);
  expect(tensors.filter((tensor) => tensor.isDisposed)).toEqual([]);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose(tensors);
}

async function expectOutputs(
  layerCase: LayerCase,
  live: LiveCase,
  answer: Answer,
  context: Partial<KernelContext>,
): Promise<void> {
  const { outputs } = await readResult(layerCase, live, context);
  expect(outputs.length).toBe(answer.outputs.length);
  answer.outputs.forEach((expected, index) => {
    expectClose(outputs[index]!, expected, forwardTolerance);
  });
}

/** The gradients of the outputs' projection with respect to every input and trainable weight. */
async function expectGradients(
  layerCase: LayerCase,
  live: LiveCase,
  answer: Answer,
  context: Partial<KernelContext>,
): Promise<void> {
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
  const { value, gradients: found } = await repeatable(() =>
    gradients(
      projected,
      wanted.map(({ tensor }) => tensor),
    ),
  );
  for (const [index, { tensor, expected }] of wanted.entries()) {
    const gradient = found[index] ?? tf.zerosLike(tensor);
    expectClose(await readTensor(gradient), expected!, gradientTolerance);
    gradient.dispose();
  }
  tf.dispose([value, ...given]);
}

function expectClose({ shape, values }: ReadTensor, expected: PackedTensor, tolerance: Tolerance): void {
  expect(shape).toEqual(expected.shape);
  if (expected.strings) {
    expect(values).toEqual(expected.strings);
    return;
  }
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
