import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { explain, readCheckpoint } from "../../src/index.ts";
import type { Tensor } from "../../src/tensor.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";

let keras: Keras;
beforeAll(async () => {
  await ensureEngine();
  keras = startKeras();
});
afterAll(() => keras.close());

interface Case {
  readonly network: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** The layer that is looked at by default, or the one that is asked for. */
  readonly layer: string;
  readonly isAsked?: boolean;
  readonly targets?: readonly number[];
}

const cases: readonly Case[] = [
  { network: "residual", layer: "block2_out" },
  { network: "residual", layer: "block1_out", isAsked: true, targets: [2, 0, 1, 1] },
  { network: "depthwise", layer: "separable_bn" },
  { network: "two_sides", layer: "relu" },
  { network: "two_sides", layer: "relu", targets: [0, 1, 0, 1] },
];

describe("Grad-CAM", () => {
  test.each(cases)("is that of Keras and GradientTape: $network $layer $targets", async (given) => {
    const { network, layer, isAsked = false, targets } = given;
    const path = join(keras.folder, `${network}.keras`);
    await keras.ask("make", { name: network, network, paths: [path], seed: 3 });
    const { inputs } = await keras.ask<{ inputs: Tensor[] }>("predict", {
      name: network,
      samples: 4,
      seed: 5,
    });
    const asked = targets ?? [-1, -1, -1, -1];
    const expected = await keras.ask<{ heatmaps: Tensor; targets: number[] }>("grad_cam", {
      ...{ name: network, inputs, layer, targets: asked },
    });
    const ours = await explain(await readCheckpoint(path), inputs, {
      ...(isAsked && { layer }),
      ...(targets && { target: targets }),
      batchSize: 3,
    });
    expect([ours.layer, ours.targets, ours.heatmaps.shape]).toEqual([
      layer,
      expected.targets,
      expected.heatmaps.shape,
    ]);
    expect(Math.max(...(expected.heatmaps.data as Float32Array))).toBe(1);
    const differences = Array.from(ours.heatmaps.data as Float32Array, (value, index) =>
      Math.abs(value - Number(expected.heatmaps.data[index])),
    );
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});
