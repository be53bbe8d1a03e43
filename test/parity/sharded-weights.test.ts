import { join } from "node:path";
import { expect, test } from "vitest";
import type { Weights } from "../../src/checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { float32Tensor, toFloat32 } from "../../src/tensor.ts";
import { type KerasWeights, unequalWeights } from "./differences.ts";
import { startKeras } from "./keras.ts";

const model = "fixtures/cli/small_resnet.keras";

function halved(weights: Weights): Weights {
  return new Map(
    [...weights].map(([layer, own]) => [
      layer,
      own.map((weight) => ({
        name: weight.name,
        ...float32Tensor(
          toFloat32(weight).map((value) => value / 2),
          weight.shape,
        ),
      })),
    ]),
  );
}

test("Keras loads the weights from the shards that we write", async () => {
  const keras = startKeras();
  try {
    await keras.ask("open", { name: "model", path: model });
    const checkpoint = await readCheckpoint(model);
    const changed = { ...checkpoint, weights: halved(checkpoint.weights) };
    const path = join(keras.folder, "changed.weights.json");
    await writeCheckpoint(path, changed, { maxShardBytes: 9_600 });
    await keras.ask("load_weights", { name: "model", path });
    const loaded = await keras.ask<KerasWeights>("weights", { name: "model" });
    expect(unequalWeights(changed, loaded)).toEqual([]);
    expect(unequalWeights(checkpoint, loaded)).not.toEqual([]);
  } finally {
    keras.close();
  }
});
