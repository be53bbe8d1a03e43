import { join } from "node:path";
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { TopologyError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";

test("a config that the engine refuses is reported by the layer's path", async () => {
  await ensureEngine();
  const small = await readCheckpoint(
    join(import.meta.dirname, "..", "..", "fixtures", "cli", "small_resnet.keras"),
  );
  const modelConfig = structuredClone(small.modelConfig) as unknown as {
    config: { layers: { class_name: string; config: Record<string, unknown> }[] };
  };
  const relu = modelConfig.config.layers.find(({ class_name }) => class_name === "Activation")!;
  relu.class_name = "ReLU";
  relu.config = { name: relu.config["name"], max_value: -1 };
  const changed = { ...small, modelConfig: modelConfig as unknown as JsonObject };
  const pixels = { dtype: "float32", shape: [1, 32, 32, 3], data: new Float32Array(3072) } as const;
  await expect(predict(changed, pixels)).rejects.toThrow(TopologyError);
  await expect(predict(changed, pixels)).rejects.toThrow(
    /^conv1_relu: ReLU: expected a config that can be computed, got one that is refused: /,
  );
});
