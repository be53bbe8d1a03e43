import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { gradients } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import type { KernelCall, KernelContext, KernelResult } from "../../src/layers/kernel.ts";
import { kernelOf } from "../../src/layers/registry.ts";
import { knownLayerClasses, specOf } from "../../src/topology/layer-specs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function run(
  className: string,
  config: JsonObject,
  x: tf.Tensor,
  seed: number,
  more: Partial<KernelCall> = {},
) {
  const context: KernelContext = {
    training: true,
    statistics: "stored",
    random: { nextSeed: () => seed },
    keras: 3,
  };
  const result = kernelOf(className)!({
    inputs: [x],
    weights: {},
    config,
    args: [],
    kwargs: {},
    masks: [undefined],
    context,
    ...more,
  });
  const whole: KernelResult = result instanceof tf.Tensor ? { outputs: [result] } : result;
  return whole.outputs[0]!;
}

function statistics(x: tf.Tensor): { mean: number; deviation: number } {
  const { mean, variance } = tf.moments(x);
  return { mean: mean.dataSync()[0]!, deviation: Math.sqrt(variance.dataSync()[0]!) };
}

const spread = (values: tf.Tensor): number[] => [...new Set(values.dataSync())].sort((a, b) => a - b);

describe("in training", () => {
  test.each([
    ["Dropout", { rate: 0.3, noise_shape: null }],
    ["SpatialDropout2D", { rate: 0.3, data_format: "channels_last" }],
    ["GaussianNoise", { stddev: 0.3 }],
    ["GaussianDropout", { rate: 0.3 }],
    ["AlphaDropout", { rate: 0.3, noise_shape: null }],
    ["StochasticDepth", { drop_path_rate: 0.5 }],
  ])("%s draws the same numbers from the same seed and others from another", (className, config) => {
    tf.tidy(() => {
      const x = tf.ones([8, 4, 4, 8]);
      const first = run(className, config, x, 1).dataSync();
      expect(run(className, config, x, 1).dataSync()).toEqual(first);
      expect(run(className, config, x, 2).dataSync()).not.toEqual(first);
    });
  });

  test("Dropout keeps 1 - rate of the values and scales them up, so that the mean is preserved", () => {
    tf.tidy(() => {
      const y = run("Dropout", { rate: 0.25, noise_shape: null }, tf.ones([100, 1000]), 7);
      expect(spread(y)[0]).toBe(0);
      expect(spread(y)[1]).toBeCloseTo(1 / 0.75, 6);
      expect(statistics(y).mean).toBeCloseTo(1, 2);
    });
  });

  test("Dropout with a noise shape shares its draws along the axes of size 1", () => {
    tf.tidy(() => {
      const y = run("Dropout", { rate: 0.5, noise_shape: [null, 1, 4] }, tf.ones([16, 5, 4]), 3);
      const [first, ...others] = tf.unstack(y, 1);
      for (const other of others) expect(other.dataSync()).toEqual(first!.dataSync());
      expect(spread(y)).toEqual([0, 2]);
    });
  });

  test.each([
    ["SpatialDropout1D", {}, [8, 5, 6], [1]],
    ["SpatialDropout2D", { data_format: "channels_last" }, [8, 3, 4, 6], [1, 2]],
    ["SpatialDropout2D", { data_format: "channels_first" }, [8, 6, 3, 4], [2, 3]],
    ["SpatialDropout3D", { data_format: "channels_last" }, [8, 2, 3, 2, 6], [1, 2, 3]],
  ])("%s %o drops whole channels", (className, config, shape, spatial) => {
    tf.tidy(() => {
      const y = run(className, { rate: 0.5, ...config }, tf.ones(shape), 5);
      expect(tf.max(y, spatial).dataSync()).toEqual(tf.min(y, spatial).dataSync());
      expect(spread(y)).toEqual([0, 2]);
    });
  });

  test("GaussianNoise adds noise of its deviation, GaussianDropout multiplies by noise around 1", () => {
    tf.tidy(() => {
      const noisy = statistics(run("GaussianNoise", { stddev: 0.5 }, tf.ones([100, 1000]), 3));
      expect(noisy.mean).toBeCloseTo(1, 2);
      expect(noisy.deviation).toBeCloseTo(0.5, 2);
      const dropped = statistics(run("GaussianDropout", { rate: 0.2 }, tf.fill([100, 1000], 2), 3));
      expect(dropped.mean).toBeCloseTo(2, 2);
      expect(dropped.deviation).toBeCloseTo(1, 2);
    });
  });

  test("AlphaDropout keeps the mean and the variance of normal values", () => {
    tf.tidy(() => {
      const x = tf.randomNormal([100, 1000], 0, 1, "float32", 11);
      const { mean, deviation } = statistics(run("AlphaDropout", { rate: 0.3, noise_shape: null }, x, 3));
      expect(mean).toBeCloseTo(0, 1);
      expect(deviation).toBeCloseTo(1, 1);
    });
  });

  test("StochasticDepth drops whole samples and scales the others up", () => {
    tf.tidy(() => {
      const y = run("StochasticDepth", { drop_path_rate: 0.5 }, tf.ones([64, 3, 3, 2]), 9);
      expect(tf.max(y, [1, 2, 3]).dataSync()).toEqual(tf.min(y, [1, 2, 3]).dataSync());
      expect(spread(y)).toEqual([0, 2]);
    });
  });

  test("the gradient of Dropout is its mask", () => {
    const x = tf.ones([4, 8]);
    const config = { rate: 0.5, noise_shape: null };
    const before = tf.memory().numTensors;
    const found = gradients(() => tf.sum(run("Dropout", config, x, 4)), [x]);
    tf.tidy(() => {
      expect(found.gradients[0]!.dataSync()).toEqual(run("Dropout", config, x, 4).dataSync());
    });
    tf.dispose([found.value, ...found.gradients] as tf.Tensor[]);
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });

  test("RandomFlip leaves about half of the images as they are and flips the others", () => {
    tf.tidy(() => {
      const x = tf.randomUniform([64, 3, 4, 2], 0, 1, "float32", 5);
      const y = run("RandomFlip", { mode: "horizontal" }, x, 3);
      const [images, mirrored] = [tf.unstack(x), tf.unstack(tf.reverse(x, 2))];
      const turned = tf.unstack(y).filter((image, index) => {
        const values = image.dataSync();
        const same = images[index]!.dataSync().every((value, at) => value === values[at]);
        if (!same) expect(values).toEqual(mirrored[index]!.dataSync());
        return !same;
      });
      expect(turned.length).toBeGreaterThan(16);
      expect(turned.length).toBeLessThan(48);
    });
  });

  test("RandomContrast multiplies each image's distance from its mean by a factor drawn for that image", () => {
    tf.tidy(() => {
      const x = tf.randomUniform([16, 3, 4, 1], 100, 150, "float32", 5);
      const y = run("RandomContrast", { factor: [0.2, 0.5], value_range: [0, 255] }, x, 3);
      const ratios = tf.div(tf.sub(y, tf.mean(x, [1, 2], true)), tf.sub(x, tf.mean(x, [1, 2], true)));
      const factors = tf.unstack(ratios).map((image) => [...image.dataSync()]);
      for (const [first, ...others] of factors) {
        for (const other of others) expect(other).toBeCloseTo(first!, 2);
        expect(first).toBeGreaterThan(0.79);
        expect(first).toBeLessThan(1.51);
      }
      expect(new Set(factors.map(([first]) => first!.toFixed(2))).size).toBeGreaterThan(8);
    });
  });

  test("the gradient of a rotated image is the transpose of the rotation", () => {
    const x = tf.randomUniform([1, 4, 4, 1], 0, 1, "float32", 5);
    const config = { factor: [0.1, 0.1], fill_mode: "constant", interpolation: "bilinear", fill_value: 0 };
    const weight = tf.randomUniform([1, 4, 4, 1], 0, 1, "float32", 6);
    const found = gradients(() => tf.sum(tf.mul(run("RandomRotation", config, x, 1), weight)), [x]);
    const linear = found.value.dataSync()[0]!;
    tf.tidy(() => {
      // For a linear function, the gradient times the point is the value.
      expect(tf.sum(tf.mul(found.gradients[0]!, x)).dataSync()[0]).toBeCloseTo(linear, 5);
    });
    tf.dispose([x, weight, found.value, ...found.gradients] as tf.Tensor[]);
  });

  test("BatchNormalization uses stored statistics if the context asks for them, even with the argument training=True", () => {
    tf.tidy(() => {
      const x = tf.randomNormal([4, 3], 5, 2, "float32", 1);
      const weights = { moving_mean: tf.zeros([3]), moving_variance: tf.ones([3]) };
      const config = { axis: -1, epsilon: 0, momentum: 0.9 };
      const y = run("BatchNormalization", config, x, 1, { weights, kwargs: { training: true } });
      expect(y.dataSync()).toEqual(x.dataSync());
    });
  });
});

