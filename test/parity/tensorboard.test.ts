import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { finetune, freezeUntil } from "../../src/index.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";

interface Writer {
  readonly scalars: Readonly<Record<string, readonly (readonly [step: number, value: number])[]>>;
  readonly histograms: Readonly<
    Record<
      string,
      readonly (readonly [step: number, num: number, min: number, max: number, counted: number])[]
    >
  >;
  readonly images: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly hparams: {
    readonly metrics?: readonly string[];
    readonly values?: Readonly<Record<string, unknown>>;
    readonly status?: number;
  };
}

let keras: Keras;
beforeAll(async () => {
  await ensureEngine();
  // TensorFlow 2.21 comes without TensorBoard, that of Keras 3.0.5 with it.
  keras = startKeras("early");
});
afterAll(() => keras.close());

test("TensorBoard reads every figure, the trained weights, the confusion matrix and the settings of a run", async () => {
  const out = join(keras.folder, "run");
  const { history, checkpoint, bestEpoch } = await finetune({
    model: "fixtures/cli/small_resnet.keras",
    data: "fixtures/demo/photos",
    ...{ freeze: freezeUntil("conv3"), epochs: 2, learningRate: 0.002, cache: false, report: false },
    ...{ out, tensorboard: true },
  });
  const writers = await keras.ask<Readonly<Record<string, Writer>>>("tensorboard_events", { folder: out });
  expect(Object.keys(writers).sort()).toEqual([".", "train", "validation"]);
  const { ".": run, train, validation } = writers as Record<string, Writer>;

  const scalars = (names: readonly (readonly [tag: string, figure: string])[]): Writer["scalars"] =>
    Object.fromEntries(
      names.map(([tag, name]) => [
        tag,
        history.map((epoch) => [epoch.epoch - 1, Math.fround(epoch[name] ?? Number.NaN)] as const),
      ]),
    );
  const figures = Object.keys(history[0] ?? {}).filter((name) => name !== "epoch");
  const held = figures.filter((name) => name.startsWith("val_"));
  const tagOf = (name: string): string =>
    `epoch_${name === "lr" ? "learning_rate" : name.replace(/^val_/, "")}`;
  expect(train?.scalars).toEqual(
    scalars(figures.filter((name) => !held.includes(name)).map((name) => [tagOf(name), name])),
  );
  expect(validation?.scalars).toEqual(scalars(held.map((name) => [tagOf(name), name])));

  const tags = Object.keys(train?.histograms ?? {});
  expect(tags).toContain("predictions/kernel/histogram");
  for (const tag of tags) {
    const [path = "", name = ""] = tag.split("/");
    const data = checkpoint.weights.get(path)?.find((weight) => weight.name === name)?.data as Float32Array;
    const atBest = train?.histograms[tag]?.[bestEpoch - 1];
    expect([tag, atBest]).toEqual([
      tag,
      [bestEpoch - 1, data.length, Math.min(...data), Math.max(...data), data.length],
    ]);
  }
  const [image, ...others] = validation?.images["confusion_matrix"] ?? [];
  expect(others).toEqual([]);
  expect(image?.[0]).toBe(bestEpoch - 1);
  expect(image?.[1]).toBeGreaterThan(150);
  expect(image?.[3]).toBe(3);

  expect(run?.hparams.metrics).toContain("validation/epoch_loss");
  expect(run?.hparams.values).toMatchObject({
    learningRate: 0.002,
    epochs: 2,
    bnMode: "inference",
    keepHead: false,
  });
  // api.proto: STATUS_SUCCESS
  expect(run?.hparams.status).toBe(1);
});
