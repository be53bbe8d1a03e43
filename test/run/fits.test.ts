import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, JsonObject, Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { Callback, FinetuneOptions, StepFigures } from "../../src/index.ts";
import { arrayDataset, finetune } from "../../src/index.ts";
import type { Packed } from "../training/training-cases.ts";
import { unpack } from "../training/training-cases.ts";

type Layers = Readonly<Record<string, readonly (Packed & { readonly name: string })[]>>;

interface Recorded {
  readonly start: {
    readonly config: JsonObject;
    readonly weights: Layers;
    readonly train: readonly [Packed, Packed];
    readonly validation: readonly [Packed, Packed];
  };
  readonly fits: readonly {
    readonly asked: Partial<FinetuneOptions>;
    readonly history: Readonly<Record<string, readonly number[]>>;
    /** The rate of each step. */
    readonly rates: readonly number[];
    readonly weights: Layers;
  }[];
}

const file = new URL("../../fixtures/optimizers/fits.json.gz", import.meta.url);
const { start, fits } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Recorded;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function unpacked(layers: Layers): Weights {
  return new Map(
    Object.entries(layers).map(([path, layer]) => [
      path,
      layer.map((weight) => ({ ...unpack(weight), name: weight.name })),
    ]),
  );
}

const model: Checkpoint = {
  format: "keras",
  kerasVersion: "3.15.1",
  modelConfig: start.config,
  weights: unpacked(start.weights),
  notes: {},
};
const [[x, y], [valX, valY]] = [start.train, start.validation].map((pair) => pair.map(unpack)) as [
  [ReturnType<typeof unpack>, ReturnType<typeof unpack>],
  [ReturnType<typeof unpack>, ReturnType<typeof unpack>],
];
const data = arrayDataset(x, y, { validation: { inputs: valX, targets: valY } });

/** Keras's own figures of an average of weights are of the raw ones. */
const rawFigures = (asked: Partial<FinetuneOptions>): boolean => asked.ema !== undefined;

describe("thirty epochs of one batch end where Keras's fit ends", () => {
  test.each(fits.map((fit) => [JSON.stringify(fit.asked), fit] as const))("%s", async (_, fit) => {
    const rates: number[] = [];
    const watch = {
      name: "rates",
      stepEnd: (_moment: unknown, { lr }: StepFigures) => void rates.push(lr),
    };
    let last: Weights = new Map();
    const keep: Callback = {
      name: "last",
      end: (run) => {
        last = run.checkpoint().weights;
      },
    };
    const { history } = await finetune({
      ...{ model, data, freeze: [], bnMode: "follow", batchSize: 24, epochs: 30 },
      optimizer: { class_name: "SGD", config: { momentum: 0.9 } },
      ...fit.asked,
      callbacks: [watch, keep],
    });
    expect(rates).toHaveLength(30);
    fit.rates.forEach((rate, step) => {
      expect(Math.abs(rates[step]! - rate), `rate of step ${step + 1}`).toBeLessThan(
        1e-7 * Math.max(rate, 0.1),
      );
    });
    for (const [name, values] of Object.entries(fit.history)) {
      if (rawFigures(fit.asked) && name.startsWith("val_")) continue;
      values.forEach((value, epoch) => {
        expect(Math.abs(history[epoch]![name]! - value), `${name} of epoch ${epoch + 1}`).toBeLessThan(
          2e-5 * Math.max(1, value),
        );
      });
    }
    for (const [path, layer] of unpacked(fit.weights)) {
      for (const { name, data: expected } of layer) {
        const own = last.get(path)!.find((weight) => weight.name === name)!.data as Float32Array;
        const apart = (expected as Float32Array).reduce(
          (most, value, index) => Math.max(most, Math.abs(value - own[index]!)),
          0,
        );
        expect(apart, `${path}/${name}`).toBeLessThan(2e-5);
      }
    }
  });
});