/** The statistics of a BatchNormalization after a batch, from a mean of 0 and a variance of 1. */
function movedBy(
  x: tf.Tensor,
  own: JsonObject,
  keras: KernelContext["keras"],
  mask?: tf.Tensor,
): NonNullable<KernelResult["state"]> {
  const call: KernelCall = {
    inputs: [x],
    weights: { moving_mean: tf.zeros([3]), moving_variance: tf.ones([3]) },
    config: { axis: -1, epsilon: 1e-3, ...own },
    args: [],
    kwargs: {},
    masks: [mask],
    context: { training: true, statistics: "batch", random: { nextSeed: () => 0 }, keras },
  };
  const { state } = kernelOf("BatchNormalization")!(call) as KernelResult;
  return state!;
}

test.each([
  ["before Keras 2.12", { masked_statistics: false }, 2, [2, 4, 3], false],
  ["in Keras 2.12 over steps", {}, 2, [2, 4, 3], true],
  ["in Keras 2.12 over pictures", {}, 2, [2, 2, 2, 3], false],
  ["in Keras 3 over pictures", {}, 3, [2, 2, 2, 3], true],
] as const)(
  "the batch's statistics leave out masked positions only for some releases and shapes: %s",
  (_when, own, keras, shape, expected) => {
    tf.tidy(() => {
      const x = tf.randomNormal([...shape], 5, 2, "float32", 1);
      const shown = tf.cast(tf.randomUniform(shape.slice(0, -1), 0, 2, "int32", 2), "bool");
      const meanWith = (mask?: tf.Tensor): number[] => {
        const state = movedBy(x, { momentum: 0.9, ...own }, keras, mask);
        return [...state["moving_mean"]!.dataSync()];
      };
      const isLeftOut = meanWith(shown).some((value, at) => Math.abs(value - meanWith()[at]!) > 1e-4);
      expect(isLeftOut).toBe(expected);
    });
  },
);

test.each([
  ["of Keras 2 over pictures", 2, [2, 2, 2, 3], true],
  ["of Keras 2 over steps", 2, [2, 4, 3], false],
  ["of Keras 3 over pictures", 3, [2, 2, 2, 3], false],
] as const)(
  "the moving variance follows the sample variance only for images of Keras 2: %s",
  (_when, keras, shape, isOfSample) => {
    tf.tidy(() => {
      const x = tf.randomNormal([...shape], 0, 2, "float32", 1);
      const state = movedBy(x, { momentum: 0 }, keras);
      const { variance } = tf.moments(tf.reshape(x, [8, 3]), 0);
      const ratio = tf.div(state["moving_variance"]!, variance).dataSync();
      for (const value of ratio) expect(value).toBeCloseTo(isOfSample ? 8 / 7 : 1, 4);
    });
  },
);

test("in training, the layers whose spec is random draw from the stream, and other layers do not", () => {
  const drawing = [
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "StochasticDepth",
  ];
  for (const className of drawing) expect(specOf(className)?.random).toBe(true);
  const config = { rate: 0.5, stddev: 0.5, drop_path_rate: 0.5, noise_shape: null, activation: "relu" };
  const quiet = knownLayerClasses().filter(
    (className) =>
      !specOf(className)!.random && ["Activation", "ReLU", "Identity", "Flatten"].includes(className),
  );
  const random = {
    nextSeed: (): number => {
      throw new Error("drew");
    },
  };
  const context: KernelContext = { training: true, statistics: "stored", random, keras: 3 };
  tf.tidy(() => {
    const x = tf.ones([2, 3, 4]);
    for (const className of drawing) expect(() => run(className, config, x, 1, { context })).toThrow("drew");
    for (const className of quiet) expect(run(className, config, x, 1, { context }).size).toBe(24);
  });
});

describe("masks", () => {
  const left = (): tf.Tensor => tf.tensor2d([true, false, false, true], [2, 2], "bool");
  const right = (): tf.Tensor => tf.tensor2d([true, true, false, false], [2, 2], "bool");

  function masksOf(className: string, config: JsonObject, masks: readonly (tf.Tensor | undefined)[]) {
    const inputs = masks.map(() => tf.ones([2, 2, 3]));
    const result = kernelOf(className)!({
      inputs,
      weights: {},
      config,
      args: [],
      kwargs: {},
      masks,
      context: { training: false, statistics: "stored", random: { nextSeed: () => 1 }, keras: 3 },
    });
    return (result as KernelResult).masks?.[0];
  }

  test("a merging layer shows the positions that any of its inputs shows, if every input has a mask", () => {
    tf.tidy(() => {
      expect([...masksOf("Add", {}, [left(), right()])!.dataSync()]).toEqual([1, 1, 0, 1]);
      expect(masksOf("Add", {}, [left(), undefined])).toBeUndefined();
    });
  });

  test("Concatenate joins the masks along its axis; an input without a mask is shown whole", () => {
    tf.tidy(() => {
      expect([...masksOf("Concatenate", { axis: 1 }, [left(), right()])!.dataSync()]).toEqual([
        1, 0, 1, 1, 0, 1, 0, 0,
      ]);
      expect([...masksOf("Concatenate", { axis: -1 }, [left(), undefined])!.dataSync()]).toEqual([
        1, 1, 1, 1,
      ]);
      expect(masksOf("Concatenate", { axis: 1 }, [undefined, undefined])).toBeUndefined();
    });
  });
});
